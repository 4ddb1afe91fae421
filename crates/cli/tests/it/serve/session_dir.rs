//! The folder of a session is private with any umask, and is removed after the gateway, even if the gateway was killed.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::client_fixture::{McpClientFixture, ProtocolEra};
use super::mcp_config;
use crate::process::wait_until;
use crate::program_fixture::ProgramFixture;

/// A fixture whose temporary folder is `tmp` in its own folder, and whose gateways run with this umask.
fn fixture_with_umask(umask: &str) -> ProgramFixture {
    let fixture = ProgramFixture::new();
    fs::create_dir(fixture.path("tmp")).unwrap();
    let (tmp, valetkey) = (fixture.path("tmp"), env!("CARGO_BIN_EXE_valetkey"));
    let gateway = json!({"command": valetkey, "args": ["demo-server"]});
    let script = format!("#!/bin/sh\numask {umask}\nexec '{valetkey}' \"$@\"\n");
    let fixture = fixture
        .file("mcp.json", mcp_config(json!({"aws": gateway})))
        .file("gateway", script)
        .env("TMPDIR", tmp);
    fs::set_permissions(fixture.path("gateway"), fs::Permissions::from_mode(0o700)).unwrap();
    fixture
}

/// Starts a gateway with a running server.
async fn start_gateway(fixture: &ProgramFixture) -> McpClientFixture {
    let gateway = fixture.path("gateway");
    let mut client = McpClientFixture::start_program(
        fixture,
        ProtocolEra::Modern,
        gateway.to_str().unwrap(),
        &["serve", "--mcp-config", "mcp.json"],
    );
    assert!(client.tools().await.iter().any(|tool| tool.starts_with("aws__")));
    client
}

fn session_dirs(fixture: &ProgramFixture) -> Vec<PathBuf> {
    fs::read_dir(fixture.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn file_modes(folder: &Path) -> Value {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut modes: serde_json::Map<_, _> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), format!("{:o}", mode(&entry.path())).into()))
        .collect();
    modes.insert(".".to_owned(), format!("{:o}", mode(folder)).into());
    modes.into()
}

#[tokio::test]
async fn session_dir_under_any_umask_is_private() {
    for umask in ["000", "022", "277"] {
        let fixture = fixture_with_umask(umask);
        let client = start_gateway(&fixture).await;
        let [folder] = session_dirs(&fixture).try_into().unwrap();
        let mut private = json!({".": "700", "home": "700", "tmp": "700"});
        for file in ["config", "config-env", "credentials"] {
            private[file] = json!("600");
        }
        assert_eq!(file_modes(&folder), private, "umask {umask}");
        assert_eq!(client.close().await.code, Some(0));
        assert_eq!(session_dirs(&fixture), [""; 0].map(PathBuf::from), "umask {umask}");
    }
}

#[tokio::test]
async fn session_dir_of_killed_gateway_is_removed_by_next() {
    let fixture = fixture_with_umask("000");
    let killed = start_gateway(&fixture).await;
    kill_process(Pid::from_raw(killed.pid().try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    assert_eq!(killed.wait_for_output().await.code, None);
    let [abandoned] = session_dirs(&fixture).try_into().unwrap();
    let look_alike = fixture.path("tmp").join("valetkey-session-of-another-mode");
    fs::DirBuilder::new().mode(0o755).create(&look_alike).unwrap();
    fs::set_permissions(&look_alike, fs::Permissions::from_mode(0o755)).unwrap();
    let (first, second) = tokio::join!(start_gateway(&fixture), start_gateway(&fixture));
    wait_until("the abandoned folder is removed", || !abandoned.exists()).await;
    assert_eq!(
        session_dirs(&fixture).len(),
        3,
        "those of both gateways that run, and what is not ours: {:?}",
        session_dirs(&fixture)
    );
    assert_eq!((first.close().await.code, second.close().await.code), (Some(0), Some(0)));
    assert_eq!(session_dirs(&fixture), [look_alike]);
}

#[tokio::test]
async fn serve_world_writable_tmpdir_fails() {
    let fixture = fixture_with_umask("022");
    fs::set_permissions(fixture.path("tmp"), fs::Permissions::from_mode(0o777)).unwrap();
    let output = fixture.run(&["serve"]).await;
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert!(output.stderr.contains("point TMPDIR at a folder of your own"), "{}", output.stderr);
}
