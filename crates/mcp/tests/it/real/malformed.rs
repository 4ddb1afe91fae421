//! The official clients list and call through the gateway what malformed definitions made them reject.

use std::ffi::OsString;

use serde_json::{Value, json};
use valetkey_rig::{Result, Script};

use super::script;
use crate::stage::example;

const MENDED: [&str; 9] = [
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

async fn run(client: Script, tool: &str, command: &[OsString]) -> Result<Value> {
    let client = command.iter().fold(client.arg(tool), |client, argument| client.arg(argument));
    Ok(serde_json::from_str(client.run().await?.trim()).unwrap())
}

fn clients() -> [Script; 2] {
    [Script::node(script("../node/list.mjs")), Script::new(script("list.py"))]
}

#[tokio::test]
async fn malformed_definitions_cost_official_clients_nothing_else() -> Result<()> {
    let direct = [example("raw_server").into(), "malformed".into()];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mcp.json");
    let servers = json!({"mcpServers": {"raw": {"command": example("raw_server"), "args": ["malformed"]}}});
    std::fs::write(&file, servers.to_string()).unwrap();
    let gateway = [example("gateway").into(), file.into()];
    for client in clients() {
        let rejected = run(client.clone(), "sound", &direct).await?;
        assert!(rejected["rejected"].is_string(), "without the gateway: {rejected}");

        let said = run(client, "raw__sound", &gateway).await?;
        let names = said["tools"].as_array().unwrap_or_else(|| panic!("{said}"));
        let of_server: Vec<_> =
            names.iter().filter_map(|name| name.as_str()?.strip_prefix("raw__")).collect();
        assert_eq!(of_server, MENDED);
        assert!(names.len() > MENDED.len(), "the gateway's own tools are there too");
        assert_eq!(said["isError"], false);
    }
    Ok(())
}
