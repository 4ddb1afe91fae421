//! The official Python MCP client lists and calls the tools of a gateway over stdio.

use serde_json::{Value, json};
use valetkey_rig::{Result, Script};

use super::python_script;
use crate::host_fixture::example_path;

#[tokio::test]
async fn python_client_lists_sets_credentials_and_calls() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mcp.json");
    let servers = json!({"mcpServers": {"fixture": {"command": example_path("fixture_server")}}});
    std::fs::write(&file, servers.to_string()).unwrap();
    let output =
        Script::new(python_script("client.py")).arg(example_path("gateway")).arg(&file).run().await?;
    let output: Value = serde_json::from_str(&output).unwrap();

    assert_eq!(output["server"], "valetkey");
    assert_eq!(output["tools"].as_array().unwrap().len(), 16, "{output}");
    assert_eq!(output["before"][0], true);
    assert!(output["before"][1].as_str().unwrap().contains("set_aws_credentials_context"), "{output}");
    assert_eq!(
        output["given"],
        json!([false, "Successfully set AWS credentials in context for region: us-east-1"])
    );
    assert_eq!((&output["after"]["key"], &output["after"]["source"]), (&json!("AAAA"), &json!("endpoint")));
    Ok(())
}
