//! Limits on the processes of servers, and the stop of unused ones.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::{ProcessLimits, ProcessQuota};

use super::tmp_dir_of_server;
use crate::host_fixture::{HostFixture, fixture_server};
use crate::process::{is_running, wait_until};

fn quota_per_session(processes: usize) -> ProcessQuota {
    let mut limits = ProcessLimits::default();
    limits.per_session = processes;
    ProcessQuota::new(limits)
}

async fn two_servers(quota: &ProcessQuota) -> HostFixture {
    let server = || fixture_server(Delivery::Endpoint);
    let servers = [("first", server()), ("second", server())];
    let fixture = HostFixture::with_builder(servers, |host| host.process_quota(quota.clone())).await;
    fixture.set("AAAA");
    fixture
}

#[tokio::test]
async fn process_quota_stops_idle_server_for_another_one() {
    let quota = quota_per_session(1);
    let fixture = two_servers(&quota).await;
    assert_eq!(fixture.catalog().await.errors.len(), 0, "the servers list one after the other");
    for _ in 0..2 {
        for server in ["first", "second"] {
            let whoami = fixture.call(&format!("{server}__whoami"), json!({})).await;
            assert_eq!(whoami["key"], "AAAA");
            assert_eq!((fixture.host.pids().count(), quota.running()), (1, 1));
        }
    }
    fixture.host.shutdown().await;
    assert_eq!(quota.running(), 0);
}

#[tokio::test]
async fn process_quota_call_waits_for_busy_server() {
    let fixture = Arc::new(two_servers(&quota_per_session(1)).await);
    fixture.catalog().await;
    let call = |tool: &'static str| {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move { fixture.call(tool, json!({"name": "go"})).await })
    };
    fixture.call("first__whoami", json!({})).await;
    let folder = tmp_dir_of_server(&fixture, "first");
    let slow = call("first__slow");
    wait_until("the call has begun", || folder.join("go.began").exists()).await;
    let waiting = call("second__whoami");
    std::fs::write(folder.join("go"), "").unwrap();
    assert_eq!(slow.await.unwrap()["after"], "AAAA");
    assert_eq!(waiting.await.unwrap()["key"], "AAAA");
}

#[tokio::test]
async fn idle_timeout_stops_server_until_its_next_call() {
    let server = fixture_server(Delivery::Endpoint);
    let idle = Duration::from_millis(20);
    let fixture = HostFixture::with_builder([("fixture", server)], |host| host.idle_timeout(idle)).await;
    fixture.set("AAAA");
    for _ in 0..8 {
        let (key, pid) = fixture.key_and_pid().await;
        assert_eq!(key, "AAAA");
        wait_until("the unused server has exited", || !is_running(pid)).await;
    }
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn idle_timeout_of_server_spares_a_call_in_progress() {
    let mut server = fixture_server(Delivery::Endpoint);
    server.idle_timeout = Some(Duration::from_millis(20));
    let fixture = Arc::new(HostFixture::without_credentials([("fixture", server)]).await);
    fixture.set("AAAA");
    let slow = tokio::spawn({
        let fixture = Arc::clone(&fixture);
        async move { fixture.call("fixture__slow", json!({"name": "go"})).await }
    });
    wait_until("the server runs", || fixture.pid("fixture").is_some()).await;
    let folder = tmp_dir_of_server(&fixture, "fixture");
    wait_until("the call has begun", || folder.join("go.began").exists()).await;
    // Calls of another tool end meanwhile, which must not start the idle time.
    let pid = fixture.key_and_pid().await.1;
    assert_eq!(fixture.key_and_pid().await.1, pid);
    assert!(!slow.is_finished());
    std::fs::write(folder.join("go"), "").unwrap();
    assert_eq!(slow.await.unwrap()["pid"], pid);
    wait_until("the unused server has exited", || !is_running(pid)).await;
}
