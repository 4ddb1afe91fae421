//! Servers with faults: what one of them does wrong delays and costs no other server anything.

use std::path::Path;
use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::timeout;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;

use super::client_fixture::{HttpClientFixture, with_header};
use super::fixture::{ALICE, HttpGatewayFixture, SessionFactoryFixture, tokens};
use crate::canary::captured_logs;
use crate::host::unresponsive::unresponsive_server;
use crate::host_fixture::{excessive_server, fixture_server, raw_server};

/// The time for a list: the budget for waiting, and as much again for a slow machine.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// A bound on the messages of a flood that the gateway holds for one client: more than 16 messages of 1 KiB, and than what
/// the sockets hold.
const MAX_HELD_BYTES: usize = 8 * 1024 * 1024;

/// A bound on the definition of a tool with nothing but a name.
const MAX_SMALL_TOOL_BYTES: usize = 1024;

/// Starts a gateway with the default budget for lists.
pub(super) async fn start(servers: Vec<(&'static str, ServerConfig)>) -> HttpGatewayFixture {
    let sessions = SessionFactoryFixture {
        servers,
        list_budget: Duration::from_secs(5),
        ..SessionFactoryFixture::without_servers()
    };
    HttpGatewayFixture::start_sessions(sessions, tokens(), |gateway| gateway).await
}

pub(super) async fn tool_names(client: &mut HttpClientFixture) -> Vec<String> {
    let listed = timeout(LIST_TIMEOUT, client.request("tools/list", json!({}))).await;
    let listed: Value = listed.expect("no server delays the list").json();
    let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed}")).iter();
    tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// Lists the tools until one is among them.
pub(super) async fn list_until(client: &mut HttpClientFixture, tool: &str) -> Vec<String> {
    let listed = async {
        loop {
            let names = tool_names(client).await;
            if names.iter().any(|name| name == tool) {
                return names;
            }
        }
    };
    timeout(Duration::from_secs(60), listed).await.unwrap_or_else(|_| panic!("{tool} is never listed"))
}

/// Asserts that the healthy server beside `faulty` is listed and called, and returns the client and all tools.
pub(super) async fn healthy_beside(gateway: &HttpGatewayFixture) -> (HttpClientFixture, Vec<String>) {
    let mut client = gateway.legacy(ALICE).await;
    let names = list_until(&mut client, "fixture__whoami").await;
    client.set("AAAA").await;
    assert_eq!(client.whoami().await.0, "AAAA");
    (client, names)
}

pub(super) async fn start_beside(name: &'static str, faulty: ServerConfig) -> HttpGatewayFixture {
    start(vec![("fixture", fixture_server(Delivery::Endpoint)), (name, faulty)]).await
}

#[tokio::test]
async fn hung_server_delays_no_other() {
    let gateway = start_beside("hung", raw_server("mute")).await;
    let (_, names) = healthy_beside(&gateway).await;
    assert!(!names.iter().any(|name| name.starts_with("hung__")), "{names:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn slow_server_is_announced_when_its_tools_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = start_beside("slow", unresponsive_server("slow", folder.path())).await;
    let (mut client, names) = healthy_beside(&gateway).await;
    assert!(!names.iter().any(|name| name.starts_with("slow__")), "{names:?}");
    let request = with_header(client.request_with("GET", ""), "accept", "text/event-stream");
    let mut stream = client.open(request).await;
    assert!(stream.body_mut().frame().await.is_some());
    std::fs::write(folder.path().join("go"), "").unwrap();
    let mut text = String::new();
    while !text.contains("notifications/tools/list_changed") {
        let frame = stream.body_mut().frame().await.unwrap().unwrap();
        text += std::str::from_utf8(&frame.into_data().unwrap()).unwrap();
    }
    list_until(&mut client, "slow__tool").await;
    gateway.stop().await;
}

#[tokio::test]
async fn malformed_tools_cost_no_other_tool() {
    let gateway = start_beside("malformed", raw_server("malformed")).await;
    let (mut client, _) = healthy_beside(&gateway).await;
    let names = list_until(&mut client, "malformed__sound").await;
    assert!(!names.iter().any(|name| name == "malformed__text-schema"), "{names:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn flooding_server_delays_no_other() {
    let gateway = start_beside("flooding", excessive_server("flooding")).await;
    let (mut client, _) = healthy_beside(&gateway).await;
    list_until(&mut client, "flooding__tool").await;
    client.call_ok("flooding__tool", json!({})).await;
    assert_eq!(client.whoami().await.0, "AAAA");
    // The gateway holds few messages of a flood for a client that reads late.
    let message = client.message("tools/call", json!({"name": "flooding__tool", "arguments": {}}));
    let unread = client.open(client.request_for(&message)).await;
    assert_eq!(client.whoami().await.0, "AAAA");
    assert_eq!(client.whoami().await.0, "AAAA");
    let held = unread.into_body().collect().await.unwrap().to_bytes().len();
    assert!(held <= MAX_HELD_BYTES, "{held} bytes");
    gateway.stop().await;
}

#[tokio::test]
async fn tools_beyond_the_limit_are_left_out_and_reported() {
    let logs = captured_logs();
    let gateway = start_beside("huge", excessive_server("huge")).await;
    let (mut client, _) = healthy_beside(&gateway).await;
    for _ in 0..2 {
        let names = list_until(&mut client, "huge__tool0").await;
        assert_eq!(names.iter().filter(|name| name.starts_with("huge__")).count(), 10_000);
    }
    let listed = client.request("tools/list", json!({})).await.body.len();
    assert!(listed <= 10_000 * MAX_SMALL_TOOL_BYTES, "{listed} bytes");
    assert!(logs.text().contains("the server's list has no end, or is too large"));
    client.call_ok("huge__tool9999", json!({})).await;
    gateway.stop().await;
}

#[tokio::test]
async fn server_that_always_changes_delays_no_other() {
    let gateway = start_beside("changing", excessive_server("changing")).await;
    let (mut client, _) = healthy_beside(&gateway).await;
    for _ in 0..5 {
        let names = tool_names(&mut client).await;
        assert!(names.iter().any(|name| name == "fixture__whoami"), "{names:?}");
        assert!(names.iter().filter(|name| name.starts_with("changing__")).count() <= 1, "{names:?}");
    }
    assert_eq!(client.whoami().await.0, "AAAA");
    gateway.stop().await;
}

#[tokio::test]
async fn faults_of_all_servers_leave_others_usable() {
    let gateway = start(vec![
        ("changing", excessive_server("changing")),
        ("fixture", fixture_server(Delivery::Endpoint)),
        ("flooding", excessive_server("flooding")),
        ("huge", excessive_server("huge")),
        ("hung", raw_server("mute")),
        ("malformed", raw_server("malformed")),
        ("missing", ServerConfig::new("/no/such/program")),
        ("silent", unresponsive_server("listless", Path::new(""))),
    ])
    .await;
    healthy_beside(&gateway).await;
    gateway.stop().await;
}
