//! The agent for ECS services that valetkey was written for: LangGraph with two sub-agents, over LangChain's adapters.
//! Agents of other frameworks: the OpenAI Agents SDK and Strands.

use serde_json::{Value, json};
use valetkey_local_aws::{LocalAws, LocalAwsBuilder, SecretSpec, UserSpec};
use valetkey_rig::{Moto, Script, Venv};

use super::resolver::TOOL_RESOLVER;
use super::{program_path, python_script};
use crate::program_fixture::ProgramFixture;
use crate::serve::http::{HttpGatewayFixture, PRINCIPALS};
use crate::serve::{demo_server_entry, fixture_with_server, mcp_config};

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

const KEYS_FILE: &str = "keys";

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
    let output = run_agent(Venv::Workflow, "workflow.py", gateway).await;
    assert!(!RUNS.iter().any(|run| output.contains(&format!("secret_{run}"))), "{output}");
    serde_json::from_str(&output).unwrap()
}

/// Runs an agent as a client of the gateway, stops the gateway, and returns what the agent printed.
async fn run_agent(venv: Venv, script: &str, gateway: HttpGatewayFixture) -> String {
    let script = Script::python_in(venv, python_script(script));
    let output = script.arg(gateway.url()).arg("token-of-alice").run().await.unwrap();
    gateway.stop().await;
    output
}

/// Runs the acceptance flow with the platform's tool as the resolver, and returns the output of its runs. The platform
/// creates the users and their keys in moto; neither the agent's output nor all that it received contains such a key.
async fn run_acceptance_workflow() -> Value {
    let moto = Moto::start().await.unwrap();
    let fixture = ProgramFixture::new().file("valetkey.toml", format!("{PRINCIPALS}{TOOL_RESOLVER}"));
    let platform = json!({
        "command": program_path("python"),
        "args": [python_script("platform_server.py")],
        "env": {"PLATFORM_AWS_URL": moto.url(), "KEYS_FILE": fixture.path(KEYS_FILE)},
    });
    let servers = json!({"aws": demo_server_entry(&moto.url()), "platform": platform});
    let fixture = fixture.file("mcp.json", mcp_config(servers));
    let gateway = HttpGatewayFixture::start(&fixture, &["--mcp-config", "mcp.json"]).await;
    let output = run_agent(Venv::Workflow, "acceptance_workflow.py", gateway).await;
    let keys = std::fs::read_to_string(fixture.path(KEYS_FILE)).unwrap();
    assert_eq!(keys.lines().count(), 2 * RUNS.len(), "one key for each run");
    assert!(!keys.lines().any(|key| output.contains(key)), "{output}");
    moto.stop().await.unwrap();
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
    assert_all_cleared(&output);
}

/// Asserts that each run, the failed one too, cleared its session, and that no server's tool runs afterwards.
fn assert_all_cleared(output: &Value) {
    for run in RUNS {
        let run = &output[run];
        assert_eq!(run["cleared"], "Successfully cleared all credentials and context from memory");
        for text in [&run["after"][0], &run["after"][1]] {
            assert!(text.as_str().unwrap().starts_with("{\"error\""), "{run:#}");
        }
        assert!(run["late"].as_str().unwrap().starts_with("Error: This session was cleared"), "{run:#}");
    }
}

#[tokio::test]
async fn langgraph_acceptance_flow_with_mcp_resolver_passes() {
    let output = run_acceptance_workflow().await;
    for run in &RUNS[..2] {
        let (arn, service) = (format!("arn:aws:iam::111111111111:user/{run}"), format!("svc-{run}"));
        let info = format!(r#"{{"service_id":"{service}","zone":"b","cluster":"a"}}"#);
        let (who, set, set_service) =
            ("aws__get_caller_identity", "set_aws_credentials_context", "set_service_context_info");
        let extract = "extract_and_set_credentials_from_stack_job";
        let expected = [
            ("tools", extract),
            ("hidden", "refused: unknown tool"),
            ("get_aws_credentials_context", "\"error\""),
            ("get_service_context_info", "\"error\""),
            (who, "Error"),
            (set, "Successfully set AWS credentials in context for region: us-west-2"),
            ("get_aws_credentials_context", "us-west-2"),
            ("platform__get_aws_credential", "not a valid tool"),
            ("platform__get_stack_job", "provider_credential_id"),
            (extract, "Error"),
            (extract, "Successfully extracted and set AWS credentials"),
            ("get_aws_credentials_context", "us-west-2"),
            (who, &arn),
            (set_service, "Successfully set service context for: unknown"),
            (set_service, &format!("Successfully set service context for: {service}")),
            ("get_service_context_info", &info),
            (set, "Error: Missing required field 'access_key_id'"),
            (set, "Error: Missing required field 'secret_access_key'"),
            (set, "Error: Invalid JSON"),
            (who, &arn),
        ];
        assert_log(&output[run]["log"], &expected);
        assert_hidden(&output[run]["log"]);
        assert_eq!(output[run]["failure"], Value::Null, "{output:#}");
    }
    assert_eq!(output[RUNS[2]]["failure"], "the second sub-agent fails");
    assert_all_cleared(&output);
}

/// Asserts that the resolver's tool is not listed.
fn assert_hidden(log: &Value) {
    let tools = log[0][1].as_str().unwrap();
    assert!(tools.contains("platform__get_stack_job"), "{tools}");
    assert!(!tools.split(' ').any(|tool| tool == "platform__get_aws_credential"), "{tools}");
}

/// Runs two agents of a framework at once, each of which sets keys and reads its identity from AWS.
async fn assert_agents_act_in_own_sessions(script: &str) {
    let aws = RUNS.into_iter().fold(LocalAws::builder(), add_run).start().await.unwrap();
    let settings = format!("{PRINCIPALS}[servers.aws]\ncredentials = 'env'\n");
    let fixture = fixture_with_server(&aws.endpoint_url()).file("valetkey.toml", settings);
    let gateway = HttpGatewayFixture::start(&fixture, &["--mcp-config", "mcp.json"]).await;
    let output = run_agent(Venv::Agents, script, gateway).await;
    let results: Value = serde_json::from_str(&output).unwrap();
    for (run, other) in [("AAAA", "BBBB"), ("BBBB", "AAAA")] {
        let result = results[run].as_str().unwrap();
        assert!(
            result.contains(&format!("user/{run}")) && !result.contains(&format!("user/{other}")),
            "{output}"
        );
    }
    assert!(!RUNS.iter().any(|run| output.contains(&format!("secret_{run}"))), "{output}");
}

#[tokio::test]
async fn openai_agents_act_in_sessions_of_their_own() {
    assert_agents_act_in_own_sessions("openai_agents.py").await;
}

#[tokio::test]
async fn strands_agents_act_in_sessions_of_their_own() {
    assert_agents_act_in_own_sessions("strands_agents.py").await;
}
