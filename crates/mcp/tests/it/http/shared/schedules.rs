//! Three gateways over the reference store, under random schedules: calls, lost requests and responses, and gateways that
//! are replaced.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use valetkey_mcp::http::SharedSessions;
use valetkey_store::{KeyRing, RecordLifetime};

use super::create;
use super::store_fixture::{Link, StoreFixture};
use crate::http::client_fixture::HttpClientFixture;
use crate::http::fixture::{ALICE, HttpGatewayFixture, SessionFactoryFixture, tokens};
use crate::keys::secret_of_key;

const NODES: usize = 3;
/// Time that is paused runs on while the runtime waits for a socket.
const LASTING: RecordLifetime = RecordLifetime { idle: DAY, total: DAY };
const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Debug, Clone, Copy)]
enum Step {
    Read(usize),
    Set(usize),
    Clear(usize),
    Link(usize, Link),
    /// The gateway is stopped, and another one takes its place.
    Replace(usize),
    /// Every connection works again, and every gateway has what was saved.
    Settle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0..NODES;
    let link = prop_oneof![2 => Just(Link::Up), 1 => Just(Link::Down), 1 => Just(Link::Mute)];
    let step = prop_oneof![
        4 => node.clone().prop_map(Step::Read),
        4 => node.clone().prop_map(Step::Set),
        3 => node.clone().prop_map(Step::Clear),
        3 => (node.clone(), link).prop_map(|(node, link)| Step::Link(node, link)),
        1 => node.prop_map(Step::Replace),
        2 => Just(Step::Settle),
    ];
    proptest::collection::vec(step, 1..25)
}

struct Node {
    store: StoreFixture,
    shared: SharedSessions,
    gateway: HttpGatewayFixture,
    client: HttpClientFixture,
}

impl Node {
    async fn start(store: &StoreFixture, ring: &KeyRing) -> Self {
        let store = store.connection();
        let shared = SharedSessions::new(store.clone(), ring.clone()).lifetime(LASTING);
        let configure = {
            let shared = shared.clone();
            |gateway: valetkey_mcp::http::HttpGatewayBuilder| gateway.shared_sessions(shared)
        };
        let gateway =
            HttpGatewayFixture::start_sessions(SessionFactoryFixture::without_servers(), tokens(), configure)
                .await;
        let client = gateway.modern(ALICE);
        Self { store, shared, gateway, client }
    }
}

struct World {
    store: StoreFixture,
    ring: KeyRing,
    nodes: Vec<Node>,
    handle: Option<String>,
    /// What the session may have: more than one value after a change whose outcome is unknown.
    allowed: Vec<Value>,
    /// What gateways that have not heard of a change may still have.
    replaced: Vec<Value>,
    /// A gateway that could not save a clear saves it later.
    is_clear_pending: bool,
    next_key: usize,
}

impl World {
    async fn start() -> Self {
        let (store, ring) = (StoreFixture::new(), KeyRing::generate().unwrap());
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            nodes.push(Node::start(&store, &ring).await);
        }
        let handle = Some(create(&mut nodes[0].client).await);
        nodes.iter_mut().for_each(|node| node.client.handle.clone_from(&handle));
        let allowed = vec![Value::Null];
        Self {
            store,
            ring,
            nodes,
            handle,
            allowed,
            replaced: Vec::new(),
            is_clear_pending: false,
            next_key: 0,
        }
    }

    async fn run(&mut self, step: Step) {
        match step {
            Step::Read(node) => {
                if let Some(key) = self.read(node).await {
                    assert!(self.may_return(&key), "{key} is none of {:?} {:?}", self.allowed, self.replaced);
                }
            }
            Step::Set(node) => self.set(node).await,
            Step::Clear(node) => self.clear(node).await,
            Step::Link(node, link) => self.nodes[node].store.set_link(link),
            Step::Replace(node) => self.replace(node).await,
            Step::Settle => self.settle().await,
        }
    }

    /// Returns the key that a gateway has, or nothing if it refuses.
    async fn read(&mut self, node: usize) -> Option<Value> {
        let result = self.nodes[node].client.call("get_aws_credentials_context", json!({})).await;
        let content = &result["structuredContent"];
        let is_known = result["isError"] != true || content["error"]["code"] == "not_configured";
        assert_ne!(content["error"]["code"], "closed", "the session is lost: {result}");
        is_known.then(|| content["key_suffix"].clone())
    }

    fn may_return(&self, key: &Value) -> bool {
        self.allowed.contains(key) || self.replaced.contains(key) || (self.is_clear_pending && key.is_null())
    }

    async fn set(&mut self, node: usize) {
        self.next_key += 1;
        let suffix = format!("{:04}", self.next_key);
        let keys = json!({
            "access_key_id": format!("ASIA000000000000{suffix}"),
            "secret_access_key": secret_of_key("AAAA"),
            "session_token": "token",
        });
        let result = self.nodes[node]
            .client
            .call("set_aws_credentials_context", json!({"credentials_json": keys}))
            .await;
        self.record(&result, json!(suffix));
    }

    async fn clear(&mut self, node: usize) {
        let result = self.nodes[node].client.call("clear_credential_context", json!({})).await;
        self.is_clear_pending |= result["isError"] == true;
        self.record(&result, Value::Null);
    }

    fn record(&mut self, result: &Value, key: Value) {
        if result["isError"] == true {
            self.allowed.push(key);
        } else {
            self.replaced.append(&mut self.allowed);
            self.allowed = vec![key];
        }
    }

    async fn replace(&mut self, node: usize) {
        let new = Node::start(&self.store, &self.ring).await;
        let old = std::mem::replace(&mut self.nodes[node], new);
        self.nodes[node].client.handle.clone_from(&self.handle);
        old.gateway.stop().await;
    }

    /// Every gateway has the same, and it is nothing that was replaced or cleared.
    async fn settle(&mut self) {
        self.nodes.iter().for_each(|node| node.store.set_link(Link::Up));
        for node in &self.nodes {
            let is_settled = || {
                let status = node.shared.status();
                status.unreachable_for.is_none() && status.pending_clears == 0
            };
            while !is_settled() {
                sleep(Duration::from_millis(50)).await;
            }
        }
        let agreed = timeout(Duration::from_secs(60), self.agree()).await;
        let key = agreed.unwrap_or_else(|_| panic!("the gateways do not agree on one of {:?}", self.allowed));
        (self.allowed, self.is_clear_pending) = (vec![key], false);
        self.replaced.clear();
    }

    async fn agree(&mut self) -> Value {
        loop {
            let mut keys = Vec::new();
            for node in 0..NODES {
                keys.push(self.read(node).await);
            }
            let is_allowed =
                |key: &Value| self.allowed.contains(key) || (self.is_clear_pending && key.is_null());
            match &keys[0] {
                Some(key) if is_allowed(key) && keys.iter().all(|other| *other == keys[0]) => {
                    return key.clone();
                }
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

fn run(steps: &[Step]) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::start().await;
        for step in steps {
            world.run(*step).await;
        }
        world.settle().await;
        for node in world.nodes {
            node.gateway.stop().await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gateways_under_any_schedule_agree_and_keep_clears(steps in steps()) {
        run(&steps);
    }
}
