//! The acceptance flow of the original Python design over MCP, with a server whose calls AWS attributes to a user.

use serde_json::{Value, json};
use valetkey_local_aws::{LocalAws, SecretSpec, UserSpec};

use super::client_fixture::{ERAS, McpClientFixture, ProtocolEra};
use super::{CALLER_IDENTITY_TOOL, fixture_with_server};
use crate::program_fixture::ProgramFixture;

const SET_TOOL: &str = "set_aws_credentials_context";
const GET_TOOLS: [&str; 2] = ["get_aws_credentials_context", "get_service_context_info"];
const CREDENTIALS: &str =
    r#"{"access_key_id": "AKIA_TEST", "secret_access_key": "secret_test", "region": "us-west-2"}"#;
const JOB_CREDENTIALS: &str = r#"{"access_key_id": "AKIA_JOB", "secret_access_key": "secret_job"}"#;

async fn start_aws() -> LocalAws {
    LocalAws::builder()
        .user(UserSpec::new("999999999999", "platform", "AKIA_PLATFORM", "secret_platform"))
        .user(UserSpec::new("111111111111", "tester", "AKIA_TEST", "secret_test"))
        .user(UserSpec::new("222222222222", "job", "AKIA_JOB", "secret_job"))
        .secret(SecretSpec::new("999999999999", "cred/cred-1", JOB_CREDENTIALS))
        .start()
        .await
        .unwrap()
}

/// A fixture whose environment has the platform's keys, and a session whose own account has this provider.
///
/// The Rust SDK cannot read long-lived keys from the endpoint, so the server gets them in its environment.
fn fixture_for(aws: &LocalAws, provider: &str) -> ProgramFixture {
    let settings = format!(
        "[session]\ndefault_account = 'work'\n[accounts.work]\nprovider = '{provider}'\n[accounts.host]\n\
         provider = 'environment'\n[resolver]\nprovider = 'secrets-manager'\nsource = 'host'\nprefix = 'cred/'\n\
         [servers.aws]\ncredentials = 'env'\n"
    );
    fixture_with_server(&aws.endpoint_url())
        .env("AWS_ENDPOINT_URL", aws.endpoint_url())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIA_PLATFORM")
        .env("AWS_SECRET_ACCESS_KEY", "secret_platform")
        .file("settings.toml", settings)
}

async fn connect_client(fixture: &ProgramFixture, era: ProtocolEra) -> McpClientFixture {
    let arguments = ["serve", "--config", "settings.toml", "--mcp-config", "mcp.json"];
    McpClientFixture::connect_with(fixture, era, &arguments).await
}

