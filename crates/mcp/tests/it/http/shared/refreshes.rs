//! One refresh for all gateways.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::RwLock;
use valetkey_core::testing::ManualClock;
use valetkey_core::{Clock, Credentials, Expiry, Result, SessionContext, provider_fn};
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
    /// Held by a test while no fetch may end.
    gate: Arc<RwLock<()>>,
    lifetime: Duration,
    clock: ManualClock,
    configuration: &'static str,
}

impl SessionFactory for Sessions {
    fn new_session(&self, _: &VerifiedCaller) -> Result<NewSession> {
        let (fetches, gate, expires_at) =
            (Arc::clone(&self.fetches), Arc::clone(&self.gate), true_time() + self.lifetime);
        let provider = provider_fn("counting", move || {
            let number = fetches.fetch_add(1, Ordering::SeqCst) + 1;
            let gate = Arc::clone(&gate);
            async move {
                let _open = gate.read().await;
                let key = format!("ASIA00000000000000{number:02}").parse()?;
                Credentials::builder(key, "made-up".into())
                    .session_token(valetkey_core::SecretString::from("made-up"))
                    .expiry(Expiry::At(expires_at))
                    .build()
            }
        });
        let builder = SessionContext::builder().clock(Arc::new(self.clock.clone())).provider(provider);
        Ok(NewSession::new(builder, |session| Ok(ToolSet::for_session(session.clone()))))
    }

    fn host(&self, _: &SessionContext) -> Option<McpHostBuilder> {
        None
    }

    fn configuration(&self) -> Option<String> {
        Some(self.configuration.to_owned())
    }
}

/// The time of a clock that is right. Clocks of nodes may be up to half a minute earlier or later.
fn true_time() -> SystemTime {
    ManualClock::new().now() + MAX_SKEW
}

const MAX_SKEW: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3_600);

/// Gateways with one store, whose providers count their fetches.
struct CountingFleet {
    store: StoreFixture,
    ring: KeyRing,
    fetches: Arc<AtomicUsize>,
    gate: Arc<RwLock<()>>,
    lifetime: Duration,
    nodes: Vec<HttpGatewayFixture>,
    shared: Vec<SharedSessions>,
}

impl CountingFleet {
    fn new() -> Self {
        let (store, ring) = (StoreFixture::new(), KeyRing::generate().unwrap());
        Self {
            store,
            ring,
            fetches: Arc::default(),
            gate: Arc::default(),
            lifetime: HOUR,
            nodes: Vec::new(),
            shared: Vec::new(),
        }
    }

    /// Starts a gateway, and returns a client of it.
    async fn add_node(&mut self, configuration: &'static str) -> HttpClientFixture {
        self.add_node_with(configuration, self.store.clone(), MAX_SKEW).await
    }

    /// Starts a gateway with a connection of its own to the store, and a clock that is `MAX_SKEW - time` late.
    async fn add_node_with(
        &mut self,
        configuration: &'static str,
        store: StoreFixture,
        time: Duration,
    ) -> HttpClientFixture {
        let shared = SharedSessions::new(store, self.ring.clone());
        self.shared.push(shared.clone());
        let clock = ManualClock::new();
        clock.advance(time);
        let (fetches, gate) = (Arc::clone(&self.fetches), Arc::clone(&self.gate));
        let sessions = Sessions { fetches, gate, lifetime: self.lifetime, clock, configuration };
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

/// Waits until a number that a node reports has a value.
async fn until_reported(read: impl Fn() -> bool) {
    while !read() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn lease_calls(shared: &SharedSessions) -> u64 {
    shared.status().operations.get("lease").map_or(0, |lease| lease.calls)
}

#[tokio::test(start_paused = true)]
async fn lease_is_renewed_as_long_as_a_fetch_takes() {
    let mut fleet = CountingFleet::new();
    let (mut a, mut b) = (fleet.add_node("same").await, fleet.add_node("same").await);
    a.handle = Some(create(&mut a).await);
    b.handle.clone_from(&a.handle);
    let closed = Arc::clone(&fleet.gate).write_owned().await;
    let shared = fleet.shared.clone();
    let slow = async {
        until_reported(|| shared.iter().any(|node| node.status().refreshes_led == 1)).await;
        let leader = shared.iter().find(|node| node.status().refreshes_led == 1).unwrap();
        // Longer than a lease that is not renewed.
        until_reported(|| lease_calls(leader) >= 8).await;
        drop(closed);
    };
    let (first, second, ()) = tokio::join!(refresh(&mut a), refresh(&mut b), slow);
    assert_eq!((first, second, fleet.fetches()), (json!("0001"), json!("0001"), 1));
    fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn lease_of_a_lost_node_ends_within_seconds() {
    let mut fleet = CountingFleet::new();
    let store_of_a = fleet.store.connection();
    let mut a = fleet.add_node_with("same", store_of_a.clone(), MAX_SKEW).await;
    let mut b = fleet.add_node("same").await;
    a.handle = Some(create(&mut a).await);
    b.handle.clone_from(&a.handle);
    let closed = Arc::clone(&fleet.gate).write_owned().await;
    let [node_a, node_b] = [fleet.shared[0].clone(), fleet.shared[1].clone()];
    let lost = async {
        until_reported(|| node_a.status().refreshes_led == 1).await;
        store_of_a.set_down(true);
        let since = tokio::time::Instant::now();
        // The other node waits for the lease, and takes it.
        until_reported(|| node_b.status().refreshes_led == 1).await;
        assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
        drop(closed);
    };
    let later = async {
        until_reported(|| node_a.status().refreshes_led == 1).await;
        refresh(&mut b).await
    };
    let (_, second, ()) = tokio::join!(refresh(&mut a), later, lost);
    assert_eq!((second, fleet.fetches()), (json!("0002"), 2));
    fleet.stop().await;
}

#[tokio::test]
async fn nodes_with_clocks_a_minute_apart_share_credentials() {
    let mut fleet = CountingFleet::new();
    let store = fleet.store.clone();
    let mut early = fleet.add_node_with("same", store.clone(), Duration::ZERO).await;
    let mut late = fleet.add_node_with("same", store, MAX_SKEW * 2).await;
    early.handle = Some(create(&mut early).await);
    late.handle.clone_from(&early.handle);
    for round in 1..=3 {
        let keys = (refresh(&mut early).await, refresh(&mut late).await);
        assert_eq!(keys, (json!(format!("00{round:02}")), json!(format!("00{round:02}"))));
    }
    fleet.stop().await;
}

#[tokio::test]
async fn credentials_that_expire_soon_by_a_late_clock_are_not_used() {
    let mut fleet = CountingFleet::new();
    fleet.lifetime = Duration::from_secs(5 * 60 + 20);
    let store = fleet.store.clone();
    let mut early = fleet.add_node_with("same", store.clone(), Duration::ZERO).await;
    let mut late = fleet.add_node_with("same", store, MAX_SKEW * 2).await;
    early.handle = Some(create(&mut early).await);
    late.handle.clone_from(&early.handle);
    assert_eq!(refresh(&mut late).await, "0001");
    // A node whose clock is behind still takes them; one that is ahead fetches.
    assert_eq!(refresh(&mut early).await, "0001");
    assert_eq!(refresh(&mut early).await, "0002");
    assert_eq!(refresh(&mut late).await, "0003");
    fleet.stop().await;
}
