//! A tool list contains the tools known within its time budget; later ones are announced by a notification.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::{McpHostBuilder, ToolCatalog};

use super::stubborn::stubborn_server;
use crate::process::{is_running, wait_until};
use crate::stage::{Stage, fixture, raw_server};

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
    let servers = [("mute", raw_server("mute")), ("fixture", fixture(Delivery::Endpoint))];
    let with_long_start_timeout =
        |host: McpHostBuilder| host.start_timeout(HOUR).list_budget(Duration::from_millis(100));
    let stage = Stage::described(servers, with_long_start_timeout).await;
    let lists = async {
        loop {
            let catalog = stage.catalog().await;
            assert!(catalog.faults.iter().any(|fault| fault.server == "mute"), "{catalog:?}");
            if has_tool(&catalog, "fixture__whoami") {
                return catalog;
            }
        }
    };
    let catalog = timeout(TEST_TIMEOUT, lists).await.expect("the list is not held up");
    let fault = catalog.faults[0].error.to_string();
    assert!(fault.contains("has not listed its tools yet"), "{fault}");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn first_call_does_not_wait_for_another_server() {
    let servers = [("mute", raw_server("mute")), ("fixture", fixture(Delivery::Endpoint))];
    let with_long_timeouts = |host: McpHostBuilder| host.start_timeout(HOUR).list_budget(HOUR);
    let stage = Stage::described(servers, with_long_timeouts).await;
    stage.set("AAAA");
    let call = timeout(TEST_TIMEOUT, stage.key_and_pid()).await.expect("the call is not held up");
    assert_eq!(call.0, "AAAA");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn slow_server_is_started_once_and_announced() {
    let notes = marker_dir();
    let stage =
        Stage::described([("slow", stubborn_server("slow", notes.path()))], without_list_budget).await;
    let mut changes = stage.host.tools_changed();
    let catalog = stage.catalog().await;
    assert_eq!((catalog.tools.len(), catalog.faults.len()), (0, 1), "{catalog:?}");
    let started = notes.path().join("none");
    wait_until("the server has started", || started.exists()).await;
    std::fs::write(notes.path().join("go"), "").unwrap();
    wait_announced(&mut changes).await;
    assert!(has_tool(&stage.catalog().await, "slow__tool"));
    let first = std::fs::read_to_string(started).unwrap();
    assert_eq!(stage.pid("slow").map(|pid| pid.to_string()), Some(first));
    stage.host.shutdown().await;
}

#[tokio::test]
async fn list_within_its_budget_announces_nothing() {
    let stage = Stage::without_credentials([("fixture", fixture(Delivery::Endpoint))]).await;
    let changes = stage.host.tools_changed();
    assert!(has_tool(&stage.catalog().await, "fixture__whoami"));
    assert!(has_tool(&stage.catalog().await, "fixture__whoami"));
    assert!(!changes.has_changed().unwrap());
    stage.host.shutdown().await;
}

#[tokio::test]
async fn credentials_restart_server_that_failed_without() {
    for delivery in [Delivery::Env, Delivery::Endpoint] {
        let mut needy = fixture(delivery);
        needy.args = vec!["needy".to_owned()];
        let stage = Stage::without_credentials([("needy", needy)]).await;
        let mut changes = stage.host.tools_changed();
        for _ in 0..7 {
            assert!(!has_tool(&stage.catalog().await, "needy__whoami"));
        }
        let fault = stage.catalog().await.faults[0].error.to_string();
        assert!(fault.contains("keeps failing"), "{fault}");
        stage.set("AAAA");
        wait_announced(&mut changes).await;
        assert!(has_tool(&stage.catalog().await, "needy__whoami"));
        assert_eq!(stage.call("needy__whoami", json!({})).await["key"], "AAAA");
        stage.host.shutdown().await;
    }
}

#[tokio::test]
async fn tools_changed_by_server_are_announced() {
    let stage = Stage::without_credentials([("raw", raw_server("changing"))]).await;
    stage.set("AAAA");
    let mut changes = stage.host.tools_changed();
    assert!(has_tool(&stage.catalog().await, "raw__tool"));
    stage.call_raw("raw__tool", json!({})).await;
    wait_announced(&mut changes).await;
    let catalog = stage.catalog().await;
    assert!(has_tool(&catalog, "raw__after") && !has_tool(&catalog, "raw__tool"), "{catalog:?}");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn tools_of_failed_server_stay_listed() {
    let notes = marker_dir();
    let stage = Stage::without_credentials([("once", stubborn_server("once", notes.path()))]).await;
    stage.set("AAAA");
    stage.catalog().await;
    let pid = stage.pid("once").unwrap();
    assert!(stage.call_error("once__tool").await.contains("ended during the call"));
    wait_until("it is gone", || !is_running(pid)).await;
    let catalog = stage.catalog().await;
    assert!(has_tool(&catalog, "once__tool"), "{catalog:?}");
    assert!(catalog.faults[0].error.to_string().contains("starts only once"), "{catalog:?}");
    assert!(stage.call_error("once__tool").await.contains("starts only once"));
    stage.host.shutdown().await;
}
