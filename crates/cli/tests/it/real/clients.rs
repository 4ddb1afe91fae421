//! The official clients of the second generation in both eras, and the MCP Inspector, over stdio and HTTP.

use serde_json::{Value, json};
use valetkey_rig::{Script, Venv, packages};

use super::{node_script, program_path, python_script};
use crate::aws_fixture::AwsFixture;
use crate::program_fixture::ProgramFixture;
use crate::serve::http::{HttpGatewayFixture, PRINCIPALS};
use crate::serve::{CALLER_IDENTITY_TOOL, fixture_with_server, mcp_config};

/// How a client negotiates the revision, and the one that it then has.
const MODES: [(&str, &str); 2] = [("legacy", "2025-11-25"), ("auto", "2026-07-28")];

fn python_client() -> Script {
    Script::python_in(Venv::Clients, python_script("client_2.py"))
}

fn typescript_client() -> Script {
    Script::node_with(Venv::Clients, node_script("client_2.mjs"))
}

async fn run(script: Script, args: &[&str]) -> Value {
    let output = args.iter().fold(script, |script, arg| script.arg(*arg)).run().await.unwrap();
    serde_json::from_str(output.trim()).unwrap_or_else(|_| panic!("{output}"))
}

/// Asserts that AWS saw the credentials that were set, and only while they were.
fn assert_acted(output: &Value, protocol: &str) {
    assert_eq!(output["protocol"], protocol, "{output:#}");
    assert!(output["tools"].as_array().unwrap().contains(&json!(CALLER_IDENTITY_TOOL)), "{output:#}");
    assert_eq!((&output["early"], &output["late"]), (&json!(true), &json!(true)), "{output:#}");
    assert_eq!(output["given"], "Successfully set AWS credentials in context for region: us-east-1");
    assert_eq!(output["arn"], "arn:aws:iam::111111111111:user/AAAA", "{output:#}");
    assert_eq!(output["cleared"], "Successfully cleared all credentials and context from memory");
}

async fn converse_over_stdio(client: fn() -> Script) {
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_server(aws.url());
    let config = fixture.path("mcp.json");
    let gateway = [env!("CARGO_BIN_EXE_valetkey"), "serve", "--mcp-config", config.to_str().unwrap()];
    for (mode, protocol) in MODES {
        let output = run(client(), &[&[mode, "stdio"], &gateway[..]].concat()).await;
        assert_acted(&output, protocol);
    }
}

/// Returns a fixture whose gateway over HTTP has the server `aws`.
fn fixture_with_principals(aws: &AwsFixture) -> ProgramFixture {
    fixture_with_server(aws.url()).file("valetkey.toml", PRINCIPALS)
}

async fn converse_over_http(client: fn() -> Script) {
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_principals(&aws);
    let gateway = HttpGatewayFixture::start(&fixture, &["--mcp-config", "mcp.json"]).await;
    for (mode, protocol) in MODES {
        let output = run(client(), &[mode, "http", &gateway.url(), "token-of-alice"]).await;
        assert_acted(&output, protocol);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn python_2_client_over_stdio_acts_in_each_era() {
    converse_over_stdio(python_client).await;
}

#[tokio::test]
async fn typescript_2_client_over_stdio_acts_in_each_era() {
    converse_over_stdio(typescript_client).await;
}

#[tokio::test]
async fn python_2_client_over_http_acts_in_each_era() {
    converse_over_http(python_client).await;
}

#[tokio::test]
async fn typescript_2_client_over_http_acts_in_each_era() {
    converse_over_http(typescript_client).await;
}

/// A server of the first SDK generation requests input of a client of the second, which has the newest protocol or an
/// older one.
#[tokio::test]
async fn python_2_client_gives_input_to_python_1_server() {
    let server = json!({"command": program_path("python"), "args": [python_script("input_server.py")]});
    let fixture = ProgramFixture::new()
        .file("mcp.json", mcp_config(json!({"input": server})))
        .file("valetkey.toml", "[servers.input]\ncredentials = 'none'\n");
    let (settings, config) = (fixture.path("valetkey.toml"), fixture.path("mcp.json"));
    let (settings, config) = (settings.to_str().unwrap(), config.to_str().unwrap());
    let gateway = [env!("CARGO_BIN_EXE_valetkey"), "serve", "--config", settings, "--mcp-config", config];
    for (mode, protocol) in MODES {
        let client = Script::python_in(Venv::Clients, python_script("input_client.py"));
        let output = run(client, &[&[mode], &gateway[..]].concat()).await;
        assert_eq!(output["protocol"], protocol, "{output:#}");
        let gathered: Value = serde_json::from_str(output["text"].as_str().unwrap()).unwrap();
        let expected = json!({
            "name": "Ada, What is your name?",
            "roots": ["file:///work"],
            "sampled": "Greet! Hello.",
            "protocol": "2025-11-25",
        });
        assert_eq!(gathered, expected, "{output:#}");
    }
}

/// Runs the Inspector's command line with the arguments of a server and of a method.
async fn inspect(server: &[&str], method: &[&str]) -> Value {
    let inspector = packages::node_program(Venv::Clients, "mcp-inspector").unwrap();
    let script = Script::node_with(Venv::Clients, inspector);
    run(script, &[&["--cli"], server, method].concat()).await
}

async fn assert_inspected(server: &[&str]) {
    let listed = inspect(server, &["--method", "tools/list"]).await;
    let names: Vec<&Value> = listed["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert!(names.contains(&&json!(CALLER_IDENTITY_TOOL)), "{listed}");
    let called = inspect(server, &["--method", "tools/call", "--tool-name", "list_aws_accounts"]).await;
    assert_eq!(called["structuredContent"]["accounts"][0]["account"], "dev", "{called}");
}

#[tokio::test]
async fn inspector_lists_and_calls_over_stdio_and_http() {
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_principals(&aws);
    let (config, settings) = (fixture.path("mcp.json"), fixture.path("valetkey.toml"));
    let entry = json!({
        "command": env!("CARGO_BIN_EXE_valetkey"),
        "args": ["serve", "--principal", "alice", "--config", settings, "--mcp-config", config],
    });
    let fixture = fixture.file("client.json", mcp_config(json!({"valetkey": entry})));
    assert_inspected(&["--config", fixture.path("client.json").to_str().unwrap(), "--server", "valetkey"])
        .await;

    let gateway = HttpGatewayFixture::start(&fixture, &["--mcp-config", "mcp.json"]).await;
    let header = "Authorization: Bearer token-of-alice";
    assert_inspected(&["--transport", "http", "--server-url", &gateway.url(), "--header", header]).await;
    gateway.stop().await;
}
