//! Limits on the tools of a server, in the settings and in the file of servers.

use serde_json::{Value, json};

use super::client_fixture::{ERAS, McpClientFixture};
use super::{CALLER_IDENTITY_TOOL, demo_server_entry, mcp_config};
use crate::program_fixture::ProgramFixture;

const TOOL: &str = "get_caller_identity";

/// Returns whether the tool of the demo's server is listed, and the response to a call of it.
async fn offered(settings: &str, limits: Value) -> (bool, Value) {
    let mut server = demo_server_entry("http://127.0.0.1:1");
    server.as_object_mut().unwrap().append(limits.clone().as_object_mut().unwrap());
    let fixture = ProgramFixture::new().file("mcp.json", mcp_config(json!({"aws": server}))).file(
        "valetkey.toml",
        format!("[accounts.default]\nprovider = 'memory'\n[servers.aws]\n{settings}\n"),
    );
    let mut client = McpClientFixture::connect(&fixture, ERAS[1]).await;
    let is_listed = client.tools().await.iter().any(|tool| tool == CALLER_IDENTITY_TOOL);
    let response = client.request("tools/call", json!({"name": CALLER_IDENTITY_TOOL, "arguments": {}})).await;
    assert_eq!(client.close().await.code, Some(0));
    (is_listed, response)
}

#[tokio::test]
async fn serve_with_allowed_tool_offers_it() {
    for settings in
        ["", "tools.allow = ['get_caller_identity', 'other']", "tools.deny = ['other']", "tools = {}"]
    {
        let (is_listed, response) =
            offered(settings, json!({"includeTools": [TOOL], "excludeTools": ["x"]})).await;
        assert!(is_listed && response["result"].is_object(), "{settings}: {response}");
    }
}

#[tokio::test]
async fn serve_with_tool_that_either_file_limits_offers_none() {
    for (settings, limits) in [
        ("tools.deny = ['get_caller_identity']", json!({})),
        ("tools.allow = []", json!({})),
        ("tools.allow = ['other']", json!({"includeTools": [TOOL, "other"]})),
        ("tools = { allow = ['get_caller_identity'], deny = ['get_caller_identity'] }", json!({})),
        ("tools.allow = ['get_caller_identity']", json!({"disabledTools": [TOOL]})),
        ("tools.allow = ['get_caller_identity']", json!({"includeTools": ["other"]})),
    ] {
        let (is_listed, response) = offered(settings, limits).await;
        assert!(!is_listed && response["error"].is_object(), "{settings}: {response}");
    }
}
