//! The official clients list and call tools through the gateway that they reject without it because of malformed
//! definitions.

use std::ffi::OsString;

use serde_json::{Value, json};
use valetkey_rig::{Result, Script};

use super::python_script;
use crate::host_fixture::example_path;

const NORMALIZED_TOOLS: [&str; 9] = [
    "sound",
    "no-schema",
    "null-schema",
    "no-type",
    "null-required",
    "boolean-property",
    "null-description",
    "odd-hints",
    "odd-output",
];

async fn run_client(client: Script, tool: &str, command: &[OsString]) -> Result<Value> {
    let client = command.iter().fold(client.arg(tool), |client, argument| client.arg(argument));
    Ok(serde_json::from_str(client.run().await?.trim()).unwrap())
}

fn official_clients() -> [Script; 2] {
    [Script::node(python_script("../node/list.mjs")), Script::new(python_script("list.py"))]
}

#[tokio::test]
async fn gateway_malformed_definitions_are_accepted_by_clients() -> Result<()> {
    let direct = [example_path("raw_server").into(), "malformed".into()];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mcp.json");
    let servers =
        json!({"mcpServers": {"raw": {"command": example_path("raw_server"), "args": ["malformed"]}}});
    std::fs::write(&file, servers.to_string()).unwrap();
    let gateway = [example_path("gateway").into(), file.into()];
    for client in official_clients() {
        let rejected = run_client(client.clone(), "sound", &direct).await?;
        assert!(rejected["rejected"].is_string(), "without the gateway: {rejected}");

        let output = run_client(client, "raw__sound", &gateway).await?;
        let names = output["tools"].as_array().unwrap_or_else(|| panic!("{output}"));
        let server_tools: Vec<_> =
            names.iter().filter_map(|name| name.as_str()?.strip_prefix("raw__")).collect();
        assert_eq!(server_tools, NORMALIZED_TOOLS);
        assert!(names.len() > NORMALIZED_TOOLS.len(), "the gateway's own tools are there too");
        assert_eq!(output["isError"], false);
    }
    Ok(())
}
