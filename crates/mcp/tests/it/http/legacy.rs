//! Clients up to revision 2025-11-25, which have protocol sessions.

use serde_json::json;

use super::client_fixture::{with_header, without_header};
use super::fixture::{ALICE, HttpGatewayFixture};

#[tokio::test]
async fn legacy_session_keeps_its_credentials() {
    let gateway = HttpGatewayFixture::with_server().await;
    let mut client = gateway.legacy(ALICE).await;
    let names = client.request("tools/list", json!({})).await.json()["result"]["tools"].to_string();
    assert!(names.contains("fixture__whoami") && names.contains("create_credential_session"), "{names}");
    client.set("AAAA").await;
    assert_eq!(client.whoami().await.0, "AAAA");
    let mut another = gateway.legacy(ALICE).await;
    let error = another.call_error("get_aws_credentials_context", json!({})).await;
    assert!(error.contains("No AWS credentials"), "another connection has a session of its own: {error}");
    gateway.stop().await;
}

#[tokio::test]
async fn legacy_delete_ends_protocol_session_only() {
    let gateway = HttpGatewayFixture::start().await;
    let mut client = gateway.legacy(ALICE).await;
    let handle = client.create_session().await;
    client.handle = Some(handle);
    client.set("AAAA").await;
    assert_eq!(client.send(client.request_with("DELETE", "")).await.status, 200);
    assert_eq!(client.request("ping", json!({})).await.error(), (404, -32001));
    assert_eq!(client.send(client.request_with("DELETE", "")).await.error(), (404, -32001));
    client.initialize().await;
    assert_eq!(client.own_key().await, "AAAA");
    gateway.stop().await;
}

#[tokio::test]
async fn legacy_message_without_session_is_refused() {
    let gateway = HttpGatewayFixture::start().await;
    let client = gateway.legacy(ALICE).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let ping = || client.request_for(&ping);
    assert_eq!(client.send(ping()).await.status, 200);
    assert_eq!(client.send(without_header(ping(), "mcp-session-id")).await.error(), (400, -32600));
    for id in ["", "guessed", "00000000000000000000000000000000"] {
        assert_eq!(
            client.send(with_header(ping(), "mcp-session-id", id)).await.error(),
            (404, -32001),
            "{id}"
        );
    }
    for version in ["1999-01-01", "2026-07-29"] {
        let reply = client.send(with_header(ping(), "mcp-protocol-version", version)).await;
        assert_eq!(reply.status, 400, "{reply:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn legacy_initialize_negotiates_every_revision() {
    let gateway = HttpGatewayFixture::start().await;
    let client = gateway.modern(ALICE);
    for (requested, negotiated) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let params = json!({
            "protocolVersion": requested, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
        });
        let message = json!({"jsonrpc": "2.0", "id": "a", "method": "initialize", "params": params});
        let reply = client.send(client.request_with("POST", &message.to_string())).await;
        assert_eq!(reply.json()["result"]["protocolVersion"], negotiated, "{reply:?}");
        assert_eq!(reply.json()["id"], "a");
    }
    let malformed = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}).to_string();
    let reply = client.send(client.request_with("POST", &malformed)).await;
    assert_eq!(reply.error(), (400, -32602));
    gateway.stop().await;
}

#[tokio::test]
async fn legacy_ended_credential_session_is_reported_once() {
    let gateway = HttpGatewayFixture::start().await;
    let mut client = gateway.legacy(ALICE).await;
    client.set("AAAA").await;
    let sessions = client.call_ok("list_credential_sessions", json!({})).await["sessions"].take();
    let handle = sessions[0]["credential_session"].as_str().unwrap();
    client.call_ok("close_credential_session", json!({"credential_session": handle})).await;
    let error = client.call_error("get_aws_credentials_context", json!({})).await;
    assert!(error.contains("has ended") && error.contains("gone"), "{error}");
    let error = client.call_error("get_aws_credentials_context", json!({})).await;
    assert!(error.contains("No AWS credentials"), "a new session: {error}");
    gateway.stop().await;
}

#[tokio::test]
async fn legacy_error_has_status_200() {
    let gateway = HttpGatewayFixture::start().await;
    let mut client = gateway.legacy(ALICE).await;
    assert_eq!(client.request("no/such/method", json!({})).await.error(), (200, -32601));
    assert_eq!(client.request("tools/call", json!({"name": "none"})).await.error(), (200, -32602));
    gateway.stop().await;
}
