//! No process remains of sessions that are abandoned, of servers that crash, and of a gateway that stops.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use valetkey_core::testing::ManualClock;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;
use valetkey_mcp::{ProcessLimits, ProcessQuota};

use super::fixture::{ALICE, BOB, HttpGatewayFixture, registry, tokens};
use crate::host_fixture::{example_path, server};
use crate::process::{group_members, is_running, wait_until};

const SESSIONS: usize = 500;
const CONCURRENT_CLIENTS: usize = 10;

/// Returns a server behind a wrapper, with a process that the server itself does not know, as package runners have.
fn wrapped_server() -> ServerConfig {
    let mut wrapper = ServerConfig::new("sh");
    let server = example_path("identity_server");
    wrapper.args = vec!["-c".into(), format!("sleep 600 & {}; true", server.display())];
    wrapper
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abandoned_sessions_leave_no_process() {
    let clock = Arc::new(ManualClock::new());
    let mut limits = ProcessLimits::default();
    (limits.per_principal, limits.total) = (16, 32);
    let quota = ProcessQuota::new(limits);
    let servers = vec![("identity", server("identity_server", Delivery::Endpoint))];
    let gateway = HttpGatewayFixture::start_with(servers, tokens(), |gateway| {
        let sessions = registry()
            .clock(Arc::clone(&clock) as _)
            .max_sessions_per_principal(SESSIONS)
            .max_sessions(SESSIONS);
        gateway.process_quota(quota.clone()).sessions(sessions.idle_ttl(Duration::from_secs(1)))
    });
    let gateway = gateway.await;
    let abandon = async |token: &str| {
        let mut pids = Vec::new();
        for number in 0..SESSIONS / CONCURRENT_CLIENTS {
            let mut client = gateway.modern(token);
            client.handle = Some(client.create_session().await);
            client.set("AAAA").await;
            pids.push(crate::host_fixture::pid(&client.call_ok("identity__ping", json!({})).await));
            if number % 5 == 0 {
                client.call_error("identity__crash", json!({})).await;
            }
        }
        pids
    };
    let pids = join_all((0..CONCURRENT_CLIENTS).map(|index| abandon([ALICE, BOB][index % 2]))).await.concat();
    assert_eq!(pids.len(), SESSIONS);
    assert!(quota.running() > 0 && quota.running() <= 32, "{quota:?}");
    clock.advance(Duration::from_secs(60));
    wait_until("every session was closed", || quota.running() == 0).await;
    for token in [ALICE, BOB] {
        let listed = gateway.modern(token).call_ok("list_credential_sessions", json!({})).await;
        assert_eq!(listed["sessions"], json!([]), "no session remains");
    }
    gateway.stop().await;
    wait_until("no process is left", || !pids.iter().any(|pid| is_running(*pid))).await;
}

#[tokio::test]
async fn stopped_gateway_leaves_no_process_of_a_wrapper() {
    let gateway = HttpGatewayFixture::start_with(vec![("identity", wrapped_server())], tokens(), |g| g).await;
    let mut groups = Vec::new();
    for token in [ALICE, BOB] {
        let mut client = gateway.modern(token);
        client.handle = Some(client.create_session().await);
        client.set("AAAA").await;
        let pid = client.call_ok("identity__ping", json!({})).await["pid"].as_u64().unwrap();
        groups.push(crate::process::group_id(pid.try_into().unwrap()).unwrap());
    }
    assert!(
        groups.iter().all(|group| group_members(*group).len() == 3),
        "the wrapper, the server and another one"
    );
    gateway.stop().await;
    wait_until("both groups are gone", || groups.iter().all(|group| group_members(*group).is_empty())).await;
}

#[tokio::test]
async fn session_has_one_process_for_calls_of_its_client() {
    let quota = ProcessQuota::default();
    let servers = vec![("identity", server("identity_server", Delivery::Endpoint))];
    let gateway =
        HttpGatewayFixture::start_with(servers, tokens(), |gateway| gateway.process_quota(quota.clone()));
    let gateway = gateway.await;
    for (client, running) in [(gateway.modern(ALICE), 1), (gateway.legacy(BOB).await, 2)] {
        let mut client = client;
        client.handle = Some(client.create_session().await);
        client.set("AAAA").await;
        client.call_ok("identity__ping", json!({})).await;
        client.call_ok("identity__ping", json!({})).await;
        assert_eq!(quota.running(), running);
    }
    gateway.stop().await;
}
