//! A tool list contains the tools known within its time budget; later ones are announced by a notification.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::{McpHostBuilder, ToolCatalog};

use super::unresponsive::unresponsive_server;
use crate::host_fixture::{HostFixture, excessive_server, fixture_server, raw_server};
use crate::process::{is_running, wait_until};

/// A limit for operations that would otherwise never end.
const TEST_TIMEOUT: Duration = Duration::from_secs(25);
const HOUR: Duration = Duration::from_secs(3600);

fn has_tool(catalog: &ToolCatalog, tool: &str) -> bool {
    catalog.tools.iter().any(|known| known.name == tool)
}

fn without_list_budget(host: McpHostBuilder) -> McpHostBuilder {
    host.list_budget(Duration::ZERO)
}

async fn wait_announced(changes: &mut watch::Receiver<u64>) {
    timeout(TEST_TIMEOUT, changes.changed()).await.expect("a change is announced").unwrap();
}

fn marker_dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn list_with_silent_server_returns_the_others() {
    let servers = [("mute", raw_server("mute")), ("fixture", fixture_server(Delivery::Endpoint))];
    let with_long_start_timeout =
        |host: McpHostBuilder| host.start_timeout(HOUR).list_budget(Duration::from_millis(100));
    let fixture = HostFixture::with_builder(servers, with_long_start_timeout).await;
    let lists = async {
        loop {
            let catalog = fixture.catalog().await;
            assert!(catalog.errors.iter().any(|error| error.server == "mute"), "{catalog:?}");
            if has_tool(&catalog, "fixture__whoami") {
                return catalog;
            }
        }
    };
    let catalog = timeout(TEST_TIMEOUT, lists).await.expect("the list is not held up");
    let error = catalog.errors[0].error.to_string();
    assert!(error.contains("has not listed its tools yet"), "{error}");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn first_call_does_not_wait_for_another_server() {
    let servers = [("mute", raw_server("mute")), ("fixture", fixture_server(Delivery::Endpoint))];
    let with_long_timeouts = |host: McpHostBuilder| host.start_timeout(HOUR).list_budget(HOUR);
    let fixture = HostFixture::with_builder(servers, with_long_timeouts).await;
    fixture.set("AAAA");
    let call = timeout(TEST_TIMEOUT, fixture.key_and_pid()).await.expect("the call is not held up");
    assert_eq!(call.0, "AAAA");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn slow_server_is_started_once_and_announced() {
    let notes = marker_dir();
    let fixture =
        HostFixture::with_builder([("slow", unresponsive_server("slow", notes.path()))], without_list_budget)
            .await;
    let mut changes = fixture.host.tools_changed();
    let catalog = fixture.catalog().await;
    assert_eq!((catalog.tools.len(), catalog.errors.len()), (0, 1), "{catalog:?}");
    let started = notes.path().join("none");
    wait_until("the server has started", || started.exists()).await;
    std::fs::write(notes.path().join("go"), "").unwrap();
    wait_announced(&mut changes).await;
    assert!(has_tool(&fixture.catalog().await, "slow__tool"));
    let first = std::fs::read_to_string(started).unwrap();
    assert_eq!(fixture.pid("slow").map(|pid| pid.to_string()), Some(first));
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn list_within_its_budget_announces_nothing() {
    let fixture = HostFixture::without_credentials([("fixture", fixture_server(Delivery::Endpoint))]).await;
    let changes = fixture.host.tools_changed();
    assert!(has_tool(&fixture.catalog().await, "fixture__whoami"));
    assert!(has_tool(&fixture.catalog().await, "fixture__whoami"));
    assert!(!changes.has_changed().unwrap());
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn credentials_restart_server_that_failed_without() {
    for delivery in [Delivery::Env, Delivery::Endpoint] {
        let mut needy = fixture_server(delivery);
        needy.args = vec!["needy".to_owned()];
        let fixture = HostFixture::without_credentials([("needy", needy)]).await;
        let mut changes = fixture.host.tools_changed();
        for _ in 0..7 {
            assert!(!has_tool(&fixture.catalog().await, "needy__whoami"));
        }
        let error = fixture.catalog().await.errors[0].error.to_string();
        assert!(error.contains("keeps failing"), "{error}");
        fixture.set("AAAA");
        wait_announced(&mut changes).await;
        assert!(has_tool(&fixture.catalog().await, "needy__whoami"));
        assert_eq!(fixture.call("needy__whoami", json!({})).await["key"], "AAAA");
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn tools_changed_by_server_are_announced() {
    let fixture = HostFixture::without_credentials([("raw", raw_server("changing"))]).await;
    fixture.set("AAAA");
    let mut changes = fixture.host.tools_changed();
    assert!(has_tool(&fixture.catalog().await, "raw__tool"));
    fixture.call_raw("raw__tool", json!({})).await;
    wait_announced(&mut changes).await;
    let catalog = fixture.catalog().await;
    assert!(has_tool(&catalog, "raw__after") && !has_tool(&catalog, "raw__tool"), "{catalog:?}");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn tools_of_failed_server_stay_listed() {
    let notes = marker_dir();
    let fixture =
        HostFixture::without_credentials([("once", unresponsive_server("once", notes.path()))]).await;
    fixture.set("AAAA");
    fixture.catalog().await;
    let pid = fixture.pid("once").unwrap();
    assert!(fixture.call_error("once__tool").await.contains("ended during the call"));
    wait_until("it is gone", || !is_running(pid)).await;
    let catalog = fixture.catalog().await;
    assert!(has_tool(&catalog, "once__tool"), "{catalog:?}");
    assert!(catalog.errors[0].error.to_string().contains("starts only once"), "{catalog:?}");
    assert!(fixture.call_error("once__tool").await.contains("starts only once"));
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn list_beyond_the_limit_is_read_once() {
    let fixture = HostFixture::without_credentials([("huge", excessive_server("huge"))]).await;
    fixture.set("AAAA");
    for _ in 0..2 {
        let catalog = fixture.catalog().await;
        assert_eq!((catalog.tools.len(), catalog.errors[0].server.as_str()), (10_000, "huge"));
    }
    assert_eq!(fixture.call("huge__tool0", json!({})).await["lists"], 1);
    fixture.host.shutdown().await;
}
