//! Several gateways with one store: any of them serves any session, and none serves what may not be served.

mod narrowed;
mod refreshes;
mod schedules;
mod status;
mod store_fixture;

use std::sync::Arc;

use serde_json::{Value, json};
use valetkey_core::audit::{AuditEvent, InMemoryAudit};
use valetkey_mcp::http::SharedSessions;
use valetkey_store::{
    Change, ClientHandle, KeyRing, RecordGeneration, RecordOwner, SealedRecord, SessionContents, SessionStore,
};

use super::client_fixture::HttpClientFixture;
use super::fixture::{ALICE, BOB, HttpGatewayFixture, SessionFactoryFixture, tokens};
use crate::keys::secret_of_key;
use store_fixture::StoreFixture;

/// Gateways with the same store and the same ring.
struct Fleet {
    store: StoreFixture,
    ring: KeyRing,
    audit: Arc<InMemoryAudit>,
    nodes: Vec<HttpGatewayFixture>,
    shared: Vec<SharedSessions>,
}

impl Fleet {
    async fn start(nodes: usize) -> Self {
        let (store, ring) = (StoreFixture::new(), KeyRing::generate().unwrap());
        let mut fleet = Self { store, ring, audit: Arc::default(), nodes: Vec::new(), shared: Vec::new() };
        for _ in 0..nodes {
            fleet.add_node().await;
        }
        fleet
    }

    async fn add_node(&mut self) {
        let shared = SharedSessions::new(self.store.clone(), self.ring.clone());
        self.shared.push(shared.clone());
        let audit = Some(Arc::clone(&self.audit));
        let sessions = SessionFactoryFixture { audit, ..SessionFactoryFixture::without_servers() };
        let configure = |gateway: valetkey_mcp::http::HttpGatewayBuilder| gateway.shared_sessions(shared);
        self.nodes.push(HttpGatewayFixture::start_sessions(sessions, tokens(), configure).await);
    }

    /// Returns a client of each node, with the handle of one session that alice has opened on the first node.
    async fn clients(&self) -> Vec<HttpClientFixture> {
        let handle = create(&mut self.nodes[0].modern(ALICE)).await;
        let client = |node: &HttpGatewayFixture| {
            let mut client = node.modern(ALICE);
            client.handle = Some(handle.clone());
            client
        };
        self.nodes.iter().map(client).collect()
    }

    /// Replaces the record of a session.
    async fn overwrite(
        &self,
        handle: &str,
        record: impl FnOnce(SealedRecord, RecordGeneration) -> SealedRecord,
    ) {
        let id = handle.parse::<ClientHandle>().unwrap().id();
        let stored = self.store.load(id).await.unwrap();
        let (expected, next) = (stored.generation(), stored.generation().next());
        self.store.save(id, expected, &record(stored, next), Change::Rotated).await.unwrap();
    }

    fn denials(&self) -> usize {
        let is_denial = |record: &valetkey_core::audit::AuditRecord| {
            record.event == AuditEvent::Deny && record.component.as_deref() == Some("session store")
        };
        self.audit.records().iter().filter(|record| is_denial(record)).count()
    }

    async fn stop(self) {
        for node in self.nodes {
            node.stop().await;
        }
    }
}

/// Opens a session. A gateway that has not reached its store yet refuses.
pub(super) async fn create(client: &mut HttpClientFixture) -> String {
    loop {
        let created = client.call("create_credential_session", json!({})).await;
        if let Some(handle) = created["structuredContent"]["credential_session"].as_str() {
            return handle.to_owned();
        }
    }
}

/// Calls `read` until it returns what is expected.
async fn until(client: &mut HttpClientFixture, tool: &str, expected: impl Fn(&Value) -> bool) -> Value {
    loop {
        let result = client.call(tool, json!({})).await;
        if expected(&result) {
            return result;
        }
    }
}

/// Returns the last characters of the key that the session has, or null.
async fn own_key(client: &mut HttpClientFixture) -> Value {
    let mut result = client.call("get_aws_credentials_context", json!({})).await;
    if result["isError"] == true {
        let error = &result["structuredContent"]["error"];
        assert_eq!(error["code"], "not_configured", "{error}");
    }
    result["structuredContent"]["key_suffix"].take()
}

async fn until_key(client: &mut HttpClientFixture, key: Value) {
    until(client, "get_aws_credentials_context", |result| result["structuredContent"]["key_suffix"] == key)
        .await;
}

