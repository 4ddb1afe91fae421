//! A gateway that gets another configuration while it serves.

use serde_json::json;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::http::Authenticator;

use super::client_fixture::HttpClientFixture;
use super::fixture::{ALICE, ALICE_SHA256, BOB, HttpGatewayFixture, SessionFactoryFixture, tokens};
use crate::host_fixture::fixture_server;
use crate::process::{is_running, wait_until};

/// Returns a client with a session that has credentials named `name`.
async fn client_with_session(gateway: &HttpGatewayFixture, token: &str, name: &str) -> HttpClientFixture {
    let mut client = gateway.modern(token);
    client.handle = Some(client.create_session().await);
    client.set(name).await;
    client
}

async fn tool_names(client: &mut HttpClientFixture) -> Vec<String> {
    let listed = client.request("tools/list", json!({})).await.json();
    let tools = listed["result"]["tools"].as_array().unwrap().iter();
    tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn factory<const N: usize>(names: [&'static str; N]) -> SessionFactoryFixture {
    let servers = names.map(|name| (name, fixture_server(Delivery::Endpoint)));
    SessionFactoryFixture { servers: servers.into(), revoked: None }
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
