//! The official Python client, the gateway, and a real AWS server behind it.

use serde_json::{Value, json};
use valetkey_rig::{Egress, Moto, Script, aws_api_environment, aws_environment};

use super::{program_path, python_script};
use crate::program_fixture::ProgramFixture;
use crate::serve::mcp_config;

#[tokio::test]
async fn serve_python_client_acts_as_last_set_credentials() {
    let (moto, egress) = tokio::try_join!(Moto::start(), Egress::start()).unwrap();
    let env: serde_json::Map<String, Value> =
        aws_api_environment(&egress).into_iter().map(|(name, value)| (name, json!(value))).collect();
    let server = json!({"command": program_path("awslabs.aws-api-mcp-server"), "env": env});
    let fixture = ProgramFixture::new().file("mcp.json", mcp_config(json!({"aws-api": server})));
    let output = Script::new(python_script("gateway_client.py"))
        .arg(env!("CARGO_BIN_EXE_valetkey"))
        .arg(fixture.path("mcp.json"))
        .envs(aws_environment(&moto.url()))
        .run()
        .await
        .unwrap();
    let output: Value = serde_json::from_str(output.trim()).unwrap();

    for tool in ["set_aws_credentials_context", "clear_credential_context", "aws-api__call_aws"] {
        assert!(output["tools"].as_array().unwrap().contains(&json!(tool)), "{output:#}");
    }
    assert_eq!(output["early"]["is_error"], true, "{output:#}");
    for (step, account) in [("a", "111111111111"), ("b", "222222222222")] {
        assert_eq!(output[step]["is_error"], false, "{output:#}");
        let arn = format!("arn:aws:sts::{account}:assumed-role/agent/agent-{step}");
        assert!(output[step]["text"].as_str().unwrap().contains(&arn), "{output:#}");
    }
    assert_eq!(output["cleared"]["is_error"], true, "{output:#}");
    // Each account has a server process of its own: other credentials replace the process.
    for step in ["a", "b"] {
        assert!(output[step]["pids"].as_array().is_some_and(|pids| pids.len() == 1), "{output:#}");
    }
    assert_ne!(output["a"]["pids"], output["b"]["pids"]);
    assert_eq!(output["left"], json!([]), "{output:#}");
    for secret in output["secrets"].as_array().unwrap() {
        assert_eq!(output["heard"].as_str().unwrap().matches(secret.as_str().unwrap()).count(), 0);
    }
    tokio::try_join!(moto.stop(), egress.stop()).unwrap();
}
