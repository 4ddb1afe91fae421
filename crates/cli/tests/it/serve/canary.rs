//! Canaries at TRACE: no output of the gateway contains a secret, and the session does contain it.

use serde_json::{Value, json};
use valetkey_core::testing::Canary;

use super::client_fixture::{ERAS, McpClientFixture, ProtocolEra};
use super::http::{HttpGatewayFixture, PRINCIPALS};
use super::shutdown::descendants;
use super::{demo_server_entry, mcp_config};
use crate::aws_fixture::AwsFixture;
use crate::program_fixture::{ProgramFixture, ProgramOutput};

const LOG_LEVELS: [&str; 2] =
    ["trace", "trace,rmcp=trace,hyper=trace,h2=trace,aws_smithy_runtime=trace,aws_sdk_sts=trace,axum=trace"];

/// A server that returns its own environment, the worst case of a server without malice.
const CHATTY_SERVER: &str = r#"
while read -r line; do
    id=$(echo "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
    output=$(env | tr '\n"\\' '   ')
    case $line in
    *'"initialize"'*) result='{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"chatty","version":"1"}}' ;;
    *'"tools/list"'*) result='{"tools":[{"name":"tell","inputSchema":{"type":"object"}}]}' ;;
    *'"tools/call"'*) env >&2; result='{"content":[{"type":"text","text":"'$output'"}]}' ;;
    *'"server/discover"'*) echo '{"jsonrpc":"2.0","id":'$id',"error":{"code":-32601,"message":"unknown"}}'; continue ;;
    *) continue ;;
    esac
    echo '{"jsonrpc":"2.0","id":'$id',"result":'$result'}'
done"#;

const SETTINGS: &str = "[servers.keys]\ncredentials = 'env'\n[servers.chattykeys]\ncredentials = 'env'\n\
                        [audit]\nfile = 'audit.jsonl'\n";

fn fixture_for(aws: &AwsFixture) -> ProgramFixture {
    let aws = demo_server_entry(aws.url());
    let chatty = json!({"command": "sh", "args": ["-c", CHATTY_SERVER]});
    ProgramFixture::new()
        .file(
            "mcp.json",
            mcp_config(json!({
                "aws": aws, "keys": aws, "chatty": chatty, "chattykeys": chatty, "missing": {"command": "no-such-program"},
            })),
        )
        .file("valetkey.toml", SETTINGS)
}

/// Calls every tool, with valid and with invalid input.
async fn call_everything(
    fixture: &ProgramFixture,
    era: ProtocolEra,
    arguments: &[&str],
    canary: &Canary,
) -> (ProgramOutput, Vec<Value>) {
    let mut client = McpClientFixture::connect_with(fixture, era, arguments).await;
    client.tools().await;
    client.set_credentials(canary.to_json()).await;
    client.tools().await;
    let mut responses = Vec::new();
    for (tool, arguments) in tool_calls(canary) {
        responses.push(client.request("tools/call", json!({"name": tool, "arguments": arguments})).await);
    }
    for (method, params) in [("tools/call", canary.to_json()), ("nonsense", canary.to_json())] {
        responses.push(client.request(method, params).await);
    }
    (client.close().await, responses)
}

