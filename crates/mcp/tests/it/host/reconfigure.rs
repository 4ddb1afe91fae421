//! A host that gets another configuration: only the servers that differ are replaced.

use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use valetkey_core::{ErrorKind, SessionContext, SessionPolicy};
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;
use valetkey_mcp::{McpConfig, McpHost, McpHostBuilder};

use super::tmp_dir_of_server;
use crate::host_fixture::{HostFixture, fixture_server, mcp_config};
use crate::process::{is_running, wait_until};

fn builder<const N: usize>(fixture: &HostFixture, servers: [(&str, ServerConfig); N]) -> McpHostBuilder {
    McpHost::builder(&fixture.session, mcp_config(servers))
}

/// Returns the fixture server with another configuration.
fn changed_server() -> ServerConfig {
    let mut server = fixture_server(Delivery::Endpoint);
    server.env.insert("CHANGED".to_owned(), "1".to_owned());
    server
}

async fn tool_owners(fixture: &HostFixture) -> Vec<String> {
    let mut owners: Vec<_> = fixture.catalog().await.tools.into_iter().map(|tool| tool.server).collect();
    owners.dedup();
    owners
}

#[tokio::test]
async fn reconfigure_replaces_only_servers_that_differ() {
    let same = || fixture_server(Delivery::Endpoint);
    let servers = [("changed", same()), ("removed", same()), ("same", same())];
    let fixture = HostFixture::without_credentials(servers).await;
    fixture.set("AAAA");
    assert_eq!(tool_owners(&fixture).await, ["changed", "removed", "same"]);
    let pids = ["changed", "removed", "same"].map(|server| fixture.pid(server).unwrap());
    let mut changes = fixture.host.tools_changed();

    let servers = [("added", same()), ("changed", changed_server()), ("same", same())];
    fixture.host.reconfigure(builder(&fixture, servers)).unwrap();
    assert!(changes.has_changed().unwrap(), "clients list the tools again");
    changes.mark_unchanged();
    assert_eq!(tool_owners(&fixture).await, ["added", "changed", "same"]);
    assert_eq!(fixture.pid("same"), Some(pids[2]));
    assert_ne!(fixture.pid("changed"), Some(pids[0]));
    let names = fixture.call("changed__whoami", json!({})).await["names"].clone();
    assert!(names.as_array().unwrap().contains(&json!("CHANGED")), "{names}");
    wait_until("the earlier servers have exited", || !is_running(pids[0]) && !is_running(pids[1])).await;
    let removed = fixture.host.call("removed__whoami", None, &CancellationToken::new()).await;
    assert!(removed.is_none(), "{removed:?}");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn reconfigure_lets_calls_in_progress_finish() {
    let fixture = Arc::new(HostFixture::with_credentials("AAAA", Delivery::Endpoint).await);
    let pid = fixture.key_and_pid().await.1;
    let folder = tmp_dir_of_server(&fixture, "fixture");
    let slow = tokio::spawn({
        let fixture = Arc::clone(&fixture);
        async move { fixture.call("fixture__slow", json!({"name": "go"})).await }
    });
    wait_until("the call has begun", || folder.join("go.began").exists()).await;
    fixture.host.reconfigure(builder(&fixture, [])).unwrap();
    assert!(fixture.catalog().await.tools.is_empty());
    assert!(is_running(pid));
    std::fs::write(folder.join("go"), "").unwrap();
    assert_eq!(slow.await.unwrap()["after"], "AAAA");
    wait_until("the server has exited", || !is_running(pid)).await;
}

#[tokio::test]
async fn session_close_ends_calls_on_removed_servers() {
    let fixture = Arc::new(HostFixture::with_credentials("AAAA", Delivery::Endpoint).await);
    let pid = fixture.key_and_pid().await.1;
    let folder = tmp_dir_of_server(&fixture, "fixture");
    let slow = tokio::spawn({
        let fixture = Arc::clone(&fixture);
        async move { fixture.call_error_with("fixture__slow", json!({"name": "never"})).await }
    });
    wait_until("the call has begun", || folder.join("never.began").exists()).await;
    fixture.host.reconfigure(builder(&fixture, [])).unwrap();
    fixture.session.close();
    slow.await.unwrap();
    wait_until("the server has exited", || !is_running(pid)).await;
}

#[tokio::test]
async fn reconfigure_replaces_servers_of_narrowed_sessions() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    let narrowed = fixture.session.narrow(valetkey_core::AccessScope::new()).unwrap();
    let call = async || {
        let cancelled = CancellationToken::new();
        let result = fixture.host.call_for(&narrowed, "fixture__whoami", None, &cancelled).await;
        result.unwrap()["structuredContent"]["pid"].clone()
    };
    let before = call().await;
    let pid = fixture.host.narrowed_pids().next().unwrap().1;
    fixture.host.reconfigure(builder(&fixture, [("fixture", changed_server())])).unwrap();
    assert_ne!(call().await, before);
    wait_until("the earlier server has exited", || !is_running(pid)).await;
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn reconfigure_with_invalid_policy_keeps_servers() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    let pid = fixture.key_and_pid().await.1;
    let policy = SessionPolicy::read_only(["s3"]).unwrap();
    let refused = fixture.host.reconfigure(builder(&fixture, []).tool_policy("unknown", "*", policy));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    let other = SessionContext::builder().build();
    let refused = fixture.host.reconfigure(McpHost::builder(&other, McpConfig::default()));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(fixture.key_and_pid().await.1, pid);
    fixture.host.shutdown().await;
}
