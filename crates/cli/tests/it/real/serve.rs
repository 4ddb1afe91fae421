//! The official Python client, the gateway, a real AWS server behind it, and a server behind npx.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::{Value, json};
use valetkey_rig::{Egress, Moto, Script, Venv, aws_api_environment, aws_environment};

use super::{program_path, python_script};
use crate::aws_fixture::AwsFixture;
use crate::process::{runs, wait_until};
use crate::program_fixture::ProgramFixture;
use crate::serve::mcp_config;
use crate::serve::shutdown::{send_signal, start_http_servers};

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

/// Returns a server that npx runs from a package in `folder`. The package starts another process as well.
fn npx_server(folder: &ProgramFixture, aws: &str) -> Value {
    let bin = folder.path("node_modules/.bin");
    fs::create_dir_all(&bin).unwrap();
    let script = format!("#!/bin/sh\nsleep 600 &\n'{}' demo-server\n", env!("CARGO_BIN_EXE_valetkey"));
    fs::write(bin.join("packaged-server"), script).unwrap();
    fs::set_permissions(bin.join("packaged-server"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path("package.json"), "{}").unwrap();
    let node = Venv::Node.path().join("bin");
    json!({
        "command": node.join("npx"),
        "args": ["--no-install", "packaged-server"],
        "cwd": folder.path(""),
        "env": {
            "PATH": format!("{}:{}", node.display(), std::env::var("PATH").unwrap()),
            "AWS_ENDPOINT_URL": aws,
        },
    })
}

#[tokio::test]
async fn serve_http_stopped_or_killed_leaves_no_process_of_npx() {
    let aws = AwsFixture::start().await;
    let package = ProgramFixture::new();
    for (signal, code) in [(Signal::TERM, Some(0)), (Signal::KILL, None)] {
        let fixture = start_http_servers(json!({"aws": npx_server(&package, aws.url())})).await;
        assert!(fixture.processes.len() >= 5, "guardian, npx, script, server and another one");
        send_signal(signal, fixture.gateway.pid());
        assert_eq!(fixture.gateway.wait().await, code);
        wait_until("no process is left", || !fixture.processes.iter().any(|pid| runs(*pid))).await;
    }
}