async fn call_text(client: &mut McpClientFixture, tool: &str, arguments: Value) -> String {
    let result = client.call(tool, arguments).await;
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

/// Returns the user whose keys the server uses; `None` if the call is refused.
async fn caller_user(client: &mut McpClientFixture) -> Option<String> {
    let result = client.call(CALLER_IDENTITY_TOOL, json!({})).await;
    let arn = result["structuredContent"]["arn"].as_str().map(str::to_owned);
    assert_eq!(arn.is_none(), result["isError"] == true, "{result}");
    Some(arn?.rsplit('/').next()?.to_owned())
}

#[tokio::test]
async fn acceptance_flow_in_each_era_passes() {
    let aws = start_aws().await;
    for era in ERAS {
        let fixture = fixture_for(&aws, "memory");
        let mut client = connect_client(&fixture, era).await;
        assert_eq!(caller_user(&mut client).await, None, "never as the host");
        for get in GET_TOOLS {
            assert!(call_text(&mut client, get, json!({})).await.contains("error"), "{get}");
        }

        let set = call_text(&mut client, SET_TOOL, json!({"credentials_json": CREDENTIALS})).await;
        assert_eq!(set, "Successfully set AWS credentials in context for region: us-west-2");
        assert_eq!(caller_user(&mut client).await.as_deref(), Some("tester"));

        let info = r#"{"service_id":"svc-1","zone":"b","cluster":"a"}"#;
        let arguments: Value = serde_json::from_str(info).unwrap();
        let set = call_text(&mut client, "set_service_context_info", arguments).await;
        assert_eq!(set, "Successfully set service context for: svc-1");
        assert_eq!(call_text(&mut client, GET_TOOLS[1], json!({})).await, info, "key order included");
        for get in GET_TOOLS {
            assert!(!call_text(&mut client, get, json!({})).await.contains("error"), "{get}");
        }

        let job = r#"{"spec": {"provider_credential_id": "cred-1"}}"#;
        let extracted = call_text(
            &mut client,
            "extract_and_set_credentials_from_stack_job",
            json!({"stack_job_json": job}),
        )
        .await;
        assert!(extracted.starts_with("Successfully extracted and set AWS credentials"), "{extracted}");
        assert_eq!(caller_user(&mut client).await.as_deref(), Some("job"));

        let cleared = call_text(&mut client, "clear_credential_context", json!({})).await;
        assert_eq!(cleared, "Successfully cleared all credentials and context from memory");
        assert_eq!(caller_user(&mut client).await, None);
        for get in GET_TOOLS {
            assert!(call_text(&mut client, get, json!({})).await.contains("error"), "{get}");
        }
        // The manual flow: the platform's own tool returns the credentials, and the client sets them.
        call_text(&mut client, SET_TOOL, json!({"credentials_json": JOB_CREDENTIALS})).await;
        assert_eq!(caller_user(&mut client).await.as_deref(), Some("job"));
        assert_eq!(client.close().await.code, Some(0));
    }
    aws.stop().await.unwrap();
}

#[tokio::test]
async fn acceptance_invalid_input_reports_errors() {
    let aws = start_aws().await;
    let fixture = fixture_for(&aws, "memory");
    let mut client = connect_client(&fixture, ERAS[0]).await;
    for (input, expected) in [
        (r#"{"secret_access_key": "s"}"#, "Error: Missing required field 'access_key_id'"),
        (r#"{"access_key_id": "AKIA_TEST"}"#, "Error: Missing required field 'secret_access_key'"),
        ("not json", "Error: Invalid JSON"),
    ] {
        let failed = call_text(&mut client, SET_TOOL, json!({"credentials_json": input})).await;
        assert!(failed.starts_with(expected), "{failed}");
    }
    let failed =
        call_text(&mut client, "extract_and_set_credentials_from_stack_job", json!({"stack_job_json": "{}"}))
            .await;
    assert!(failed.starts_with("Error"), "{failed}");
    let set = call_text(&mut client, "set_service_context_info", json!({"name": "web"})).await;
    assert_eq!(set, "Successfully set service context for: unknown");
    assert_eq!(client.close().await.code, Some(0));
    aws.stop().await.unwrap();
}

#[tokio::test]
async fn acceptance_environment_fallback_is_configurable() {
    let aws = start_aws().await;
    let fixture = fixture_for(&aws, "environment");
    let mut client = connect_client(&fixture, ERAS[0]).await;
    assert_eq!(caller_user(&mut client).await.as_deref(), Some("platform"));
    call_text(&mut client, SET_TOOL, json!({"credentials_json": CREDENTIALS})).await;
    assert_eq!(caller_user(&mut client).await.as_deref(), Some("tester"), "what was set wins");
    assert_eq!(client.close().await.code, Some(0));
    aws.stop().await.unwrap();
}

#[tokio::test]
async fn acceptance_concurrent_sessions_are_isolated() {
    let aws = start_aws().await;
    let fixture = fixture_for(&aws, "memory");
    let (mut first, mut second) =
        tokio::join!(connect_client(&fixture, ERAS[0]), connect_client(&fixture, ERAS[1]));
    call_text(&mut first, SET_TOOL, json!({"credentials_json": CREDENTIALS})).await;
    call_text(&mut second, SET_TOOL, json!({"credentials_json": JOB_CREDENTIALS})).await;
    for _ in 0..5 {
        let (one, other) = tokio::join!(caller_user(&mut first), caller_user(&mut second));
        assert_eq!((one.as_deref(), other.as_deref()), (Some("tester"), Some("job")));
    }
    call_text(&mut first, "clear_credential_context", json!({})).await;
    let (one, other) = tokio::join!(caller_user(&mut first), caller_user(&mut second));
    assert_eq!((one.as_deref(), other.as_deref()), (None, Some("job")));
    assert_eq!(first.close().await.code, Some(0));
    assert_eq!(caller_user(&mut second).await.as_deref(), Some("job"), "the end of the other costs nothing");
    assert_eq!(second.close().await.code, Some(0));
    aws.stop().await.unwrap();
}
