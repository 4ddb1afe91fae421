//! Filters of tools: what a server's configuration excludes is neither listed nor called.

use serde_json::{Value, json};
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;

use super::client_fixture::HttpClientFixture;
use super::fixture::{ALICE, HttpGatewayFixture, tokens};
use crate::host_fixture::fixture_server;

fn filtered_server(prefix: bool, allow: Option<&[&str]>, deny: &[&str]) -> ServerConfig {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut server = fixture_server(Delivery::Endpoint);
    server.prefix = prefix;
    server.tools.allow = allow.map(names);
    server.tools.deny = names(deny);
    server
}

async fn tool_names(client: &mut HttpClientFixture) -> Vec<String> {
    let listed: Value = client.request("tools/list", json!({})).await.json();
    let tools = listed["result"]["tools"].as_array().unwrap().iter();
    tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// Whether the gateway knows the tool: a call of an unknown one is a protocol error.
async fn is_callable(client: &mut HttpClientFixture, tool: &str) -> bool {
    let reply = client.request("tools/call", json!({"name": tool, "arguments": {}})).await.json();
    match reply["error"]["code"].as_i64() {
        None => true,
        code => {
            assert_eq!(code, Some(-32602), "{reply}");
            false
        }
    }
}

#[tokio::test]
async fn filtered_tool_is_neither_listed_nor_called() {
    for (prefix, start) in [(true, "fixture__"), (false, "")] {
        for (allow, deny) in [(Some(&["whoami", "leak"][..]), &["leak"][..]), (None, &["leak", "echo"])] {
            let server = filtered_server(prefix, allow, deny);
            let gateway =
                HttpGatewayFixture::start_with(vec![("fixture", server)], tokens(), |gateway| gateway).await;
            let mut legacy = gateway.legacy(ALICE).await;
            let mut modern = gateway.modern(ALICE);
            modern.handle = Some(modern.create_session().await);
            for client in [&mut legacy, &mut modern] {
                client.set("AAAA").await;
                let names = tool_names(client).await;
                for (tool, is_usable) in [("whoami", true), ("leak", false), ("echo", false)] {
                    let tool = format!("{start}{tool}");
                    assert_eq!(names.contains(&tool), is_usable, "{tool} {allow:?} {deny:?}: {names:?}");
                    assert_eq!(is_callable(client, &tool).await, is_usable, "{tool} {allow:?} {deny:?}");
                }
                if !prefix {
                    assert!(!is_callable(client, "fixture__leak").await, "nor under another name");
                }
            }
            gateway.stop().await;
        }
    }
}