async fn until_refused(client: &mut HttpClientFixture) -> String {
    let refused = until(client, "get_aws_credentials_context", |result| result["isError"] == true).await;
    refused["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn shared_session_is_served_rotated_and_closed_by_any_node() {
    let fleet = Fleet::start(3).await;
    let [mut a, mut b, mut c] = <[_; 3]>::try_from(fleet.clients().await).ok().unwrap();
    assert!(a.handle.as_ref().unwrap().starts_with("vk1."));
    a.set("AAAA").await;
    assert_eq!(own_key(&mut b).await, "AAAA");
    c.set("BBBB").await;
    until_key(&mut a, json!("BBBB")).await;
    until_key(&mut b, json!("BBBB")).await;
    b.call_ok("set_service_context_info", json!({"service_id": "s1"})).await;
    until(&mut c, "get_service_context_info", |result| result.to_string().contains("s1")).await;

    let mut closer = fleet.nodes[0].modern(ALICE);
    let handle = json!({"credential_session": a.handle.clone().unwrap()});
    closer.call_ok("close_credential_session", handle.clone()).await;
    for client in [&mut a, &mut b, &mut c] {
        let refused = until_refused(client).await;
        assert!(refused.contains("ou have no open credential session with this handle"), "{refused}");
    }
    closer.call_error("close_credential_session", handle).await;
    fleet.stop().await;
}

#[tokio::test]
async fn shared_session_cleared_on_one_node_is_cleared_on_others() {
    let fleet = Fleet::start(2).await;
    let [mut a, mut b] = <[_; 2]>::try_from(fleet.clients().await).ok().unwrap();
    a.set("AAAA").await;
    assert_eq!(own_key(&mut b).await, "AAAA");
    a.call_ok("clear_credential_context", json!({})).await;
    until_key(&mut b, Value::Null).await;
    b.set("BBBB").await;
    until_key(&mut a, json!("BBBB")).await;
    fleet.stop().await;
}

#[tokio::test]
async fn shared_session_has_one_id_on_every_node() {
    let fleet = Fleet::start(2).await;
    let [mut a, mut b] = <[_; 2]>::try_from(fleet.clients().await).ok().unwrap();
    a.set("AAAA").await;
    b.set("BBBB").await;
    let records = fleet.audit.records();
    let sets: Vec<_> = records.iter().filter(|record| record.event == AuditEvent::Set).collect();
    assert!(sets.len() >= 2 && sets.iter().all(|record| record.session == sets[0].session));
    fleet.stop().await;
}

#[tokio::test]
async fn shared_session_of_another_principal_is_refused() {
    let fleet = Fleet::start(2).await;
    let [mut a, _] = <[_; 2]>::try_from(fleet.clients().await).ok().unwrap();
    a.set("AAAA").await;
    for node in &fleet.nodes {
        let mut mallory = node.modern(BOB);
        mallory.handle.clone_from(&a.handle);
        let refused = mallory.call_error("get_aws_credentials_context", json!({})).await;
        assert!(refused.contains("ou have no open credential session with this handle"), "{refused}");
        mallory.handle = None;
        let close = json!({"credential_session": a.handle.clone().unwrap()});
        mallory.call_error("close_credential_session", close).await;
    }
    assert!(fleet.denials() >= 2);
    assert_eq!(own_key(&mut a).await, "AAAA");
    // The right id with another secret.
    let handle = a.handle.clone().unwrap();
    let (id, _) = handle.rsplit_once('.').unwrap();
    a.handle = Some(format!("{id}.{}", "0".repeat(32)));
    a.call_error("get_aws_credentials_context", json!({})).await;
    fleet.stop().await;
}

#[tokio::test]
async fn shared_record_that_was_replaced_is_refused() {
    let fleet = Fleet::start(1).await;
    for case in ["moved", "replayed", "changed", "foreign", "malformed"] {
        let mut alice = fleet.nodes[0].modern(ALICE);
        let (handle, other) = (create(&mut alice).await, create(&mut alice).await);
        alice.handle = Some(handle.clone());
        alice.set("AAAA").await;
        let client: ClientHandle = handle.parse().unwrap();
        let moved = fleet.store.load(other.parse::<ClientHandle>().unwrap().id()).await.unwrap();
        let before = fleet.denials();
        let seal = |principal: &str, next, contents: &[u8]| {
            let owner = RecordOwner::new("", principal.parse().unwrap());
            fleet.ring.seal(&client, &owner, next, contents).unwrap()
        };
        let replace = |stored: SealedRecord, next| match case {
            "moved" => SealedRecord::from_frame(next, moved.frame().to_vec()).unwrap(),
            "replayed" => SealedRecord::from_frame(next, stored.frame().to_vec()).unwrap(),
            "changed" => {
                let mut frame = stored.frame().to_vec();
                *frame.last_mut().unwrap() ^= 1;
                SealedRecord::from_frame(next, frame).unwrap()
            }
            "foreign" => {
                let contents = SessionContents::new(valetkey_core::SessionId::random());
                seal("mallory", next, &contents.to_bytes().unwrap())
            }
            _ => seal("alice", next, b"{}"),
        };
        fleet.overwrite(&handle, replace).await;
        until_refused(&mut alice).await;
        let refused = alice.call_error("get_aws_credentials_context", json!({})).await;
        assert!(!refused.contains("AAAA"), "{case}: {refused}");
        assert!(fleet.denials() > before, "{case}");
    }
    fleet.stop().await;
}

#[tokio::test]
async fn store_outage_keeps_open_sessions_and_refuses_changes() {
    let fleet = Fleet::start(2).await;
    let [mut a, mut b] = <[_; 2]>::try_from(fleet.clients().await).ok().unwrap();
    a.set("AAAA").await;
    assert_eq!(own_key(&mut b).await, "AAAA");
    let unopened = create(&mut fleet.nodes[0].modern(ALICE)).await;

    fleet.store.set_down(true);
    assert_eq!(own_key(&mut a).await, "AAAA");
    let keys = json!({"access_key_id": "ASIA000000000000BBBB", "secret_access_key": secret_of_key("BBBB")});
    let refused = a.call_error("set_aws_credentials_context", json!({"credentials_json": keys})).await;
    assert!(refused.contains("undone") && refused.contains("try again"), "{refused}");
    assert_eq!(own_key(&mut a).await, "AAAA");
    let mut new = fleet.nodes[1].modern(ALICE);
    let refused = new.call_error("create_credential_session", json!({})).await;
    assert!(refused.contains("unavailable") && refused.contains("try again"), "{refused}");
    new.handle = Some(unopened);
    let refused = new.call_error("get_aws_credentials_context", json!({})).await;
    assert!(refused.contains("unavailable"), "{refused}");

    fleet.store.set_down(false);
    assert_eq!(own_key(&mut new).await, Value::Null);
    a.set("CCCC").await;
    until_key(&mut b, json!("CCCC")).await;
    fleet.stop().await;
}

#[tokio::test]
async fn clear_and_close_during_outage_reach_others_after_it() {
    let fleet = Fleet::start(2).await;
    let [mut a, mut b] = <[_; 2]>::try_from(fleet.clients().await).ok().unwrap();
    let [mut closed_a, mut closed_b] = <[_; 2]>::try_from(fleet.clients().await).ok().unwrap();
    for (first, second) in [(&mut a, &mut b), (&mut closed_a, &mut closed_b)] {
        first.set("AAAA").await;
        assert_eq!(own_key(second).await, "AAAA");
    }
    fleet.store.set_down(true);
    let pending = a.call_error("clear_credential_context", json!({})).await;
    assert!(pending.contains("cleared on this node"), "{pending}");
    assert_eq!(own_key(&mut a).await, Value::Null);
    let handle = json!({"credential_session": closed_a.handle.clone().unwrap()});
    let pending = fleet.nodes[0].modern(ALICE).call_error("close_credential_session", handle).await;
    assert!(pending.contains("closed on this node"), "{pending}");
    closed_a.call_error("get_aws_credentials_context", json!({})).await;
    assert_eq!((own_key(&mut b).await, own_key(&mut closed_b).await), (json!("AAAA"), json!("AAAA")));

    fleet.store.set_down(false);
    until_key(&mut b, Value::Null).await;
    assert_eq!(own_key(&mut a).await, Value::Null);
    until_refused(&mut closed_b).await;
    closed_a.call_error("get_aws_credentials_context", json!({})).await;
    fleet.stop().await;
}

#[tokio::test]
async fn clear_is_saved_although_its_session_has_ended_here() {
    let fleet = Fleet::start(2).await;
    let [mut a, mut b] = <[_; 2]>::try_from(fleet.clients().await).ok().unwrap();
    a.set("AAAA").await;
    assert_eq!(own_key(&mut b).await, "AAAA");
    fleet.store.set_down(true);
    a.call_error("clear_credential_context", json!({})).await;
    assert_eq!(fleet.shared[0].status().pending_clears, 1);
    // The node closes the session for another reason, and would open it again from the store.
    let without_alice =
        SessionFactoryFixture { revoked: Some("alice"), ..SessionFactoryFixture::without_servers() };
    fleet.nodes[0].reloader.reload(without_alice, tokens());
    until(&mut a, "get_aws_credentials_context", |result| {
        result.to_string().contains("a clear is not saved yet")
    })
    .await;

    fleet.store.set_down(false);
    until_key(&mut b, Value::Null).await;
    until(&mut a, "get_aws_credentials_context", |result| result.to_string().contains("not_configured"))
        .await;
    assert_eq!(fleet.shared[0].status().pending_clears, 0);
    fleet.stop().await;
}

#[tokio::test]
async fn record_of_a_newer_version_is_refused_and_audited() {
    let fleet = Fleet::start(1).await;
    let [mut alice] = <[_; 1]>::try_from(fleet.clients().await).ok().unwrap();
    alice.set("AAAA").await;
    let client: ClientHandle = alice.handle.as_ref().unwrap().parse().unwrap();
    let owner = RecordOwner::new("", "alice".parse().unwrap());
    let newer = |_, next| fleet.ring.seal(&client, &owner, next, br#"{"version":2,"more":[]}"#).unwrap();
    fleet.overwrite(alice.handle.as_ref().unwrap(), newer).await;
    until_refused(&mut alice).await;
    let refused = alice.call_error("get_aws_credentials_context", json!({})).await;
    assert!(refused.contains("format that this version does not know"), "{refused}");
    assert!(refused.contains("update every node"), "{refused}");
    assert!(fleet.denials() >= 1);
    assert!(fleet.shared[0].status().refused_records["unknown_format"] >= 1);
    fleet.stop().await;
}

#[tokio::test]
async fn changes_of_several_nodes_at_once_are_all_saved() {
    let mut fleet = Fleet::start(3).await;
    let clients = fleet.clients().await;
    let sets = clients.into_iter().enumerate().map(async |(n, mut client)| {
        for round in 0..4 {
            let account = format!("account-{n}-{round}");
            let keys = json!({
                "access_key_id": format!("ASIA00000000000{n}000{round}"),
                "secret_access_key": secret_of_key("AAAA"),
                "session_token": "token",
            });
            let arguments = json!({"credentials_json": keys, "account": account});
            client.call_ok("set_aws_credentials_context", arguments).await;
        }
        client.handle.clone()
    });
    let handles = futures_util::future::join_all(sets).await;
    fleet.add_node().await;
    let mut fresh = fleet.nodes[3].modern(ALICE);
    fresh.handle.clone_from(&handles[0]);
    let listed = until(&mut fresh, "list_aws_accounts", |result| result["isError"] != true).await;
    let accounts = listed["structuredContent"]["accounts"].as_array().unwrap();
    let is_set = |account: &&Value| account["key_suffix"].is_string();
    assert_eq!(accounts.iter().filter(is_set).count(), 12, "{accounts:?}");
    fleet.stop().await;
}

#[tokio::test]
async fn response_names_the_node_of_a_fleet() {
    let fleet = Fleet::start(2).await;
    let mut nodes = Vec::new();
    for node in [&fleet.nodes[0], &fleet.nodes[1], &fleet.nodes[0]] {
        let reply = node.modern(ALICE).request("tools/list", json!({})).await;
        nodes.push(reply.header("valetkey-node").unwrap().to_owned());
    }
    assert!(nodes[0] != nodes[1] && nodes[0] == nodes[2]);
    fleet.stop().await;
    let gateway = HttpGatewayFixture::start().await;
    let reply = gateway.modern(ALICE).request("tools/list", json!({})).await;
    assert_eq!(reply.header("valetkey-node"), None);
    gateway.stop().await;
}

#[tokio::test]
async fn shared_handle_without_a_store_is_refused() {
    let gateway = HttpGatewayFixture::start().await;
    let mut client = gateway.modern(ALICE);
    client.handle = Some(format!("vk1.{}.{}", "0".repeat(32), "1".repeat(32)));
    let refused = client.call_error("get_aws_credentials_context", json!({})).await;
    assert!(refused.contains("ou have no open credential session with this handle"), "{refused}");
    assert_eq!(client.create_session().await.len(), 32);
    gateway.stop().await;
}
