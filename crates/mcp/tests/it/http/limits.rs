//! What is refused before a message is read, and how much one client may send.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::http::Authenticator;

use super::client_fixture::{HttpClientFixture, with_header};
use super::fixture::{ALICE, BOB, HttpGatewayFixture, registry, tokens};
use crate::host_fixture::fixture_server;
use crate::process::wait_until;

/// Reached only if the gateway hangs.
const HANG_TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn foreign_host_or_origin_is_refused_first() {
    let gateway = HttpGatewayFixture::start().await;
    let client = gateway.modern("no token of anybody");
    for (name, value) in [("host", "evil.example"), ("origin", "http://evil.example"), ("origin", "null")] {
        let reply = client.send(with_header(client.initialize_request(), name, value)).await;
        assert_eq!(reply.status, 403, "{name}: {value}");
        assert_eq!(reply.header("www-authenticate"), None);
    }
    let own = format!("http://localhost:{}", gateway.address.port());
    let reply = client.send(with_header(client.initialize_request(), "origin", &own)).await;
    assert_eq!(reply.status, 400, "the token is read: {reply:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn unreadable_body_is_refused() {
    let gateway = HttpGatewayFixture::start().await;
    let client = gateway.modern(ALICE);
    for (body, expected) in [
        ("", (400, -32700)),
        ("{", (400, -32700)),
        ("[]", (400, -32600)),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, (400, -32600)),
        (r#"{"id":1,"method":"ping"}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, (400, -32600)),
        (&"[".repeat(1000), (400, -32700)),
    ] {
        let reply = client.send(client.request_with("POST", body)).await;
        assert_eq!(reply.error(), expected, "{body:.60}");
    }
    let large = format!("\"{}\"", "a".repeat(4 * 1024 * 1024));
    assert_eq!(client.send(client.request_with("POST", &large)).await.status, 413);
    for (name, value, status) in [
        ("accept", "application/json", 406),
        ("accept", "text/html", 406),
        ("content-type", "text/plain", 415),
    ] {
        let reply = client.send(with_header(client.request_with("POST", "{}"), name, value)).await;
        assert_eq!(reply.status, status, "{name}: {value}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn principal_over_its_limit_delays_no_other() {
    let servers = vec![("fixture", fixture_server(Delivery::Endpoint))];
    let gateway =
        HttpGatewayFixture::start_with(servers, tokens(), |gateway| gateway.max_requests_per_principal(1))
            .await;
    let mut alice = gateway.modern(ALICE);
    alice.handle = Some(alice.create_session().await);
    alice.set("AAAA").await;
    let slow = alice.message("tools/call", json!({"name": "fixture__slow", "arguments": {"name": "never"}}));
    let stream = alice.open(alice.request_for(&slow)).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream", "it takes longer than a second");

    let refused = alice.request("tools/list", json!({})).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    gateway.modern(BOB).create_session().await;

    drop(stream);
    let cancelled = async { while alice.request("tools/list", json!({})).await.status == 429 {} };
    tokio::time::timeout(HANG_TIMEOUT, cancelled).await.expect("a call is cancelled when its client leaves");
    gateway.stop().await;
}

#[tokio::test]
async fn credential_sessions_of_principal_are_limited() {
    let limit = |gateway: valetkey_mcp::http::HttpGatewayBuilder| {
        gateway.sessions(registry().max_sessions_per_principal(2))
    };
    let gateway = HttpGatewayFixture::start_with(Vec::new(), tokens(), limit).await;
    let mut client = gateway.modern(ALICE);
    let oldest = client.create_session().await;
    client.create_session().await;
    client.create_session().await;
    let named = json!({"credential_session": oldest});
    client.call_error("get_aws_credentials_context", named).await;
    let listed = client.call_ok("list_credential_sessions", json!({})).await;
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 2);
    gateway.stop().await;
}

#[tokio::test]
async fn stopped_gateway_ends_connections_and_processes() {
    let gateway = HttpGatewayFixture::with_server().await;
    let mut client = gateway.legacy(ALICE).await;
    client.set("AAAA").await;
    let (_, pid) = client.whoami().await;
    let mut idle = TcpStream::connect(gateway.address).await.unwrap();
    idle.write_all(b"GET /mcp HTTP/1.1\r\n").await.unwrap();
    let stream =
        client.open(with_header(client.request_with("GET", ""), "accept", "text/event-stream")).await;
    assert_eq!(stream.status(), 200);
    let address = gateway.address;
    gateway.stop().await;
    wait_until("the server has exited", || !crate::process::is_running(pid)).await;
    let mut rest = Vec::new();
    let _closed = idle.read_to_end(&mut rest).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn anonymous_principal_needs_no_token() {
    let authenticator = Authenticator::none("local".parse().unwrap());
    let gateway = HttpGatewayFixture::start_with(Vec::new(), authenticator, |gateway| gateway).await;
    let mut client = HttpClientFixture::new(gateway.address, None);
    client.handle = Some(client.create_session().await);
    client.set("AAAA").await;
    assert_eq!(client.own_key().await, "AAAA");
    gateway.stop().await;
}
