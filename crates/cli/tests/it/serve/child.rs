//! The environment of a server.

use serde_json::json;

use super::client_fixture::{McpClientFixture, ProtocolEra};
use super::mcp_config;
use crate::program_fixture::ProgramFixture;

/// Returns the first line that a server wrote, which is its home; another line would report inherited descriptors.
async fn server_observations(settings: &str) -> (ProgramFixture, String) {
    let valetkey = env!("CARGO_BIN_EXE_valetkey");
    let look = "{ echo \"$HOME\"; test -e /proc/$$/fd/7 && echo leaked; } > seen; exec \"$0\" demo-server";
    let server = json!({"command": "sh", "args": ["-c", look, valetkey]});
    let fixture = ProgramFixture::new()
        .file("mcp.json", mcp_config(json!({"aws": server})))
        .file("valetkey.toml", settings);
    let script = "exec 7< mcp.json; exec \"$0\" serve --mcp-config mcp.json --config valetkey.toml";
    let mut client =
        McpClientFixture::start_program(&fixture, ProtocolEra::Modern, "sh", &["-c", script, valetkey]);
    assert!(client.tools().await.iter().any(|tool| tool.starts_with("aws__")));
    assert_eq!(client.close().await.code, Some(0));
    let seen = std::fs::read_to_string(fixture.path("seen")).unwrap();
    (fixture, seen)
}

#[tokio::test]
async fn serve_server_home_is_session_dir_unless_configured() {
    let (fixture, seen_in_own) = server_observations("").await;
    assert_ne!(seen_in_own.trim(), fixture.path("").to_str().unwrap().trim_end_matches('/'));
    let (_shell, same) = server_observations("[servers.aws]\nhome = 'session'\n").await;
    assert!(same.contains("valetkey-session-"), "{same}");
    let (fixture, seen_in_users) = server_observations("[servers.aws]\nhome = 'user'\n").await;
    assert_eq!(seen_in_users.trim(), fixture.path("").to_str().unwrap().trim_end_matches('/'));
}

#[tokio::test]
async fn serve_server_inherits_no_descriptor() {
    let (_shell, seen) = server_observations("").await;
    assert!(!seen.contains("leaked"), "{seen}");
}

#[tokio::test]
async fn serve_unknown_home_setting_fails() {
    let fixture = ProgramFixture::new().file("valetkey.toml", "[servers.aws]\nhome = 'users'\n");
    let output = fixture.run(&["serve", "--config", "valetkey.toml"]).await;
    assert_eq!(output.code, Some(78), "{}", output.stderr);
    assert!(output.stderr.contains("home"), "{}", output.stderr);
}
