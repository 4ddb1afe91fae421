//! However serving ends, the session is closed and no process of its servers remains.

use serde_json::json;
use valetkey_core::SessionContext;
use valetkey_mcp::child::Delivery;

use super::client_fixture::{ERAS, GatewayClientFixture, ProtocolEra, gateway_for_session};
use crate::host_fixture::{fixture_server, pid};
use crate::process::{is_running, wait_until};

/// Returns a connection with a running server, the server's pid, and the pid of a process that the server started.
async fn gateway_with_processes(era: ProtocolEra) -> (GatewayClientFixture, [u32; 2]) {
    let mut client = GatewayClientFixture::open(era, [("fixture", fixture_server(Delivery::Endpoint))]).await;
    client.set("AAAA").await;
    let leader = pid(&client.call("fixture__whoami", json!({})).await["structuredContent"]);
    let grandchild = pid(&client.call("fixture__spawn_child", json!({})).await["structuredContent"]);
    assert!(is_running(leader) && is_running(grandchild));
    (client, [leader, grandchild])
}

#[tokio::test]
async fn gateway_client_eof_closes_session_and_processes() {
    for era in ERAS {
        let (client, pids) = gateway_with_processes(era).await;
        let session = client.session.clone();
        client.close().await.unwrap();
        assert!(session.is_closed());
        assert!(session.credentials().await.is_err());
        wait_until("all processes have ended", || !pids.into_iter().any(is_running)).await;
    }
}

#[tokio::test]
async fn gateway_client_eof_stops_servers_during_call() {
    let (mut client, pids) = gateway_with_processes(ProtocolEra::Modern).await;
    client.send_request("tools/call", json!({"name": "fixture__slow", "arguments": {"name": "never"}})).await;
    client.call("get_aws_credentials_context", json!({})).await;
    client.close().await.unwrap();
    // The server is gone when `serve` returns, because the calling program may exit right after it.
    assert!(!is_running(pids[0]));
    wait_until("all processes have ended", || !pids.into_iter().any(is_running)).await;
}

#[tokio::test]
async fn gateway_stop_token_closes_session_and_processes() {
    let (client, pids) = gateway_with_processes(ProtocolEra::Legacy).await;
    client.stop.cancel();
    client.serving.await.unwrap().unwrap();
    assert!(client.session.is_closed());
    wait_until("all processes have ended", || !pids.into_iter().any(is_running)).await;
}

#[tokio::test]
async fn gateway_dropped_future_closes_session_and_processes() {
    let (client, pids) = gateway_with_processes(ProtocolEra::Modern).await;
    client.serving.abort();
    assert!(client.serving.await.unwrap_err().is_cancelled());
    assert!(client.session.is_closed());
    wait_until("all processes have ended", || !pids.into_iter().any(is_running)).await;
}

#[tokio::test]
async fn gateway_client_eof_before_handshake_is_an_error() {
    let session = SessionContext::builder().build();
    let (near, far) = tokio::io::duplex(64);
    drop(near);
    let (input, output) = tokio::io::split(far);
    let served = gateway_for_session(&session, []).await.serve(input, output, Default::default()).await;
    assert!(served.unwrap_err().message().contains("before a protocol was agreed on"));
    assert!(session.is_closed());
}

#[tokio::test]
async fn gateway_stop_before_handshake_succeeds() {
    let session = SessionContext::builder().build();
    let (_near, far) = tokio::io::duplex(64);
    let (input, output) = tokio::io::split(far);
    let stop = tokio_util::sync::CancellationToken::new();
    stop.cancel();
    gateway_for_session(&session, []).await.serve(input, output, stop).await.unwrap();
    assert!(session.is_closed());
}
