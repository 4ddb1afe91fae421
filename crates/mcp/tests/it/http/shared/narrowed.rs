//! Sessions that one gateway has narrowed, on the others.

use serde_json::{Value, json};
use valetkey_core::audit::AuditEvent;

use super::{Fleet, until};
use crate::http::client_fixture::HttpClientFixture;
use crate::http::fixture::{ALICE, BOB};

/// Narrows a session, and returns the arguments of a call in the result.
async fn narrow(client: &mut HttpClientFixture, arguments: Value) -> Value {
    let narrowed = client.call_ok("narrow_aws_credentials", arguments).await;
    json!({"credential_session": narrowed["credential_session"]})
}

async fn key(client: &mut HttpClientFixture, named: &Value) -> Value {
    client.call_ok("get_aws_credentials_context", named.clone()).await["key_suffix"].clone()
}

/// Waits until a node no longer serves a narrowed session.
async fn until_ended(client: &mut HttpClientFixture, named: &Value) {
    while client.call("get_aws_credentials_context", named.clone()).await["isError"] != true {}
}

#[tokio::test]
async fn narrowed_session_is_served_narrowed_and_closed_by_any_node() {
    let mut fleet = Fleet::start(2).await;
    let [mut a, mut b] = <[_; 2]>::try_from(fleet.clients().await).ok().unwrap();
    a.set("AAAA").await;
    // One node has the session open, the other one opens it for the narrowed session.
    let named = narrow(&mut a, json!({"lifetime": 900})).await;
    assert_eq!(key(&mut b, &named).await, "AAAA");
    let mut agent = fleet.nodes[1].modern(ALICE);
    assert_eq!(key(&mut agent, &named).await, "AAAA");
    fleet.add_node().await;
    let mut late = fleet.nodes[2].modern(ALICE);
    until(&mut late, "list_credential_sessions", |result| result["isError"] != true).await;
    while late.call("get_aws_credentials_context", named.clone()).await["isError"] == true {}

    let further = narrow(&mut agent, json!({"credential_session": named["credential_session"]})).await;
    for node in 0..3 {
        assert_eq!(key(&mut fleet.nodes[node].modern(ALICE), &further).await, "AAAA");
    }
    let mut closer = fleet.nodes[2].modern(ALICE);
    closer.call_ok("close_credential_session", named.clone()).await;
    for node in 0..3 {
        let mut client = fleet.nodes[node].modern(ALICE);
        until_ended(&mut client, &named).await;
        until_ended(&mut client, &further).await;
    }
    assert_eq!(super::own_key(&mut a).await, "AAAA");
    fleet.stop().await;
}

#[tokio::test]
async fn narrowed_session_has_one_id_on_every_node() {
    let fleet = Fleet::start(2).await;
    let [mut a, mut b] = <[_; 2]>::try_from(fleet.clients().await).ok().unwrap();
    a.set("AAAA").await;
    let named = narrow(&mut a, json!({})).await;
    assert_eq!(key(&mut b, &named).await, "AAAA");
    let records = fleet.audit.records();
    let narrowings = records.iter().filter(|record| record.event == AuditEvent::Narrow);
    let ids: Vec<_> = narrowings.filter_map(|record| Some(record.narrow.as_ref()?.child)).collect();
    assert_eq!(ids, [ids[0]; 2]);
    fleet.stop().await;
}

#[tokio::test]
async fn narrowed_session_ends_everywhere_with_a_clear() {
    let fleet = Fleet::start(2).await;
    let [mut a, mut b] = <[_; 2]>::try_from(fleet.clients().await).ok().unwrap();
    a.set("AAAA").await;
    let named = narrow(&mut a, json!({})).await;
    assert_eq!(key(&mut b, &named).await, "AAAA");
    b.call_ok("clear_credential_context", json!({})).await;
    b.set("BBBB").await;
    until_ended(&mut a, &named).await;
    until_ended(&mut fleet.nodes[1].modern(ALICE), &named).await;
    fleet.stop().await;
}

#[tokio::test]
async fn narrowed_session_of_another_principal_is_refused() {
    let fleet = Fleet::start(2).await;
    let [mut a, _] = <[_; 2]>::try_from(fleet.clients().await).ok().unwrap();
    a.set("AAAA").await;
    let named = narrow(&mut a, json!({})).await;
    for node in &fleet.nodes {
        let refused = node.modern(BOB).call_error("get_aws_credentials_context", named.clone()).await;
        assert!(refused.contains("ou have no open credential session with this handle"), "{refused}");
    }
    assert!(fleet.denials() >= 2);
    fleet.stop().await;
}
