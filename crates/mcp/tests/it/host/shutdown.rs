//! No server and no process that a server started remains, however the host ends.

use serde_json::{Value, json};
use valetkey_mcp::child::Delivery;

use crate::process::{group_members, is_running, running_children, wait_until};
use crate::stage::{Stage, fixture, pid, raw_server};

/// Returns a running server, and a process that it started.
struct ProcessGroupFixture {
    stage: Stage,
    leader: u32,
    grandchild: u32,
}

async fn start_process_group(delivery: Delivery) -> ProcessGroupFixture {
    let stage = Stage::holding("AAAA", delivery).await;
    let leader = pid(&stage.whoami().await);
    let grandchild = pid(&stage.call("fixture__spawn_child", json!({})).await);
    assert!(is_running(leader) && is_running(grandchild));
    assert_eq!(group_members(leader).len(), 2);
    ProcessGroupFixture { stage, leader, grandchild }
}

#[tokio::test]
async fn shutdown_ends_the_process_group() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let ProcessGroupFixture { stage, leader, grandchild } = start_process_group(delivery).await;
        stage.host.shutdown().await;
        assert!(!is_running(leader));
        wait_until("the grandchild is gone", || !is_running(grandchild)).await;
        assert_eq!(group_members(leader), [0; 0]);
    }
}

#[tokio::test]
async fn host_drop_kills_the_process_group() {
    let ProcessGroupFixture { stage, leader, grandchild } = start_process_group(Delivery::Endpoint).await;
    drop(stage.host);
    wait_until("the group is gone", || !is_running(leader) && !is_running(grandchild)).await;
}

#[tokio::test]
async fn session_close_stops_servers() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let ProcessGroupFixture { stage, leader, grandchild } = start_process_group(delivery).await;
        stage.session.close();
        wait_until("the group is gone", || !is_running(leader) && !is_running(grandchild)).await;
        let told = stage.call_error("fixture__whoami").await;
        assert!(told.contains("closed"), "{told}");
        assert!(stage.catalog().await.tools.is_empty());
        stage.host.shutdown().await;
    }
}

#[tokio::test]
async fn session_drop_stops_servers() {
    let ProcessGroupFixture { stage, leader, grandchild } = start_process_group(Delivery::Endpoint).await;
    let Stage { session, host, .. } = stage;
    drop(session);
    wait_until("the group is gone", || !is_running(leader) && !is_running(grandchild)).await;
    host.shutdown().await;
}

#[tokio::test]
async fn server_crash_ends_its_process_group() {
    let ProcessGroupFixture { stage, leader, grandchild } = start_process_group(Delivery::Endpoint).await;
    stage.call_error("fixture__crash").await;
    wait_until("the group is gone", || !is_running(leader) && !is_running(grandchild)).await;
    stage.host.shutdown().await;
}

#[tokio::test]
async fn env_delivery_rotation_ends_old_process_group() {
    let ProcessGroupFixture { stage, leader, grandchild } = start_process_group(Delivery::Env).await;
    stage.set("BBBB");
    assert_eq!(stage.key_and_pid().await.0, "BBBB");
    wait_until("the group is gone", || !is_running(leader) && !is_running(grandchild)).await;
    stage.host.shutdown().await;
}

#[tokio::test]
async fn shutdown_kills_server_ignoring_sigterm() {
    let mut server = valetkey_mcp::config::ServerConfig::new("sh");
    let fixture = crate::stage::example_path("fixture_server");
    server.args =
        vec!["-c".into(), format!("trap '' TERM; {}; while :; do sleep 600; done", fixture.display())];
    let stage = Stage::without_credentials([("fixture", server)]).await;
    let tools = stage.catalog().await.tools;
    assert!(!tools.is_empty());
    let leader = stage.pid("fixture").unwrap();
    stage.host.shutdown().await;
    wait_until("the group is gone", || group_members(leader).is_empty()).await;
}

#[tokio::test]
async fn shutdown_during_start_ends_the_process() {
    let mut mute = raw_server("mute");
    mute.args.push("started-to-be-stopped".to_owned());
    let stage = Stage::without_credentials([("fixture", fixture(Delivery::Endpoint)), ("mute", mute)]).await;
    let started = async { wait_until("the server is there", || mute_server().is_some()).await };
    tokio::select! {
        _ = stage.catalog() => panic!("a mute server does not list"),
        () = started => {}
    }
    let mute = mute_server().unwrap();
    stage.host.shutdown().await;
    wait_until("the mute server is gone", || !is_running(mute)).await;
}

fn mute_server() -> Option<u32> {
    running_children().into_iter().find(|pid| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("started-to-be-stopped")
    })
}

#[tokio::test]
async fn list_after_session_close_returns_an_error() {
    let stage = Stage::without_credentials([("fixture", fixture(Delivery::Endpoint))]).await;
    stage.session.close();
    let faults = stage.catalog().await.faults;
    assert_eq!(faults.len(), 1);
    let result: Value = stage.call_raw("fixture__whoami", json!({})).await;
    assert_eq!(result["isError"], true);
    stage.host.shutdown().await;
}
