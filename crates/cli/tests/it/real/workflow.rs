//! The agent for ECS services that valetkey was written for: LangGraph with two sub-agents, over LangChain's adapters.

use serde_json::{Value, json};
use valetkey_local_aws::{LocalAws, LocalAwsBuilder, SecretSpec, UserSpec};
use valetkey_rig::{Script, Venv};

use super::python_script;
use crate::serve::fixture_with_server;
use crate::serve::http::{HttpGatewayFixture, PRINCIPALS};

/// The agent's runs. Each one has a stack job with a credential of its own; the last run fails.
const RUNS: [&str; 3] = ["AAAA", "BBBB", "CCCC"];

/// The resolver reads the credential of a stack job with the platform's own keys.
const RESOLVER: &str = "
[accounts.host]
provider = 'environment'
[resolver]
provider = 'secrets-manager'
source = 'host'
prefix = 'cred/'
[servers.aws]
credentials = 'env'
";

fn add_run(aws: LocalAwsBuilder, run: &str) -> LocalAwsBuilder {
    let (key, secret) = (format!("AKIA_{run}"), format!("secret_{run}"));
    let credentials = json!({"access_key_id": key, "secret_access_key": secret}).to_string();
    aws.user(UserSpec::new("111111111111", run, &key, &secret)).secret(SecretSpec::new(
        "999999999999",
        &format!("cred/cred-{run}"),
        &credentials,
    ))
}

async fn run_workflow() -> Value {
    let platform = UserSpec::new("999999999999", "platform", "AKIA_PLATFORM", "secret_platform");
    let aws = RUNS.into_iter().fold(LocalAws::builder().user(platform), add_run).start().await.unwrap();
    let fixture = fixture_with_server(&aws.endpoint_url())
        .env("AWS_ENDPOINT_URL", aws.endpoint_url())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIA_PLATFORM")
        .env("AWS_SECRET_ACCESS_KEY", "secret_platform")
        .file("valetkey.toml", format!("{PRINCIPALS}{RESOLVER}"));
    let gateway = HttpGatewayFixture::start(&fixture, &["--mcp-config", "mcp.json"]).await;
    let script = Script::python_in(Venv::Workflow, python_script("workflow.py"));
    let output = script.arg(gateway.url()).arg("token-of-alice").run().await.unwrap();
    gateway.stop().await;
    assert!(!RUNS.iter().any(|run| output.contains(&format!("secret_{run}"))), "{output}");
    serde_json::from_str(&output).unwrap()
}

/// Asserts that the calls of a run had this outcome, in this order.
fn assert_log(log: &Value, expected: &[(&str, &str)]) {
    let log = log.as_array().unwrap();
    assert_eq!(log.len(), expected.len(), "{log:#?}");
    for (entry, (name, text)) in log.iter().zip(expected) {
        assert_eq!(entry[0], *name, "{log:#?}");
        assert!(entry[1].as_str().unwrap().contains(text), "no {text} in {log:#?}");
    }
}

#[tokio::test]
async fn langgraph_runs_at_once_act_as_their_own_users() {
    let output = run_workflow().await;
    for run in &RUNS[..2] {
        let (arn, service) = (format!("arn:aws:iam::111111111111:user/{run}"), format!("svc-{run}"));
        let expected = [
            ("prepare", "Successfully extracted and set AWS credentials"),
            ("aws__get_caller_identity", arn.as_str()),
            ("set_service_context_info", &service),
            ("get_service_context_info", &service),
            ("get_aws_credentials_context", run),
            ("aws__get_caller_identity", &arn),
        ];
        assert_log(&output[run]["log"], &expected);
        assert_eq!(output[run]["failure"], Value::Null, "{output:#}");
    }
    assert_eq!(output[RUNS[2]]["failure"], "the second sub-agent fails");
    for run in RUNS {
        let run = &output[run];
        assert_eq!(run["cleared"], "Successfully cleared all credentials and context from memory");
        for text in [&run["after"][0], &run["after"][1]] {
            assert!(text.as_str().unwrap().starts_with("{\"error\""), "{run:#}");
        }
        assert!(run["late"].as_str().unwrap().starts_with("Error: This session was cleared"), "{run:#}");
    }
}
