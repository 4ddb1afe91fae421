//! A host on a child session, with a server in an account that the child inherits.

use std::sync::Arc;

use valetkey_core::audit::InMemoryAudit;
use valetkey_core::{AccountName, SessionContext};
use valetkey_mcp::McpHost;
use valetkey_mcp::child::Delivery;

use crate::host_fixture::{HostFixture, fixture_server, host_environment, mcp_config};
use crate::keys::keys;
use crate::process::{is_running, wait_until};

/// Returns the stage of the child session, and the parent session from which it inherits `prod`.
async fn host_of_child_session() -> (HostFixture, SessionContext, AccountName) {
    let prod: AccountName = "prod".parse().unwrap();
    let parent = SessionContext::builder().region("eu-central-1".parse().unwrap()).build();
    parent.for_account(&prod).set_credentials(keys("PPPP")).unwrap();
    let session = parent.with_credentials(keys("DDDD")).unwrap();
    let mut server = fixture_server(Delivery::Env);
    server.account = Some(prod.clone());
    let builder =
        McpHost::builder(&session, mcp_config([("fixture", server)])).environment(host_environment());
    let host = builder.start().await.unwrap();
    (HostFixture { session, host, audit: Arc::new(InMemoryAudit::default()) }, parent, prod)
}

#[tokio::test]
async fn child_session_own_credentials_replace_inherited() {
    let (fixture, _parent, prod) = host_of_child_session().await;
    assert_eq!(fixture.key_and_pid().await.0, "PPPP");
    fixture.session.for_account(&prod).set_credentials(keys("CCCC")).unwrap();
    assert_eq!(fixture.key_and_pid().await.0, "CCCC");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn child_session_clear_stops_server_with_inherited_keys() {
    let (fixture, parent, prod) = host_of_child_session().await;
    let (_, pid) = fixture.key_and_pid().await;
    fixture.session.clear();
    wait_until("the server with the inherited keys is gone", || !is_running(pid)).await;
    assert!(parent.for_account(&prod).credentials().await.is_ok(), "the parent keeps what is its own");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn child_session_close_stops_server_with_inherited_keys() {
    let (fixture, _parent, _) = host_of_child_session().await;
    let (_, pid) = fixture.key_and_pid().await;
    fixture.session.close();
    wait_until("the server with the inherited keys is gone", || !is_running(pid)).await;
    fixture.host.shutdown().await;
}
