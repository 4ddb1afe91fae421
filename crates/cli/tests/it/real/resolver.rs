//! `[resolver] provider = "mcp"`: the original workflow, with the platform's own tool as the source of credentials,
//! which the model cannot see.

use serde_json::{Value, json};
use valetkey_local_aws::{LocalAws, UserSpec};

use super::{program_path, python_script};
use crate::program_fixture::ProgramFixture;
use crate::serve::client_fixture::{ERAS, McpClientFixture};
use crate::serve::http::HttpGatewayFixture;
use crate::serve::{CALLER_IDENTITY_TOOL, demo_server_entry, mcp_config};

/// The resolver calls the tool of a platform, whose server has no credentials. The table `resolver` is the last.
pub(super) const TOOL_RESOLVER: &str = "
[servers.aws]
credentials = 'env'
[servers.platform]
credentials = 'none'
[resolver]
provider = 'mcp'
server = 'platform'
tool = 'get_aws_credential'
credentials_pointer = '/spec'
id_pointer = '/metadata/id'
";
const STACK_JOB_TOOL: &str = "extract_and_set_credentials_from_stack_job";

async fn fixture() -> (LocalAws, ProgramFixture) {
    let aws = LocalAws::builder().user(UserSpec::new("222222222222", "job", "AKIA_JOB", "secret_job"));
    let aws = aws.start().await.unwrap();
    let platform =
        json!({"command": program_path("python"), "args": [python_script("credential_server.py")]});
    let servers = json!({"aws": demo_server_entry(&aws.endpoint_url()), "platform": platform});
    let fixture = ProgramFixture::new().file("mcp.json", mcp_config(servers));
    (aws, fixture.file("settings.toml", settings()))
}

fn settings() -> String {
    let account = "[accounts.work]\nprovider = 'memory'";
    format!("{account}{TOOL_RESOLVER}region_pointer = '/region'\n[http]\nauth = 'none'\n")
}

fn job(id: &str) -> Value {
    json!({"stack_job_json": {"spec": {"provider_credential_id": id}}})
}

#[tokio::test]
async fn resolver_tool_is_hidden_and_its_keys_are_used() {
    let (aws, fixture) = fixture().await;
    let args = ["serve", "--config", "settings.toml", "--mcp-config", "mcp.json"];
    for era in ERAS {
        let mut client = McpClientFixture::connect_with(&fixture, era, &args).await;
        let stack_job = client.call("platform__get_stack_job", json!({"id": "job-7"})).await;
        let text = stack_job["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("\"has_keys\": false"), "{stack_job}");
        assert!(!client.tools().await.contains(&"platform__get_aws_credential".to_owned()));
        let params = json!({"name": "platform__get_aws_credential", "arguments": {"id": "cred-1"}});
        assert!(client.request("tools/call", params).await["error"].is_object(), "an unknown tool");

        let refused = client.call(STACK_JOB_TOOL, job("cred-2")).await;
        assert!(refused["content"][0]["text"].as_str().unwrap().starts_with("Error"), "{refused}");
        let set = client.call(STACK_JOB_TOOL, job("cred-1")).await;
        let text = set["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("Successfully extracted and set AWS credentials"), "{text}");
        assert_eq!(set["structuredContent"]["region"], "us-west-2", "{set}");
        let caller = client.call(CALLER_IDENTITY_TOOL, json!({})).await;
        assert!(caller["structuredContent"]["arn"].as_str().unwrap().ends_with("user/job"), "{caller}");
        let output = client.close().await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert!(!format!("{}{}", output.stdout, output.stderr).contains("secret_job"));
    }
    aws.stop().await.unwrap();
}

#[tokio::test]
async fn resolver_tool_over_http_resolves_for_each_session() {
    let (aws, fixture) = fixture().await;
    let args = ["--config", "settings.toml", "--mcp-config", "mcp.json"];
    let gateway = HttpGatewayFixture::start(&fixture, &args).await;
    for _ in 0..2 {
        let (_, created) = gateway.call(None, "create_credential_session", json!({})).await;
        let session = created["result"]["structuredContent"]["credential_session"].clone();
        let hidden = json!({"id": "cred-1", "credential_session": session});
        let (_, refused) = gateway.call(None, "platform__get_aws_credential", hidden).await;
        assert!(refused["result"].is_null() && !refused.to_string().contains("secret_job"), "{refused}");
        let mut arguments = job("cred-1");
        arguments["credential_session"] = session.clone();
        let (_, set) = gateway.call(None, STACK_JOB_TOOL, arguments).await;
        assert_ne!(set["result"]["isError"], true, "{set}");
        let named = json!({"credential_session": session});
        let (_, caller) = gateway.call(None, CALLER_IDENTITY_TOOL, named).await;
        let arn = caller["result"]["structuredContent"]["arn"].as_str().unwrap_or_else(|| panic!("{caller}"));
        assert!(arn.ends_with("user/job"), "{arn}");
    }
    gateway.stop().await;
    aws.stop().await.unwrap();
}
