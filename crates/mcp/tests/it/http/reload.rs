//! A gateway that gets another configuration while it serves.

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use serde_json::{Value, json};
use valetkey_mcp::child::Delivery;
use valetkey_mcp::http::Authenticator;

use super::client_fixture::{HttpClientFixture, with_header};
use super::fixture::{
    ALICE, ALICE_SHA256, BOB, BOB_SHA256, HttpGatewayFixture, SessionFactoryFixture, tokens,
};
use crate::host_fixture::fixture_server;
use crate::process::{is_running, wait_until};

/// Returns a client with a session that has credentials named `name`.
async fn client_with_session(gateway: &HttpGatewayFixture, token: &str, name: &str) -> HttpClientFixture {
    let mut client = gateway.modern(token);
    client.handle = Some(client.create_session().await);
    client.set(name).await;
    client
}

/// Opens the stream of a client with a protocol session, and reads its first event.
async fn open_get(client: &HttpClientFixture) -> Response<Incoming> {
    let request = with_header(client.request_with("GET", ""), "accept", "text/event-stream");
    opened(client.open(request).await).await
}

/// Sends a request that has no response yet, and reads the first event.
async fn open_request(client: &mut HttpClientFixture, method: &str, params: Value) -> Response<Incoming> {
    let message = client.message(method, params);
    opened(client.open(client.request_for(&message)).await).await
}

async fn opened(mut stream: Response<Incoming>) -> Response<Incoming> {
    assert_eq!(stream.status(), 200);
    assert!(stream.body_mut().frame().await.is_some());
    stream
}

async fn rest_of(stream: Response<Incoming>) -> String {
    String::from_utf8(stream.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Asserts that a stream has an event, and so has not ended.
async fn assert_open(stream: &mut Response<Incoming>) {
    assert!(stream.body_mut().frame().await.is_some_and(|frame| frame.is_ok()));
}

async fn tool_names(client: &mut HttpClientFixture) -> Vec<String> {
    let listed = client.request("tools/list", json!({})).await.json();
    let tools = listed["result"]["tools"].as_array().unwrap().iter();
    tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn factory<const N: usize>(names: [&'static str; N]) -> SessionFactoryFixture {
    let servers = names.map(|name| (name, fixture_server(Delivery::Endpoint)));
    SessionFactoryFixture { servers: servers.into(), ..SessionFactoryFixture::without_servers() }
}

#[tokio::test]
async fn reload_changes_servers_of_catalog_and_sessions() {
    let gateway =
        HttpGatewayFixture::start_with(factory(["fixture", "other"]).servers, tokens(), |g| g).await;
    let mut alice = client_with_session(&gateway, ALICE, "AAAA").await;
    let kept = alice.whoami().await;
    let other = alice.call_ok("other__whoami", json!({})).await;
    let other = crate::host_fixture::pid(&other);

    gateway.reloader.reload(factory(["added", "fixture"]), tokens());
    wait_until("the removed server has exited", || !is_running(other)).await;
    let names = tool_names(&mut alice).await;
    assert!(names.iter().any(|name| name == "added__whoami"), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("other__")), "{names:?}");
    assert_eq!(alice.whoami().await, kept, "an unchanged server keeps its process");
    assert_eq!(alice.call_ok("added__whoami", json!({})).await["key"], "AAAA");
    gateway.stop().await;
}

#[tokio::test]
async fn reload_without_a_token_refuses_it() {
    let gateway = HttpGatewayFixture::start().await;
    let (mut alice, mut bob) = (gateway.modern(ALICE), gateway.modern(BOB));
    bob.create_session().await;
    let only_alice = Authenticator::bearer().token(ALICE_SHA256, "alice".parse().unwrap()).unwrap();
    gateway.reloader.reload(SessionFactoryFixture::without_servers(), only_alice);
    assert_eq!(bob.request("tools/list", json!({})).await.status, 401);
    alice.create_session().await;
    gateway.stop().await;
}

#[tokio::test]
async fn reload_closes_sessions_that_are_not_kept() {
    let gateway = HttpGatewayFixture::with_server().await;
    let mut alice = client_with_session(&gateway, ALICE, "AAAA").await;
    let mut bob = client_with_session(&gateway, BOB, "BBBB").await;
    let (kept, ended) = (bob.whoami().await, alice.whoami().await.1);
    let factory = SessionFactoryFixture { revoked: Some("alice"), ..factory(["fixture"]) };
    gateway.reloader.reload(factory, tokens());
    wait_until("the server of the closed session has exited", || !is_running(ended)).await;
    alice.call_error("fixture__whoami", json!({})).await;
    assert_eq!(bob.whoami().await, kept);
    gateway.stop().await;
}

#[tokio::test]
async fn reload_without_a_token_ends_its_streams_and_calls() {
    let gateway = HttpGatewayFixture::with_server().await;
    let (mut alice, mut bob) = (gateway.legacy(ALICE).await, gateway.legacy(BOB).await);
    let mut modern = client_with_session(&gateway, BOB, "CCCC").await;
    bob.set("BBBB").await;
    let pids = [bob.whoami().await.1, modern.whoami().await.1];
    let mut kept = open_get(&alice).await;
    let slow = json!({"name": "fixture__slow", "arguments": {"name": "never"}});
    let wanted = json!({"notifications": {"toolsListChanged": true}});
    let ended = [
        open_get(&bob).await,
        open_request(&mut bob, "tools/call", slow.clone()).await,
        open_request(&mut modern, "tools/call", slow).await,
        open_request(&mut modern, "subscriptions/listen", wanted).await,
    ];

    let only_alice = Authenticator::bearer().token(ALICE_SHA256, "alice".parse().unwrap()).unwrap();
    gateway.reloader.reload(factory(["fixture"]), only_alice);
    for stream in ended {
        assert!(!rest_of(stream).await.contains("result"));
    }
    wait_until("the servers of its sessions have exited", || !pids.into_iter().any(is_running)).await;
    for client in [&mut bob, &mut modern] {
        assert_eq!(client.request("tools/list", json!({})).await.status, 401);
    }
    assert_open(&mut kept).await;
    alice.set("AAAA").await;
    assert_eq!(alice.whoami().await.0, "AAAA");
    gateway.stop().await;
}

#[tokio::test]
async fn reload_without_one_of_two_tokens_keeps_sessions() {
    let of_bob = |digests: &[&str]| {
        let bearer = Authenticator::bearer();
        digests.iter().fold(bearer, |all, digest| all.token(digest, "bob".parse().unwrap()).unwrap())
    };
    let gateway =
        HttpGatewayFixture::start_with(Vec::new(), of_bob(&[ALICE_SHA256, BOB_SHA256]), |gateway| gateway)
            .await;
    let (mut old, new) = (gateway.legacy(ALICE).await, gateway.legacy(BOB).await);
    old.set("BBBB").await;
    let (ended, mut kept) = (open_get(&old).await, open_get(&new).await);
    gateway.reloader.reload(SessionFactoryFixture::without_servers(), of_bob(&[BOB_SHA256]));
    rest_of(ended).await;
    assert_open(&mut kept).await;
    old.token = Some(BOB.to_owned());
    assert_eq!(old.own_key().await, "BBBB", "the other token reaches the same sessions");
    gateway.stop().await;
}