/// Returns calls of every tool, with valid and with invalid input.
fn tool_calls(canary: &Canary) -> [(&'static str, Value); 19] {
    let broken = json!({"access_key_id": "x\u{1}", "secret_access_key": canary.expose_secret()});
    let wrong =
        json!({"credentials_json": format!("{{\"secret_access_key\": \"{}\"", canary.expose_secret())});
    [
        ("set_aws_credentials_context", json!({"credentials_json": canary.to_json().to_string()})),
        ("set_aws_credentials_context", json!({"credentials_json": broken})),
        ("set_aws_credentials_context", wrong),
        ("set_aws_credentials_context", json!({"credentials_json": [canary.to_json()]})),
        ("set_aws_credentials_context", canary.to_json()),
        ("get_aws_credentials_context", json!({})),
        ("get_aws_credentials_context", json!({"account": canary.expose_secret()})),
        ("extract_and_set_credentials_from_stack_job", json!({"stack_job_json": canary.to_json()})),
        ("set_service_context_info", json!({"service_id": "svc"})),
        ("get_service_context_info", json!({})),
        ("aws__get_caller_identity", json!({})),
        ("aws__get_caller_identity", canary.to_json()),
        ("keys__get_caller_identity", json!({})),
        ("chatty__tell", json!({})),
        ("chattykeys__tell", json!({})),
        ("chattykeys__tell", canary.to_json()),
        ("missing__tell", canary.to_json()),
        ("clear_credential_context", json!({})),
        ("chattykeys__tell", json!({})),
    ]
}

fn assert_no_canary(canary: &Canary, what: &str, text: &str) {
    let lines: Vec<_> = text.lines().filter(|line| !canary.found_in(line).is_empty()).collect();
    assert!(lines.is_empty(), "{:?} in {what}: {lines:#?}", canary.found_in(text));
}

/// A whole key id is not a secret, so it remains in the output of a server that prints its own environment.
fn assert_only_server_output_has_key_id(canary: &Canary, stdout: &str) {
    let (reported, rest): (Vec<&str>, Vec<&str>) =
        stdout.lines().partition(|line| line.contains("AWS_ACCESS_KEY_ID="));
    assert_eq!(canary.found_in(&reported.join("\n")), ["access_key_id"]);
    assert_no_canary(canary, "standard output", &rest.join("\n"));
}

#[tokio::test]
async fn serve_at_trace_outputs_no_secret() {
    for (level, era) in
        [(LOG_LEVELS[0], ERAS[0]), (LOG_LEVELS[1], ProtocolEra::Modern), (LOG_LEVELS[1], ERAS[1])]
    {
        let (aws, canary) = (AwsFixture::start().await, Canary::new());
        let fixture = fixture_for(&aws).env("VALETKEY_LOG", level);
        let (output, responses) =
            call_everything(&fixture, era, &["serve", "--mcp-config", "mcp.json"], &canary).await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert!(output.stderr.contains("TRACE") || output.stderr.contains("DEBUG"), "nothing was logged");
        assert_no_canary(&canary, "standard error", &output.stderr);
        assert_only_server_output_has_key_id(&canary, &output.stdout);
        assert_no_canary(
            &canary,
            "the audit file",
            &std::fs::read_to_string(fixture.path("audit.jsonl")).unwrap(),
        );

        // The session did have the secrets: the fake AWS received the token, and the servers received secrets to
        // redact.
        assert_eq!(canary.found_in(&aws.received_credentials()), ["token", "access_key_id"]);
        let response = responses[14].to_string();
        assert!(
            response.contains("AWS_SECRET_ACCESS_KEY=[redacted] ")
                && responses[14]["result"]["isError"] != true,
            "{response}"
        );
        let response = responses[13].to_string();
        // The token of the endpoint is a secret as well.
        assert!(response.contains("AWS_CONTAINER_AUTHORIZATION_TOKEN=[redacted] "), "{response}");
    }
}

/// Makes the requests of a client over HTTP, and returns all replies with their headers.
async fn request_everything_over_http(gateway: &HttpGatewayFixture, canary: &Canary) -> Vec<String> {
    let token = Some("token-of-alice");
    let (_, mut created) = gateway.call(token, "create_credential_session", json!({})).await;
    let handle = created["result"]["structuredContent"]["credential_session"].take();
    let mut replies = Vec::new();
    for (tool, mut arguments) in tool_calls(canary) {
        if let Some(arguments) = arguments.as_object_mut() {
            arguments.insert("credential_session".to_owned(), handle.clone());
        }
        let params = json!({"name": tool, "arguments": arguments});
        replies.push(gateway.request(token, "tools/call", params).await);
        if tool == "keys__get_caller_identity" {
            assert_secret_reached_process(gateway, canary);
        }
    }
    for (method, params) in [("tools/list", json!({})), ("nonsense", canary.to_json())] {
        replies.push(gateway.request(token, method, params).await);
    }
    let named = json!({"name": "get_aws_credentials_context", "arguments": canary.to_json()});
    for token in [None, Some(canary.expose_secret())] {
        replies.push(gateway.request(token, "tools/call", named.clone()).await);
    }
    replies
}

/// Asserts that a process of the gateway has the keys in its environment.
fn assert_secret_reached_process(gateway: &HttpGatewayFixture, canary: &Canary) {
    let environments = descendants(gateway.pid())
        .into_iter()
        .map(|pid| std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap_or_default());
    let found: Vec<_> = environments.map(|environment| canary.found_in(&environment)).collect();
    assert!(found.iter().any(|marks| *marks == ["secret", "token", "access_key_id"]), "{found:?}");
}

#[tokio::test]
async fn serve_http_at_trace_outputs_no_secret() {
    for level in LOG_LEVELS {
        let (aws, canary) = (AwsFixture::start().await, Canary::new());
        let fixture = fixture_for(&aws).env("VALETKEY_LOG", level);
        let fixture = fixture.file("valetkey.toml", format!("{PRINCIPALS}{SETTINGS}"));
        let gateway = HttpGatewayFixture::start(&fixture, &["--mcp-config", "mcp.json"]).await;
        let replies = request_everything_over_http(&gateway, &canary).await;
        let output = gateway.stop_with_output().await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""), "{}", output.stderr);
        assert!(output.stderr.contains("TRACE") || output.stderr.contains("DEBUG"), "nothing was logged");
        let audit = std::fs::read_to_string(fixture.path("audit.jsonl")).unwrap();
        assert!(audit.contains("\"serve\"") && audit.contains("alice"), "{audit}");
        for (what, text) in [("standard error", &output.stderr), ("the audit file", &audit)] {
            assert_no_canary(&canary, what, text);
            assert!(!text.contains("token-of-alice"), "the caller's token in {what}: {text}");
        }
        assert_only_server_output_has_key_id(&canary, &replies.join("\n"));
        let masked = ["AWS_SECRET_ACCESS_KEY=[redacted] ", "AWS_CONTAINER_AUTHORIZATION_TOKEN=[redacted] "];
        for part in masked {
            assert!(replies.iter().any(|reply| reply.contains(part)), "{part}: {replies:#?}");
        }
        assert_eq!(canary.found_in(&aws.received_credentials()), ["token", "access_key_id"]);
    }
}

