//! Event streams: heartbeats, notifications, and what ends a stream.

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use serde_json::json;

use super::client_fixture::{HttpClientFixture, with_header};
use super::fixture::{ALICE, HttpGatewayFixture};

async fn next_text(stream: &mut Response<Incoming>) -> Option<String> {
    let frame = stream.body_mut().frame().await?.ok()?;
    Some(String::from_utf8(frame.into_data().ok()?.to_vec()).unwrap())
}

async fn open_get(client: &HttpClientFixture) -> Response<Incoming> {
    client.open(with_header(client.request_with("GET", ""), "accept", "text/event-stream")).await
}

#[tokio::test]
async fn get_stream_opens_with_comment_and_is_replaced() {
    let gateway = HttpGatewayFixture::start().await;
    let client = gateway.legacy(ALICE).await;
    let mut first = open_get(&client).await;
    assert_eq!(first.headers()["content-type"], "text/event-stream");
    assert_eq!(first.headers()["x-accel-buffering"], "no");
    assert_eq!(next_text(&mut first).await.as_deref(), Some(": waiting\n\n"));
    let mut second = open_get(&client).await;
    assert!(next_text(&mut second).await.is_some());
    assert_eq!(next_text(&mut first).await, None, "replaced by the second");
    client.send(client.request_with("DELETE", "")).await;
    assert_eq!(next_text(&mut second).await, None, "the session has ended");
    gateway.stop().await;
}

#[tokio::test]
async fn get_without_event_stream_is_not_acceptable() {
    let gateway = HttpGatewayFixture::start().await;
    let client = gateway.legacy(ALICE).await;
    let request = with_header(client.request_with("GET", ""), "accept", "application/json");
    assert_eq!(client.send(request).await.status, 406);
    gateway.stop().await;
}

#[tokio::test]
async fn slow_call_of_either_era_is_streamed_and_cancelled() {
    let gateway = HttpGatewayFixture::with_server().await;
    let mut client = gateway.legacy(ALICE).await;
    client.set("AAAA").await;
    let slow = client.message("tools/call", json!({"name": "fixture__slow", "arguments": {"name": "never"}}));
    let mut stream = client.open(client.request_for(&slow)).await;
    assert_eq!(next_text(&mut stream).await.as_deref(), Some(": waiting\n\n"));
    let again = client.post(&slow).await;
    assert_eq!(again.error(), (400, -32600), "an id is used once at a time");
    let params = json!({"requestId": slow["id"]});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    assert_eq!(client.post(&cancel).await.status, 202);
    let mut rest = String::new();
    while let Some(text) = next_text(&mut stream).await {
        rest += &text;
    }
    assert!(rest.is_empty() || rest.contains("cancelled"), "{rest}");
    assert_eq!(client.whoami().await.0, "AAAA", "the session continues");
    gateway.stop().await;
}

#[tokio::test]
async fn subscription_is_acknowledged_on_its_stream() {
    let gateway = HttpGatewayFixture::start().await;
    let mut client = gateway.modern(ALICE);
    for (wanted, accepted) in [
        (json!({"toolsListChanged": true}), r#""notifications":{"toolsListChanged":true}"#),
        (json!({"toolsListChanged": true, "promptsListChanged": true}), r#"{"toolsListChanged":true}"#),
        (json!({"promptsListChanged": true}), r#""notifications":{}"#),
    ] {
        let listen = client.message("subscriptions/listen", json!({"notifications": wanted}));
        let mut stream = client.open(client.request_for(&listen)).await;
        assert_eq!(stream.status(), 200);
        let mut text = String::new();
        while !text.contains("acknowledged") {
            text += &next_text(&mut stream).await.unwrap();
        }
        assert!(text.contains(accepted), "{wanted}: {text}");
    }
    gateway.stop().await;
}
