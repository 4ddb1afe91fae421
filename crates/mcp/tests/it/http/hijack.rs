//! One principal presents what belongs to another. Nothing of it reveals whether it exists.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use valetkey_core::testing::ManualClock;

use super::client_fixture::{HttpClientFixture, with_header};
use super::fixture::{ALICE, BOB, HttpGatewayFixture, registry, tokens};

/// A gateway on which alice has a credential session and a protocol session.
async fn gateway_of_alice() -> (HttpGatewayFixture, HttpClientFixture, String) {
    let gateway = HttpGatewayFixture::with_server().await;
    let mut alice = gateway.legacy(ALICE).await;
    let handle = alice.create_session().await;
    alice.handle = Some(handle.clone());
    alice.set("AAAA").await;
    (gateway, alice, handle)
}

#[tokio::test]
async fn handle_of_another_principal_is_unknown() {
    let (gateway, mut alice, handle) = gateway_of_alice().await;
    let guessed = "0123456789abcdef0123456789abcdef".to_owned();
    for mut bob in [gateway.modern(BOB), gateway.legacy(BOB).await] {
        let mut errors = Vec::new();
        for handle in [&handle, &guessed] {
            let named = json!({"credential_session": handle});
            for tool in ["fixture__whoami", "get_aws_credentials_context", "close_credential_session"] {
                errors.push(bob.call_error(tool, named.clone()).await);
            }
            bob.handle = Some(handle.clone());
            for tool in ["fixture__whoami", "get_aws_credentials_context"] {
                errors.push(bob.call_error(tool, json!({})).await);
            }
            bob.handle = None;
        }
        errors.dedup();
        assert_eq!(errors.len(), 1, "the same error for each: {errors:?}");
        assert_eq!(bob.call_ok("list_credential_sessions", json!({})).await["sessions"], json!([]));
    }
    assert_eq!(alice.whoami().await.0, "AAAA");
    gateway.stop().await;
}

#[tokio::test]
async fn narrowed_handle_of_another_principal_is_unknown() {
    let (gateway, mut alice, _) = gateway_of_alice().await;
    let narrowed = alice.call_ok("narrow_aws_credentials", json!({})).await;
    let named = json!({"credential_session": narrowed["credential_session"]});
    let mut bob = gateway.modern(BOB);
    bob.handle = Some(bob.create_session().await);
    bob.call_error("fixture__whoami", named.clone()).await;
    bob.handle = None;
    bob.call_error("fixture__whoami", named.clone()).await;
    alice.handle = None;
    assert_eq!(alice.call_ok("fixture__whoami", named).await["key"], "AAAA");
    gateway.stop().await;
}

#[tokio::test]
async fn protocol_session_of_another_principal_is_unknown() {
    let (gateway, mut alice, _) = gateway_of_alice().await;
    let stolen = alice.session_id.clone().unwrap();
    let mut bob = gateway.legacy(BOB).await;
    bob.session_id = Some(stolen);
    assert_eq!(bob.request("tools/list", json!({})).await.error(), (404, -32001));
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    assert_eq!(bob.post(&cancel).await.error(), (404, -32001));
    let response = json!({"jsonrpc": "2.0", "id": 1, "method": "", "result": {}});
    let response = bob.request_with("POST", &response.to_string().replace(r#""method":"","#, ""));
    assert_eq!(bob.send(response).await.error(), (404, -32001));
    let get = with_header(bob.request_with("GET", ""), "accept", "text/event-stream");
    assert_eq!(bob.send(get).await.error(), (404, -32001));
    assert_eq!(bob.send(bob.request_with("DELETE", "")).await.error(), (404, -32001));
    assert_eq!(alice.whoami().await.0, "AAAA", "nothing of it has ended the session");
    gateway.stop().await;
}

#[tokio::test]
async fn malformed_handle_in_header_is_refused() {
    let gateway = HttpGatewayFixture::start().await;
    let mut client = gateway.modern(ALICE);
    for handle in ["x", "", "0123456789ABCDEF0123456789ABCDEF"] {
        client.handle = Some(handle.to_owned());
        assert_eq!(client.request("tools/list", json!({})).await.error(), (400, -32600), "{handle}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn closed_session_is_not_reached_again() {
    let (gateway, mut alice, handle) = gateway_of_alice().await;
    let (_, pid) = alice.whoami().await;
    alice.call_ok("close_credential_session", json!({"credential_session": handle})).await;
    for tool in ["fixture__whoami", "get_aws_credentials_context"] {
        alice.call_error(tool, json!({})).await;
    }
    crate::process::wait_until("its server has exited", || !crate::process::is_running(pid)).await;
    gateway.stop().await;
}

#[tokio::test]
async fn expired_handle_is_unknown() {
    let clock = ManualClock::new();
    let lifetime = Duration::from_secs(3600);
    let sessions = registry().max_lifetime(lifetime).clock(Arc::new(clock.clone()));
    let gateway =
        HttpGatewayFixture::start_with(Vec::new(), tokens(), |gateway| gateway.sessions(sessions)).await;
    let mut alice = gateway.modern(ALICE);
    let handle = alice.create_session().await;
    alice.call_ok("list_aws_accounts", json!({"credential_session": handle})).await;
    clock.advance(lifetime);
    let named = json!({"credential_session": handle});
    let expired = alice.call_error("list_aws_accounts", named).await;
    let guessed = json!({"credential_session": "0123456789abcdef0123456789abcdef"});
    assert_eq!(expired, alice.call_error("list_aws_accounts", guessed).await);
    gateway.stop().await;
}

#[tokio::test]
async fn ended_protocol_session_is_not_reached_again() {
    let (gateway, mut alice, handle) = gateway_of_alice().await;
    assert_eq!(alice.send(alice.request_with("DELETE", "")).await.status, 200);
    assert_eq!(alice.request("tools/list", json!({})).await.error(), (404, -32001));
    let get = with_header(alice.request_with("GET", ""), "accept", "text/event-stream");
    assert_eq!(alice.send(get).await.error(), (404, -32001));
    assert_eq!(alice.send(alice.request_with("DELETE", "")).await.error(), (404, -32001));
    let mut modern = gateway.modern(ALICE);
    modern.handle = Some(handle);
    assert_eq!(modern.whoami().await.0, "AAAA", "the credential session remains");
    gateway.stop().await;
}
