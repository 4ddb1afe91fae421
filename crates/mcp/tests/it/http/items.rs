//! Prompts, resources and their changes over HTTP.

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use serde_json::{Value, json};
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;

use super::client_fixture::{HttpClientFixture, with_header};
use super::fixture::{ALICE, BOB, HttpGatewayFixture, tokens};
use crate::host_fixture::content_server;

async fn start(servers: Vec<(&'static str, ServerConfig)>) -> HttpGatewayFixture {
    HttpGatewayFixture::start_with(servers, tokens(), |gateway| gateway).await
}

/// Returns a server that is given no credentials.
fn free_server() -> ServerConfig {
    let mut server = content_server("legacy", "free");
    server.delivery = Delivery::None;
    server
}

/// Reads a stream until its text contains `part`.
async fn read_until(stream: &mut Response<Incoming>, part: &str) -> String {
    let mut text = String::new();
    while !text.contains(part) {
        let frame = stream.body_mut().frame().await.expect("the stream goes on").unwrap();
        text += std::str::from_utf8(&frame.into_data().unwrap()).unwrap();
    }
    text
}

async fn open_get(client: &HttpClientFixture) -> Response<Incoming> {
    client.open(with_header(client.request_with("GET", ""), "accept", "text/event-stream")).await
}

fn session_count(listed: &Value) -> usize {
    listed["sessions"].as_array().unwrap().len()
}

#[tokio::test]
async fn items_are_listed_alike_and_read_in_the_session() {
    let gateway = start(vec![("one", content_server("legacy", "one"))]).await;
    let (mut legacy, mut modern) = (gateway.legacy(ALICE).await, gateway.modern(ALICE));
    for (method, items) in [
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ] {
        let listed = legacy.request(method, json!({})).await.json()["result"].take();
        let again = modern.request(method, json!({})).await.json()["result"].take();
        assert_eq!((&again["cacheScope"], &again["ttlMs"]), (&json!("private"), &json!(0)));
        assert!(listed[items].is_array() && listed[items] == again[items], "{listed} {again}");
    }
    let read = json!({"uri": "one:static"});
    let refused = legacy.request("resources/read", read.clone()).await.json();
    assert!(
        refused["error"]["message"].as_str().unwrap().contains("set_aws_credentials_context"),
        "{refused}"
    );
    legacy.set("AAAA").await;
    let contents = legacy.request("resources/read", read.clone()).await.json()["result"]["contents"].take();
    assert_eq!(contents[0]["text"], "[redacted]", "the secret of the session");
    let no_session = modern.request("resources/read", read.clone()).await.json();
    assert!(no_session["error"]["message"].as_str().unwrap().contains("Valetkey-Session"), "{no_session}");
    modern.handle = Some(modern.create_session().await);
    modern.set("BBBB").await;
    assert!(modern.request("resources/read", read).await.json()["result"].is_object());
    let prompt = json!({"name": "one__greet0"});
    assert_eq!(modern.request("prompts/get", prompt).await.json()["result"]["x-prompt"]["name"], "greet0");
    gateway.stop().await;
}

#[tokio::test]
async fn server_without_credentials_needs_no_session() {
    let gateway = start(vec![("free", free_server()), ("one", content_server("legacy", "one"))]).await;
    let (mut alice, mut bob) = (gateway.modern(ALICE), gateway.modern(BOB));
    assert!(alice.call("free__change", json!({})).await["content"].is_array());
    let read = alice.request("resources/read", json!({"uri": "free:static"})).await.json();
    assert!(read["result"].is_object(), "{read}");
    let prompt = alice.request("prompts/get", json!({"name": "free__last"})).await.json();
    assert!(prompt["result"].is_object(), "{prompt}");
    alice.call_error("one__change", json!({})).await;
    let listed = alice.call_ok("list_credential_sessions", json!({})).await;
    assert_eq!(session_count(&listed), 1, "one for all requests");
    assert!(bob.request("resources/read", json!({"uri": "free:static"})).await.json()["result"].is_object());
    let listed = bob.call_ok("list_credential_sessions", json!({})).await;
    assert_eq!(session_count(&listed), 1, "and one of each principal");
    gateway.stop().await;
}

#[tokio::test]
async fn legacy_stream_has_changes_and_updates_of_own_session() {
    let gateway = start(vec![("free", free_server())]).await;
    let (mut alice, bob) = (gateway.legacy(ALICE).await, gateway.legacy(BOB).await);
    let (mut stream, foreign) = (open_get(&alice).await, open_get(&bob).await);
    let watched = json!({"uri": "free:watched"});
    assert_eq!(alice.request("resources/subscribe", watched.clone()).await.json()["result"], json!({}));
    alice.call("free__update", json!({})).await;
    let updated = read_until(&mut stream, "resources/updated").await;
    assert!(updated.contains(r#"{"uri":"free:watched"}"#), "{updated}");
    alice.call("free__change", json!({})).await;
    read_until(&mut stream, "notifications/prompts/list_changed").await;
    assert_eq!(alice.request("resources/unsubscribe", watched).await.json()["result"], json!({}));
    gateway.stop().await;
    let rest = foreign.into_body().collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&rest).contains("notifications/"), "another principal gets none");
}

#[tokio::test]
async fn subscription_with_other_capabilities_has_updates() {
    let gateway = start(vec![("one", content_server("legacy", "one"))]).await;
    let mut first = gateway.legacy(ALICE).await;
    let handle = first.create_session().await;
    first.handle = Some(handle.clone());
    first.set("AAAA").await;
    first.call("one__update", json!({})).await;
    let mut other = gateway.modern(ALICE);
    other.capabilities = json!({"sampling": {}});
    other.initialize().await;
    other.handle = Some(handle);
    let mut stream = open_get(&other).await;
    let watched = json!({"uri": "one:watched"});
    let subscribed = other.request("resources/subscribe", watched.clone()).await.json();
    assert_eq!(subscribed["result"], json!({}), "{subscribed}");
    other.call("one__update", json!({})).await;
    let updated = read_until(&mut stream, "resources/updated").await;
    assert!(updated.contains(r#"{"uri":"one:watched"}"#), "{updated}");
    assert_eq!(other.request("resources/unsubscribe", watched).await.json()["result"], json!({}));
    gateway.stop().await;
}

#[tokio::test]
async fn modern_subscription_has_updates_of_own_session() {
    let gateway = start(vec![("free", free_server())]).await;
    let mut alice = gateway.modern(ALICE);
    let wanted = json!({"resourceSubscriptions": ["free:watched"]});
    let listen = alice.message("subscriptions/listen", json!({"notifications": wanted}));
    let mut stream = alice.open(alice.request_for(&listen)).await;
    let acknowledged = read_until(&mut stream, "acknowledged").await;
    assert!(acknowledged.contains("free:watched"), "{acknowledged}");
    let updating = async {
        loop {
            // The server is subscribed to after the acknowledgment.
            alice.call("free__update", json!({})).await;
        }
    };
    tokio::select! {
        updated = read_until(&mut stream, "resources/updated") => assert!(updated.contains("free:watched"), "{updated}"),
        never = updating => never,
    }
    gateway.stop().await;
}
