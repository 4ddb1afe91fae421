//! One refresh for all gateways.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use valetkey_core::{Clock, Credentials, Expiry, Result, SessionContext, SystemClock, provider_fn};
use valetkey_mcp::McpHostBuilder;
use valetkey_mcp::http::{NewSession, SessionFactory, SharedSessions, VerifiedCaller};
use valetkey_store::KeyRing;
use valetkey_tools::ToolSet;

use super::create;
use super::store_fixture::StoreFixture;
use crate::http::client_fixture::HttpClientFixture;
use crate::http::fixture::{ALICE, HttpGatewayFixture, tokens};

/// Sessions whose provider issues another key for each fetch, which lasts an hour.
struct Sessions {
    fetches: Arc<AtomicUsize>,
    configuration: &'static str,
}

impl SessionFactory for Sessions {
    fn new_session(&self, _: &VerifiedCaller) -> Result<NewSession> {
        let fetches = Arc::clone(&self.fetches);
        let provider = provider_fn("counting", move || {
            let number = fetches.fetch_add(1, Ordering::SeqCst) + 1;
            async move {
                tokio::task::yield_now().await;
                let key = format!("ASIA00000000000000{number:02}").parse()?;
                Credentials::builder(key, "made-up".into())
                    .session_token(valetkey_core::SecretString::from("made-up"))
                    .expiry(Expiry::At(SystemClock.now() + Duration::from_secs(3_600)))
                    .build()
            }
        });
        let builder = SessionContext::builder().provider(provider);
        Ok(NewSession::new(builder, |session| Ok(ToolSet::for_session(session.clone()))))
    }

    fn host(&self, _: &SessionContext) -> Option<McpHostBuilder> {
        None
    }

    fn configuration(&self) -> Option<String> {
        Some(self.configuration.to_owned())
    }
}

/// Gateways with one store, whose providers count their fetches.
struct CountingFleet {
    store: StoreFixture,
    ring: KeyRing,
    fetches: Arc<AtomicUsize>,
    nodes: Vec<HttpGatewayFixture>,
    shared: Vec<SharedSessions>,
}

impl CountingFleet {
    fn new() -> Self {
        let (store, ring) = (StoreFixture::new(), KeyRing::generate().unwrap());
        Self { store, ring, fetches: Arc::default(), nodes: Vec::new(), shared: Vec::new() }
    }

    /// Starts a gateway, and returns a client of it.
    async fn add_node(&mut self, configuration: &'static str) -> HttpClientFixture {
        let shared = SharedSessions::new(self.store.clone(), self.ring.clone());
        self.shared.push(shared.clone());
        let sessions = Sessions { fetches: Arc::clone(&self.fetches), configuration };
        let gateway =
            HttpGatewayFixture::start_sessions(sessions, tokens(), |gateway| gateway.shared_sessions(shared))
                .await;
        let client = gateway.modern(ALICE);
        self.nodes.push(gateway);
        client
    }

    /// Returns how many refreshes were led, followed, and made alone.
    fn refreshes(&self) -> [u64; 3] {
        let each = self.shared.iter().map(|shared| {
            let status = shared.status();
            [status.refreshes_led, status.refreshes_followed, status.refreshes_alone]
        });
        each.fold([0; 3], |[a, b, c], [led, followed, alone]| [a + led, b + followed, c + alone])
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    async fn stop(self) {
        for node in self.nodes {
            node.stop().await;
        }
    }
}

/// Refreshes the session as soon as the gateway has reached its store, and returns the last characters of its key.
async fn refresh(client: &mut HttpClientFixture) -> Value {
    loop {
        let mut result = client.call("refresh_aws_credentials", json!({})).await;
        if result["isError"] != true {
            return result["structuredContent"]["key_suffix"].take();
        }
    }
}

#[tokio::test]
async fn credentials_are_fetched_once_for_all_nodes() {
    let mut fleet = CountingFleet::new();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(fleet.add_node("same").await);
    }
    let handle = create(&mut clients[0]).await;
    clients.iter_mut().for_each(|client| client.handle = Some(handle.clone()));
    for round in 1..=4 {
        let keys = join_all(clients.iter_mut().map(refresh)).await;
        assert_eq!(fleet.fetches(), round, "{keys:?}");
        assert!(keys.iter().all(|key| *key == format!("00{round:02}")), "{keys:?}");
    }
    assert_eq!(fleet.refreshes(), [4, 8, 0]);
    fleet.stop().await;
}

#[tokio::test]
async fn credentials_of_another_configuration_are_not_used() {
    let mut fleet = CountingFleet::new();
    let (mut a, mut b) = (fleet.add_node("before").await, fleet.add_node("after").await);
    a.handle = Some(create(&mut a).await);
    b.handle.clone_from(&a.handle);
    assert_eq!(refresh(&mut a).await, "0001");
    assert_eq!(refresh(&mut b).await, "0002");
    fleet.stop().await;
}

#[tokio::test]
async fn credentials_fetched_before_a_change_are_not_used() {
    let mut fleet = CountingFleet::new();
    let (mut a, mut b) = (fleet.add_node("same").await, fleet.add_node("same").await);
    a.handle = Some(create(&mut a).await);
    b.handle.clone_from(&a.handle);
    assert_eq!(refresh(&mut a).await, "0001");
    a.call_ok("clear_credential_context", json!({})).await;
    assert_eq!(refresh(&mut b).await, "0002");
    fleet.stop().await;
}

#[tokio::test]
async fn credentials_are_fetched_without_the_store() {
    let mut fleet = CountingFleet::new();
    let (mut a, mut b) = (fleet.add_node("same").await, fleet.add_node("same").await);
    a.handle = Some(create(&mut a).await);
    b.handle.clone_from(&a.handle);
    assert_eq!(refresh(&mut a).await, "0001");
    assert_eq!(refresh(&mut b).await, "0001");
    fleet.store.set_down(true);
    assert_eq!(refresh(&mut b).await, "0002");
    assert_eq!(fleet.refreshes(), [1, 1, 1]);
    fleet.stop().await;
}
