//! A list holds what is known within its budget; what comes later is announced.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::{Catalog, McpHostBuilder};

use super::stubborn::stubborn;
use crate::process::{runs, until};
use crate::stage::{Stage, fixture, raw};

/// For what would otherwise never end.
const BOUND: Duration = Duration::from_secs(25);
const HOUR: Duration = Duration::from_secs(3600);

fn has(catalog: &Catalog, tool: &str) -> bool {
    catalog.tools.iter().any(|known| known.name == tool)
}

fn no_budget(host: McpHostBuilder) -> McpHostBuilder {
    host.list_budget(Duration::ZERO)
}

async fn announced(changes: &mut watch::Receiver<u64>) {
    timeout(BOUND, changes.changed()).await.expect("a change is announced").unwrap();
}

fn notes() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn list_with_a_silent_server_returns_the_others() {
    let servers = [("mute", raw("mute")), ("fixture", fixture(Delivery::Endpoint))];
    let patient = |host: McpHostBuilder| host.start_patience(HOUR).list_budget(Duration::from_millis(100));
    let stage = Stage::described(servers, patient).await;
    let lists = async {
        loop {
            let catalog = stage.catalog().await;
            assert!(catalog.faults.iter().any(|fault| fault.server == "mute"), "{catalog:?}");
            if has(&catalog, "fixture__whoami") {
                return catalog;
            }
        }
    };
    let catalog = timeout(BOUND, lists).await.expect("the list is not held up");
    let fault = catalog.faults[0].error.to_string();
    assert!(fault.contains("has not listed its tools yet"), "{fault}");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn first_call_does_not_wait_for_another_server() {
    let servers = [("mute", raw("mute")), ("fixture", fixture(Delivery::Endpoint))];
    let patient = |host: McpHostBuilder| host.start_patience(HOUR).list_budget(HOUR);
    let stage = Stage::described(servers, patient).await;
    stage.set("AAAA");
    let call = timeout(BOUND, stage.key_and_pid()).await.expect("the call is not held up");
    assert_eq!(call.0, "AAAA");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn slow_server_is_started_once_and_announced() {
    let notes = notes();
    let stage = Stage::described([("slow", stubborn("slow", notes.path()))], no_budget).await;
    let mut changes = stage.host.tools_changed();
    let catalog = stage.catalog().await;
    assert_eq!((catalog.tools.len(), catalog.faults.len()), (0, 1), "{catalog:?}");
    let started = notes.path().join("none");
    until("the server has started", || started.exists()).await;
    std::fs::write(notes.path().join("go"), "").unwrap();
    announced(&mut changes).await;
    assert!(has(&stage.catalog().await, "slow__tool"));
    let first = std::fs::read_to_string(started).unwrap();
    assert_eq!(stage.pid("slow").map(|pid| pid.to_string()), Some(first));
    stage.host.shutdown().await;
}

#[tokio::test]
async fn list_within_its_budget_announces_nothing() {
    let stage = Stage::bare([("fixture", fixture(Delivery::Endpoint))]).await;
    let changes = stage.host.tools_changed();
    assert!(has(&stage.catalog().await, "fixture__whoami"));
    assert!(has(&stage.catalog().await, "fixture__whoami"));
    assert!(!changes.has_changed().unwrap());
    stage.host.shutdown().await;
}

#[tokio::test]
async fn credentials_restart_a_server_that_failed_without() {
    for delivery in [Delivery::Env, Delivery::Endpoint] {
        let mut needy = fixture(delivery);
        needy.args = vec!["needy".to_owned()];
        let stage = Stage::bare([("needy", needy)]).await;
        let mut changes = stage.host.tools_changed();
        for _ in 0..7 {
            assert!(!has(&stage.catalog().await, "needy__whoami"));
        }
        let fault = stage.catalog().await.faults[0].error.to_string();
        assert!(fault.contains("keeps failing"), "{fault}");
        stage.set("AAAA");
        announced(&mut changes).await;
        assert!(has(&stage.catalog().await, "needy__whoami"));
        assert_eq!(stage.call("needy__whoami", json!({})).await["key"], "AAAA");
        stage.host.shutdown().await;
    }
}

#[tokio::test]
async fn tools_that_a_server_changes_are_announced() {
    let stage = Stage::bare([("raw", raw("changing"))]).await;
    stage.set("AAAA");
    let mut changes = stage.host.tools_changed();
    assert!(has(&stage.catalog().await, "raw__tool"));
    stage.result("raw__tool", json!({})).await;
    announced(&mut changes).await;
    let catalog = stage.catalog().await;
    assert!(has(&catalog, "raw__after") && !has(&catalog, "raw__tool"), "{catalog:?}");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn tools_of_a_server_that_fails_later_stay_known() {
    let notes = notes();
    let stage = Stage::bare([("once", stubborn("once", notes.path()))]).await;
    stage.set("AAAA");
    stage.catalog().await;
    let pid = stage.pid("once").unwrap();
    assert!(stage.failure("once__tool").await.contains("ended during the call"));
    until("it is gone", || !runs(pid)).await;
    let catalog = stage.catalog().await;
    assert!(has(&catalog, "once__tool"), "{catalog:?}");
    assert!(catalog.faults[0].error.to_string().contains("starts only once"), "{catalog:?}");
    assert!(stage.failure("once__tool").await.contains("starts only once"));
    stage.host.shutdown().await;
}
