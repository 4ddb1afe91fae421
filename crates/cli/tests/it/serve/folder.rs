//! The folder of a session is private with any umask, and is removed after the gateway, even if the gateway was killed.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::client::{McpClient, ProtocolEra};
use super::mcp_config;
use crate::process::wait_until;
use crate::shell::Shell;

/// A shell whose temporary folder is `tmp` in its own folder, and whose gateways run with this umask.
fn shell_with_umask(umask: &str) -> Shell {
    let shell = Shell::new();
    fs::create_dir(shell.path("tmp")).unwrap();
    let (tmp, valetkey) = (shell.path("tmp"), env!("CARGO_BIN_EXE_valetkey"));
    let gateway = json!({"command": valetkey, "args": ["demo-server"]});
    let script = format!("#!/bin/sh\numask {umask}\nexec '{valetkey}' \"$@\"\n");
    let shell = shell
        .file("mcp.json", mcp_config(json!({"aws": gateway})))
        .file("gateway", script)
        .env("TMPDIR", tmp);
    fs::set_permissions(shell.path("gateway"), fs::Permissions::from_mode(0o700)).unwrap();
    shell
}

/// Starts a gateway with a running server.
async fn start_gateway(shell: &Shell) -> McpClient {
    let gateway = shell.path("gateway");
    let mut client = McpClient::start_program(
        shell,
        ProtocolEra::Modern,
        gateway.to_str().unwrap(),
        &["serve", "--mcp-config", "mcp.json"],
    );
    assert!(client.tools().await.iter().any(|tool| tool.starts_with("aws__")));
    client
}

fn session_dirs(shell: &Shell) -> Vec<PathBuf> {
    fs::read_dir(shell.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect()
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
        let shell = shell_with_umask(umask);
        let client = start_gateway(&shell).await;
        let [folder] = session_dirs(&shell).try_into().unwrap();
        let private = json!({".": "700", "home": "700", "tmp": "700", "config": "600", "credentials": "600"});
        assert_eq!(file_modes(&folder), private, "umask {umask}");
        assert_eq!(client.close().await.code, Some(0));
        assert_eq!(session_dirs(&shell), [""; 0].map(PathBuf::from), "umask {umask}");
    }
}

#[tokio::test]
async fn session_dir_of_killed_gateway_is_removed_by_next() {
    let shell = shell_with_umask("000");
    let killed = start_gateway(&shell).await;
    kill_process(Pid::from_raw(killed.pid().try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    assert_eq!(killed.ended().await.code, None);
    let [abandoned] = session_dirs(&shell).try_into().unwrap();
    let look_alike = shell.path("tmp").join("valetkey-session-of-another-mode");
    fs::DirBuilder::new().mode(0o755).create(&look_alike).unwrap();
    fs::set_permissions(&look_alike, fs::Permissions::from_mode(0o755)).unwrap();
    let (first, second) = tokio::join!(start_gateway(&shell), start_gateway(&shell));
    wait_until("the abandoned folder is removed", || !abandoned.exists()).await;
    assert_eq!(
        session_dirs(&shell).len(),
        3,
        "those of both gateways that run, and what is not ours: {:?}",
        session_dirs(&shell)
    );
    assert_eq!((first.close().await.code, second.close().await.code), (Some(0), Some(0)));
    assert_eq!(session_dirs(&shell), [look_alike]);
}

#[tokio::test]
async fn serve_world_writable_tmpdir_fails() {
    let shell = shell_with_umask("022");
    fs::set_permissions(shell.path("tmp"), fs::Permissions::from_mode(0o777)).unwrap();
    let ended = shell.run(&["serve"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("point TMPDIR at a folder of your own"), "{}", ended.stderr);
}
