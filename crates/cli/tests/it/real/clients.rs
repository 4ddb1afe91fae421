//! The official clients of the second generation in both eras, and the MCP Inspector, over stdio and HTTP.

use serde_json::{Value, json};
use valetkey_rig::{Script, Venv, packages};

use super::{node_script, python_script};
use crate::cloud::CarelessCloud;
use crate::serve::http::{HttpGatewayFixture, PRINCIPALS};
use crate::serve::{CALLER_IDENTITY_TOOL, mcp_config, shell_with_server};
use crate::shell::Shell;

/// How a client negotiates the revision, and the one that it then has.
const MODES: [(&str, &str); 2] = [("legacy", "2025-11-25"), ("auto", "2026-07-28")];

fn python_client() -> Script {
    Script::python_in(Venv::Clients, python_script("client_2.py"))
}

fn typescript_client() -> Script {
    Script::node_with(Venv::Clients, node_script("client_2.mjs"))
}

async fn run(script: Script, args: &[&str]) -> Value {
    let said = args.iter().fold(script, |script, arg| script.arg(*arg)).run().await.unwrap();
    serde_json::from_str(said.trim()).unwrap_or_else(|_| panic!("{said}"))
}

/// Asserts that AWS saw the credentials that were set, and only while they were.
fn assert_acted(said: &Value, protocol: &str) {
    assert_eq!(said["protocol"], protocol, "{said:#}");
    assert!(said["tools"].as_array().unwrap().contains(&json!(CALLER_IDENTITY_TOOL)), "{said:#}");
    assert_eq!((&said["early"], &said["late"]), (&json!(true), &json!(true)), "{said:#}");
    assert_eq!(said["given"], "Successfully set AWS credentials in context for region: us-east-1");
    assert_eq!(said["arn"], "arn:aws:iam::111111111111:user/AAAA", "{said:#}");
    assert_eq!(said["cleared"], "Successfully cleared all credentials and context from memory");
}

async fn converse_over_stdio(client: fn() -> Script) {
    let cloud = CarelessCloud::start().await;
    let shell = shell_with_server(cloud.url());
    let config = shell.path("mcp.json");
    let gateway = [env!("CARGO_BIN_EXE_valetkey"), "serve", "--mcp-config", config.to_str().unwrap()];
    for (mode, protocol) in MODES {
        let said = run(client(), &[&[mode, "stdio"], &gateway[..]].concat()).await;
        assert_acted(&said, protocol);
    }
}

/// Returns a shell whose gateway over HTTP has the server `aws`.
fn shell_with_principals(cloud: &CarelessCloud) -> Shell {
    shell_with_server(cloud.url()).file("valetkey.toml", PRINCIPALS)
}

async fn converse_over_http(client: fn() -> Script) {
    let cloud = CarelessCloud::start().await;
    let shell = shell_with_principals(&cloud);
    let gateway = HttpGatewayFixture::start(&shell, &["--mcp-config", "mcp.json"]).await;
    for (mode, protocol) in MODES {
        let said = run(client(), &[mode, "http", &gateway.url(), "token-of-alice"]).await;
        assert_acted(&said, protocol);
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
    let cloud = CarelessCloud::start().await;
    let shell = shell_with_principals(&cloud);
    let (config, settings) = (shell.path("mcp.json"), shell.path("valetkey.toml"));
    let entry = json!({
        "command": env!("CARGO_BIN_EXE_valetkey"),
        "args": ["serve", "--principal", "alice", "--config", settings, "--mcp-config", config],
    });
    let shell = shell.file("client.json", mcp_config(json!({"valetkey": entry})));
    assert_inspected(&["--config", shell.path("client.json").to_str().unwrap(), "--server", "valetkey"])
        .await;

    let gateway = HttpGatewayFixture::start(&shell, &["--mcp-config", "mcp.json"]).await;
    let header = "Authorization: Bearer token-of-alice";
    assert_inspected(&["--transport", "http", "--server-url", &gateway.url(), "--header", header]).await;
    gateway.stop().await;
}
