//! A host that is killed leaves nobody behind: the launcher ties the child's life to it.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use valetkey_mcp::child::Launcher;

use crate::process::{parent, runs, until};
use crate::stage::{Stage, example};

/// A host program, and the child that it told of.
async fn host() -> (Child, u32) {
    let mut host = Command::new(example("launcher"))
        .arg("host")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines();
    let child = lines.next_line().await.unwrap().unwrap().parse().unwrap();
    (host, child)
}

fn is_sleep(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep")
}

#[tokio::test]
async fn a_host_that_is_killed_leaves_no_child() {
    let (mut host, child) = host().await;
    until("the launcher has become the program", || is_sleep(child)).await;
    assert_eq!(parent(child), host.id(), "the pid stays what it was");
    host.start_kill().unwrap();
    host.wait().await.unwrap();
    until("the child is gone", || !runs(child)).await;
}

#[tokio::test]
async fn a_launcher_whose_host_is_gone_does_not_start_the_program() {
    let status = Command::new(example("launcher"))
        .args(["launch", "1", "sh", "-c", "echo started"])
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .output()
        .await
        .unwrap();
    assert!(!status.status.success());
    assert!(status.stdout.is_empty());
}

#[tokio::test]
async fn a_server_started_through_a_launcher_is_called_stopped_and_reported_like_any_other() {
    let launch = || Launcher::new(example("launcher"), ["launch"]);
    let fixture = crate::stage::fixture(valetkey_mcp::child::Delivery::Endpoint);
    let missing = valetkey_mcp::config::ServerConfig::new("no-such-program-anywhere");
    let stage =
        Stage::described([("fixture", fixture), ("missing", missing)], |host| host.launcher(launch())).await;
    stage.set("AAAA");
    let (key, pid) = stage.key_and_pid().await;
    assert_eq!((key.as_str(), Some(pid)), ("AAAA", stage.pid("fixture")));
    let faults = stage.catalog().await.faults;
    assert_eq!(faults.iter().map(|fault| fault.server.as_str()).collect::<Vec<_>>(), ["missing"]);
    stage.host.shutdown().await;
    assert!(!runs(pid));
}
