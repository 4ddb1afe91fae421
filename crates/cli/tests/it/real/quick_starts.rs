//! The quick starts of the book, word for word: with an empty home, a local AWS, and real programs.

use serde_json::json;
use valetkey_rig::{Egress, Venv, aws_api_environment, program};

use crate::quick_start::QuickStartFixture;
use crate::serve::client_fixture::{McpClientFixture, ProtocolEra};

const BOTO3: &str = include_str!("../../../../../docs/quick-start/boto3.md");
const CLAUDE_CODE: &str = include_str!("../../../../../docs/quick-start/claude-code.md");
const VSCODE: &str = include_str!("../../../../../docs/quick-start/vscode.md");
const LANGGRAPH: &str = include_str!("../../../../../docs/quick-start/langgraph.md");

const ROLE_SESSION: &str = "arn:aws:sts::111111111111:assumed-role/agent/valetkey-";

/// A reader who has installed Python with the packages of `venv`, and the AWS API server, which reaches loopback only.
async fn reader_with_python(venv: Venv, egress: &Egress) -> QuickStartFixture {
    let reader = QuickStartFixture::start().await;
    reader.install("python", &format!("exec '{}' \"$@\"", venv.program("python").unwrap().display()));
    let server = program("awslabs.aws-api-mcp-server").unwrap();
    let env = aws_api_environment(egress);
    let env: String = env.iter().map(|(name, value)| format!("{name}='{value}' ")).collect();
    reader.install("awslabs.aws-api-mcp-server", &format!("{env} exec '{}' \"$@\"", server.display()));
    reader
}

/// Starts the gateway as the MCP client does whose file this is, and asserts that a server acts as the role.
async fn assert_gateway_acts_as_role(reader: &QuickStartFixture, file: &str, servers: &str) {
    let command = reader.registered_gateway(file, servers);
    let args: Vec<&str> = command[1..].iter().map(String::as_str).collect();
    let command = reader.fixture.path("bin").join(&command[0]);
    let mut client = McpClientFixture::start_program(
        &reader.fixture,
        ProtocolEra::Modern,
        command.to_str().unwrap(),
        &args,
    );
    let tools = client.tools().await;
    assert!(tools.iter().any(|tool| tool == "list_aws_accounts"), "{tools:?}");
    let whoami = json!({"cli_command": "aws sts get-caller-identity"});
    let result = client.call("aws-api__call_aws", whoami.clone()).await;
    assert!(result.to_string().contains(ROLE_SESSION), "{result:#}");
    client.call("clear_credential_context", json!({})).await;
    let refused = client.call("aws-api__call_aws", whoami).await;
    assert_eq!(refused["isError"], true, "{refused:#}");
    client.close().await;
}

#[tokio::test]
async fn boto3_quick_start_runs_as_written() {
    let egress = Egress::start().await.unwrap();
    let reader = reader_with_python(Venv::Main, &egress).await;
    reader.write_files(BOTO3);
    assert_eq!(reader.run_commands(BOTO3).await, 3);
    reader.stop().await;
    egress.stop().await.unwrap();
}

#[tokio::test]
async fn claude_code_and_vscode_quick_starts_run_as_written() {
    let egress = Egress::start().await.unwrap();
    let reader = reader_with_python(Venv::Main, &egress).await;
    reader.write_files(CLAUDE_CODE);
    reader.write_files(VSCODE);
    assert_eq!(reader.run_commands(CLAUDE_CODE).await, 1);
    assert_gateway_acts_as_role(&reader, ".mcp.json", "mcpServers").await;
    assert_gateway_acts_as_role(&reader, ".vscode/mcp.json", "servers").await;
    reader.stop().await;
    egress.stop().await.unwrap();
}

#[tokio::test]
async fn langgraph_quick_start_runs_as_written() {
    let egress = Egress::start().await.unwrap();
    let reader = reader_with_python(Venv::Workflow, &egress).await;
    reader.write_files(CLAUDE_CODE);
    reader.write_files(LANGGRAPH);
    assert_eq!(reader.run_commands(LANGGRAPH).await, 1);
    reader.stop().await;
    egress.stop().await.unwrap();
}