#[tokio::test]
async fn serve_log_option_keeps_stdout_for_protocol() {
    let (aws, canary) = (AwsFixture::start().await, Canary::new());
    let arguments = ["serve", "--log", "trace", "--color", "always", "--mcp-config", "mcp.json"];
    // The client accepts only messages on standard output.
    let (output, _) = call_everything(&fixture_for(&aws), ProtocolEra::Modern, &arguments, &canary).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stderr.contains("\x1b["), "{}", output.stderr);
    assert_no_canary(&canary, "standard error", &output.stderr);
    assert_only_server_output_has_key_id(&canary, &output.stdout);
}

#[tokio::test]
async fn exec_at_trace_gives_secret_to_program_only() {
    let canary = Canary::new();
    let keys = canary.to_json();
    let fixture = ProgramFixture::new()
        .env("VALETKEY_LOG", LOG_LEVELS[1])
        .env("AWS_ACCESS_KEY_ID", keys["access_key_id"].as_str().unwrap())
        .env("AWS_SECRET_ACCESS_KEY", keys["secret_access_key"].as_str().unwrap())
        .env("AWS_SESSION_TOKEN", keys["session_token"].as_str().unwrap());
    let by_environment = fixture.run(&["exec", "--delivery", "env", "--", "env"]).await;
    assert_eq!(canary.found_in(&by_environment.stdout), ["secret", "token", "access_key_id"]);
    assert_no_canary(&canary, "standard error", &by_environment.stderr);
    let by_endpoint = fixture.run(&["exec", "--", "env"]).await;
    assert_no_canary(&canary, "all output", &by_endpoint.combined_output());
}
