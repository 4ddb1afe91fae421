//! Tasks of the revision 2025-11-25: official clients follow those of the server `everything` through the gateway.

use serde_json::{Value, json};
use valetkey_rig::{Result, Script};

use super::http::{node_script, run_client};
use super::python_script;
use super::servers::everything_server;
use crate::host_fixture::example_path;
use crate::http::fixture::{ALICE, HttpGatewayFixture, tokens};

#[tokio::test]
async fn python_client_follows_tasks_of_everything() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mcp.json");
    let server = everything_server();
    let entry = json!({"command": server.command, "args": server.args, "env": server.env});
    std::fs::write(&file, json!({"mcpServers": {"everything": entry}}).to_string()).unwrap();
    let client = Script::new(python_script("tasks.py")).arg(example_path("gateway")).arg(&file);
    let output: Value = serde_json::from_str(&client.run().await?).unwrap();

    assert_eq!(output["capability"], json!({"cancel": {}, "requests": {"tools": {"call": {}}}}));
    assert_eq!(output["support"], "required");
    assert_eq!((&output["started"], &output["ended"]), (&json!("working"), &json!("completed")), "{output}");
    assert_eq!(output["cancelled"], "cancelled");
    assert!(output["text"].as_str().unwrap().contains("keys (historical)"), "{output}");
    assert!(output["receipt"].to_string().contains("valetkey"), "{output}");
    assert_eq!(output["unknown"], json!([-32602, "unknown task"]));
    for refused in ["no_task", "own"] {
        let message = "the tool cannot be called as a task; call it without `task`";
        assert_eq!(output[refused], json!([-32601, message]), "{refused}");
    }
    Ok(())
}

#[tokio::test]
async fn typescript_client_follows_task_of_everything() -> Result<()> {
    let servers = vec![("everything", everything_server())];
    let gateway = HttpGatewayFixture::start_with(servers, tokens(), |gateway| gateway).await;
    let output = run_client(Script::node(node_script("tasks.mjs")), &gateway, ALICE).await?;
    assert_eq!(output["kinds"][0], "taskCreated", "{output}");
    assert_eq!(output["asked"].as_array().unwrap().len(), 1, "{output}");
    assert!(output["text"].as_str().unwrap().contains("keys (historical)"), "{output}");
    gateway.stop().await;
    Ok(())
}
