//! No server and no process that a server started remains, however the host ends.

use std::path::Path;

use serde_json::{Value, json};
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;

use crate::host_fixture::{HostFixture, example_path, fixture_server, pid, raw_server};
use crate::process::{group_members, is_running, running_children, wait_until};

/// Returns a running server, and a process that it started.
struct ProcessGroupFixture {
    fixture: HostFixture,
    leader: u32,
    grandchild: u32,
}

async fn start_process_group(delivery: Delivery) -> ProcessGroupFixture {
    let fixture = HostFixture::with_credentials("AAAA", delivery).await;
    let leader = pid(&fixture.whoami().await);
    let grandchild = pid(&fixture.call("fixture__spawn_child", json!({})).await);
    assert!(is_running(leader) && is_running(grandchild));
    assert_eq!(group_members(leader).len(), 2);
    ProcessGroupFixture { fixture, leader, grandchild }
}

#[tokio::test]
async fn shutdown_ends_the_process_group() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let ProcessGroupFixture { fixture, leader, grandchild } = start_process_group(delivery).await;
        fixture.host.shutdown().await;
        assert!(!is_running(leader));
        wait_until("the grandchild is gone", || !is_running(grandchild)).await;
        assert_eq!(group_members(leader), [0; 0]);
    }
}

#[tokio::test]
async fn host_drop_kills_the_process_group() {
    let ProcessGroupFixture { fixture, leader, grandchild } = start_process_group(Delivery::Endpoint).await;
    drop(fixture.host);
    wait_until("the group is gone", || !is_running(leader) && !is_running(grandchild)).await;
}

#[tokio::test]
async fn session_close_stops_servers() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let ProcessGroupFixture { fixture, leader, grandchild } = start_process_group(delivery).await;
        fixture.session.close();
        wait_until("the group is gone", || !is_running(leader) && !is_running(grandchild)).await;
        let message = fixture.call_error("fixture__whoami").await;
        assert!(message.contains("closed"), "{message}");
        assert!(fixture.catalog().await.tools.is_empty());
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn session_drop_stops_servers() {
    let ProcessGroupFixture { fixture, leader, grandchild } = start_process_group(Delivery::Endpoint).await;
    let HostFixture { session, host, .. } = fixture;
    drop(session);
    wait_until("the group is gone", || !is_running(leader) && !is_running(grandchild)).await;
    host.shutdown().await;
}

#[tokio::test]
async fn server_crash_ends_its_process_group() {
    let ProcessGroupFixture { fixture, leader, grandchild } = start_process_group(Delivery::Endpoint).await;
    fixture.call_error("fixture__crash").await;
    wait_until("the group is gone", || !is_running(leader) && !is_running(grandchild)).await;
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn env_delivery_rotation_ends_old_process_group() {
    let ProcessGroupFixture { fixture, leader, grandchild } = start_process_group(Delivery::Env).await;
    fixture.set("BBBB");
    assert_eq!(fixture.key_and_pid().await.0, "BBBB");
    wait_until("the group is gone", || !is_running(leader) && !is_running(grandchild)).await;
    fixture.host.shutdown().await;
}

/// Returns a server that ends neither with its input nor on SIGTERM.
fn server_ignoring_sigterm() -> ServerConfig {
    let mut server = ServerConfig::new("sh");
    let fixture = example_path("fixture_server");
    server.args =
        vec!["-c".into(), format!("trap '' TERM; {}; while :; do sleep 600; done", fixture.display())];
    server
}

#[tokio::test]
async fn shutdown_waits_for_killed_draining_server() {
    let fixture = HostFixture::without_credentials([("fixture", server_ignoring_sigterm())]).await;
    fixture.set("AAAA");
    fixture.whoami().await;
    let leader = fixture.pid("fixture").unwrap();
    fixture.session.clear();
    wait_until("the server drains", || fixture.pid("fixture").is_none()).await;
    assert!(is_running(leader));
    fixture.host.shutdown().await;
    assert!(!Path::new(&format!("/proc/{leader}")).exists(), "the host has waited for its child");
}

#[tokio::test]
async fn shutdown_kills_server_ignoring_sigterm() {
    let fixture = HostFixture::without_credentials([("fixture", server_ignoring_sigterm())]).await;
    let tools = fixture.catalog().await.tools;
    assert!(!tools.is_empty());
    let leader = fixture.pid("fixture").unwrap();
    fixture.host.shutdown().await;
    wait_until("the group is gone", || group_members(leader).is_empty()).await;
}

#[tokio::test]
async fn shutdown_during_start_ends_the_process() {
    let mut mute = raw_server("mute");
    mute.args.push("started-to-be-stopped".to_owned());
    let fixture =
        HostFixture::without_credentials([("fixture", fixture_server(Delivery::Endpoint)), ("mute", mute)])
            .await;
    let started = async { wait_until("the server is there", || mute_server().is_some()).await };
    tokio::select! {
        _ = fixture.catalog() => panic!("a mute server does not list"),
        () = started => {}
    }
    let mute = mute_server().unwrap();
    fixture.host.shutdown().await;
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
    let fixture = HostFixture::without_credentials([("fixture", fixture_server(Delivery::Endpoint))]).await;
    fixture.session.close();
    let errors = fixture.catalog().await.errors;
    assert_eq!(errors.len(), 1);
    let result: Value = fixture.call_raw("fixture__whoami", json!({})).await;
    assert_eq!(result["isError"], true);
    fixture.host.shutdown().await;
}
