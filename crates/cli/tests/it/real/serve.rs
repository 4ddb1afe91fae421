//! The official Python client, the gateway, and a real AWS server behind it.

use serde_json::{Value, json};
use valetkey_rig::{Egress, Moto, Script, aws_api_environment, aws_environment};

use super::{program_path, python_script};
use crate::serve::mcp_config;
use crate::shell::Shell;

#[tokio::test]
async fn serve_python_client_acts_as_last_set_credentials() {
    let (moto, egress) = tokio::try_join!(Moto::start(), Egress::start()).unwrap();
    let env: serde_json::Map<String, Value> =
        aws_api_environment(&egress).into_iter().map(|(name, value)| (name, json!(value))).collect();
    let server = json!({"command": program_path("awslabs.aws-api-mcp-server"), "env": env});
    let shell = Shell::new().file("mcp.json", mcp_config(json!({"aws-api": server})));
    let said = Script::new(python_script("gateway_client.py"))
        .arg(env!("CARGO_BIN_EXE_valetkey"))
        .arg(shell.path("mcp.json"))
        .envs(aws_environment(&moto.url()))
        .run()
        .await
        .unwrap();
    let said: Value = serde_json::from_str(said.trim()).unwrap();

    for tool in ["set_aws_credentials_context", "clear_credential_context", "aws-api__call_aws"] {
        assert!(said["tools"].as_array().unwrap().contains(&json!(tool)), "{said:#}");
    }
    assert_eq!(said["early"]["is_error"], true, "{said:#}");
    for (step, account) in [("a", "111111111111"), ("b", "222222222222")] {
        assert_eq!(said[step]["is_error"], false, "{said:#}");
        let arn = format!("arn:aws:sts::{account}:assumed-role/agent/agent-{step}");
        assert!(said[step]["text"].as_str().unwrap().contains(&arn), "{said:#}");
    }
    assert_eq!(said["cleared"]["is_error"], true, "{said:#}");
    // Each account has a server process of its own: other credentials replace the process.
    for step in ["a", "b"] {
        assert!(said[step]["pids"].as_array().is_some_and(|pids| pids.len() == 1), "{said:#}");
    }
    assert_ne!(said["a"]["pids"], said["b"]["pids"]);
    assert_eq!(said["left"], json!([]), "{said:#}");
    for secret in said["secrets"].as_array().unwrap() {
        assert_eq!(said["heard"].as_str().unwrap().matches(secret.as_str().unwrap()).count(), 0);
    }
    tokio::try_join!(moto.stop(), egress.stop()).unwrap();
}
