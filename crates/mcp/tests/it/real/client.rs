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
    let said = Script::new(python_script("client.py")).arg(example_path("gateway")).arg(&file).run().await?;
    let said: Value = serde_json::from_str(&said).unwrap();

    assert_eq!(said["server"], "valetkey");
    assert_eq!(said["tools"].as_array().unwrap().len(), 16, "{said}");
    assert_eq!(said["before"][0], true);
    assert!(said["before"][1].as_str().unwrap().contains("set_aws_credentials_context"), "{said}");
    assert_eq!(
        said["given"],
        json!([false, "Successfully set AWS credentials in context for region: us-east-1"])
    );
    assert_eq!((&said["after"]["key"], &said["after"]["source"]), (&json!("AAAA"), &json!("endpoint")));
    Ok(())
}
