//! Two concurrent sessions: neither ever sees the credentials of the other.

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use valetkey_core::SessionContext;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::{CredentialEndpoint, McpHost};

use crate::host_fixture::{HostFixture, fixture_server, host_environment, mcp_config};
use crate::keys::keys;

const CALLS: usize = 50;

async fn call_concurrently(fixture: &HostFixture, name: &str) -> Vec<u32> {
    let results = join_all((0..CALLS).map(|_| fixture.key_and_pid())).await;
    results
        .into_iter()
        .map(|(key, pid)| {
            assert_eq!(key, name);
            pid
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sessions_concurrent_calls_use_their_own_keys() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let (first, second) = tokio::join!(
            HostFixture::with_credentials("AAAA", delivery),
            HostFixture::with_credentials("BBBB", delivery)
        );
        let (first_pids, second_pids) =
            tokio::join!(call_concurrently(&first, "AAAA"), call_concurrently(&second, "BBBB"));
        assert!(
            first_pids.iter().all(|pid| !second_pids.contains(pid)),
            "each session has a process of its own"
        );
        tokio::join!(first.host.shutdown(), second.host.shutdown());
    }
}

#[tokio::test]
async fn two_sessions_rotate_and_clear_are_independent() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let (first, second) = tokio::join!(
            HostFixture::with_credentials("AAAA", delivery),
            HostFixture::with_credentials("BBBB", delivery)
        );
        first.key_and_pid().await;
        let before = second.key_and_pid().await;
        first.set("CCCC");
        assert_eq!(first.key_and_pid().await.0, "CCCC");
        assert_eq!(second.key_and_pid().await, before);
        first.session.clear();
        first.call_error("fixture__whoami").await;
        assert_eq!(second.key_and_pid().await, before);
        tokio::join!(first.host.shutdown(), second.host.shutdown());
    }
}

#[tokio::test]
async fn shared_endpoint_outlives_host_shutdown() {
    let endpoint = CredentialEndpoint::start().await.unwrap();
    let describe = |host: valetkey_mcp::McpHostBuilder| host.endpoint(endpoint.clone());
    let first = HostFixture::with_builder([("fixture", fixture_server(Delivery::Endpoint))], describe).await;
    let second = HostFixture::with_builder([("fixture", fixture_server(Delivery::Endpoint))], describe).await;
    first.set("AAAA");
    second.set("BBBB");
    assert_eq!(first.key_and_pid().await.0, "AAAA");
    first.host.shutdown().await;
    assert_eq!(second.key_and_pid().await.0, "BBBB");
    second.host.shutdown().await;
}

#[tokio::test]
async fn server_uses_its_configured_account() {
    let session = SessionContext::builder().build();
    let staging: valetkey_core::AccountName = "staging".parse().unwrap();
    session.set_credentials(keys("AAAA")).unwrap();
    session.for_account(&staging).set_credentials(keys("BBBB")).unwrap();
    let mut second = fixture_server(Delivery::Endpoint);
    second.account = Some(staging);
    let mut unknown = fixture_server(Delivery::Endpoint);
    unknown.account = Some("missing".parse().unwrap());
    let servers =
        mcp_config([("first", fixture_server(Delivery::Endpoint)), ("second", second), ("third", unknown)]);
    let host = McpHost::builder(&session, servers).environment(host_environment()).start().await.unwrap();
    for (tool, key) in [("first__whoami", "AAAA"), ("second__whoami", "BBBB")] {
        let result = host.call(tool, None, &CancellationToken::new()).await.unwrap();
        assert_eq!(result["structuredContent"]["key"], key);
    }
    let errors = host.all_tools().await.errors;
    assert_eq!(errors.iter().map(|error| error.server.as_str()).collect::<Vec<_>>(), ["third"]);
    host.shutdown().await;
}
