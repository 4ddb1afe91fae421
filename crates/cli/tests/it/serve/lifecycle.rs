//! The whole life of a session, for clients of every protocol revision.

use serde_json::{Value, json};

use super::client_fixture::{ERAS, McpClientFixture};
use super::{CALLER_IDENTITY_TOOL, fixture_with_server};
use crate::aws_fixture::AwsFixture;
use crate::process::{runs, wait_until};
use crate::program_fixture::ProgramFixture;

const ALL_TOOLS: [&str; 11] = [
    "set_aws_credentials_context",
    "get_aws_credentials_context",
    "extract_and_set_credentials_from_stack_job",
    "set_service_context_info",
    "get_service_context_info",
    "clear_credential_context",
    "list_aws_accounts",
    "refresh_aws_credentials",
    "narrow_aws_credentials",
    "close_credential_session",
    CALLER_IDENTITY_TOOL,
];

fn key_json(last_four: &str) -> Value {
    json!({
        "access_key_id": format!("ASIA000000000000{last_four}"),
        "secret_access_key": "made-up",
        "session_token": "made-up",
    })
}

/// Returns the identity that the server reports, and its process id.
async fn call_caller_identity(client: &mut McpClientFixture) -> (String, u32) {
    let result = client.call(CALLER_IDENTITY_TOOL, json!({})).await;
    assert_ne!(result["isError"], true, "{result}");
    let output = &result["structuredContent"];
    (output["arn"].as_str().unwrap().to_owned(), output["pid"].as_u64().unwrap() as u32)
}

#[tokio::test]
async fn serve_server_runs_only_while_credentials_are_set() {
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_server(aws.url());
    for era in ERAS {
        let mut client = McpClientFixture::connect(&fixture, era).await;
        assert_eq!(client.tools().await, ALL_TOOLS, "{era:?}");
        let early = client.call(CALLER_IDENTITY_TOOL, json!({})).await;
        assert_eq!(early["isError"], true, "{early}");
        assert!(early.to_string().contains("set_aws_credentials_context"), "{early}");

        client.set_credentials(key_json("AAAA")).await;
        let (arn, pid) = call_caller_identity(&mut client).await;
        assert_eq!(arn, "arn:aws:iam::111111111111:user/AAAA");
        client.set_credentials(key_json("BBBB")).await;
        let (arn, replaced) = call_caller_identity(&mut client).await;
        assert_eq!(arn, "arn:aws:iam::111111111111:user/BBBB");
        assert_ne!(replaced, pid, "other credentials get another process");

        client.call("clear_credential_context", json!({})).await;
        assert_eq!(client.call(CALLER_IDENTITY_TOOL, json!({})).await["isError"], true);
        assert_eq!(client.tools().await, ALL_TOOLS);
        let output = client.close().await;
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{era:?}");
        wait_until("the servers are gone", || !runs(pid) && !runs(replaced)).await;
    }
}

/// A server gets the region when it starts, which may be before credentials with a region are set.
#[tokio::test]
async fn serve_credentials_of_another_region_restart_server() {
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_server(aws.url());
    let mut client = McpClientFixture::connect(&fixture, ERAS[0]).await;
    client.tools().await;
    let mut pids = Vec::new();
    for region in ["us-west-2", "us-west-2", "eu-central-1"] {
        let mut key = key_json("AAAA");
        key["region"] = json!(region);
        client.set_credentials(key).await;
        pids.push(call_caller_identity(&mut client).await.1);
        let output = aws.received_credentials();
        assert!(output.lines().last().unwrap().contains(&format!("/{region}/sts/")), "{output}");
    }
    assert_ne!(pids[1], pids[2], "{pids:?}");
    assert_eq!(client.close().await.code, Some(0));
}

#[tokio::test]
async fn serve_host_credentials_are_never_used() {
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_server(aws.url())
        .env("AWS_ACCESS_KEY_ID", "AKIAHOSTHOSTHOSTHOST")
        .env("AWS_SECRET_ACCESS_KEY", "of-the-host");
    for era in ERAS {
        let mut client = McpClientFixture::connect(&fixture, era).await;
        assert_eq!(client.call(CALLER_IDENTITY_TOOL, json!({})).await["isError"], true);
        client.set_credentials(key_json("AAAA")).await;
        client.call("clear_credential_context", json!({})).await;
        assert_eq!(client.call(CALLER_IDENTITY_TOOL, json!({})).await["isError"], true);
        assert_eq!(client.close().await.code, Some(0));
    }
    assert_eq!(aws.received_credentials(), "", "no credentials were requested");
}

#[tokio::test]
async fn serve_without_files_lists_session_tools() {
    let fixture = ProgramFixture::new();
    for era in ERAS {
        let mut client = McpClientFixture::connect_with(&fixture, era, &["serve"]).await;
        assert_eq!(client.tools().await, ALL_TOOLS[..10]);
        client.set_credentials(key_json("AAAA")).await;
        let status = client.call("get_aws_credentials_context", json!({})).await;
        assert!(status.to_string().contains("AAAA"), "{status}");
        assert_eq!(client.close().await.code, Some(0));
    }
}
