//! The protocol of three nodes over one store, under random schedules: lost requests and responses, crashes, slow
//! refreshes, and failovers to a copy of the store.
//!
//! Two settings: with confirmed replication, a failover loses only what the store had not confirmed. Without, it also
//! loses confirmed writes; the nodes, which do not crash then, restore every clear and close.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;
use valetkey_store::{
    Change, ClientHandle, KeyRing, KnownSessions, LeaseOutcome, MemoryStore, NodeId, RecordError,
    RecordGeneration, RecordId, RecordLifetime, RecordOwner, SealedRecord, SessionNotice, SessionStore,
    StoreError, StorePosition,
};

const LONG: Duration = Duration::from_secs(100_000);
const LEASE: Duration = Duration::from_secs(10);
const NODES: usize = 3;

/// What becomes of a request to the store.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Confirmed,
    RequestLost,
    ResponseLost,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Use(usize),
    BeginRefresh(usize),
    EndRefresh(usize, Fate),
    Clear(usize, Fate),
    Close(usize, Fate),
    CatchUp(usize),
    Crash(usize),
    /// The request that created the session arrives again.
    CreateAgain,
    Replicate,
    Failover,
    /// A lease may end.
    Wait,
    /// Every node catches up.
    Settle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0..NODES;
    let fate =
        prop_oneof![3 => Just(Fate::Confirmed), 1 => Just(Fate::RequestLost), 1 => Just(Fate::ResponseLost)];
    let both = (node.clone(), fate);
    let step = prop_oneof![
        6 => node.clone().prop_map(Step::Use),
        4 => node.clone().prop_map(Step::BeginRefresh),
        4 => both.clone().prop_map(|(node, fate)| Step::EndRefresh(node, fate)),
        2 => both.clone().prop_map(|(node, fate)| Step::Clear(node, fate)),
        1 => both.prop_map(|(node, fate)| Step::Close(node, fate)),
        5 => node.clone().prop_map(Step::CatchUp),
        1 => node.prop_map(Step::Crash),
        1 => Just(Step::CreateAgain),
        2 => Just(Step::Replicate),
        2 => Just(Step::Failover),
        2 => Just(Step::Wait),
        2 => Just(Step::Settle),
    ];
    proptest::collection::vec(step, 1..60)
}

struct Node {
    id: NodeId,
    known: KnownSessions,
    position: StorePosition,
    /// The record that the node serves from.
    held: Option<SealedRecord>,
    /// The generation that it has leased, until the refresh ends.
    refreshing: Option<RecordGeneration>,
    /// Whether it has caught up since the last confirmed clear or close.
    is_current: bool,
}

impl Node {
    async fn start(store: &MemoryStore) -> Self {
        Self {
            id: NodeId::random().unwrap(),
            known: KnownSessions::new(LONG),
            position: store.position().await.unwrap(),
            held: None,
            refreshing: None,
            is_current: true,
        }
    }
}

/// What the clients were promised.
#[derive(Default)]
struct Promises {
    /// The credentials that confirmed clears have removed. A record carries the numbers of those that are in it.
    cleared: HashSet<u16>,
    is_closed: bool,
    /// The confirmed successor of each generation.
    successors: HashMap<RecordGeneration, SealedRecord>,
}

struct World {
    store: MemoryStore,
    replica: MemoryStore,
    is_replication_confirmed: bool,
    nodes: Vec<Node>,
    ring: KeyRing,
    handle: ClientHandle,
    owner: RecordOwner,
    first: SealedRecord,
    promises: Promises,
    /// The number of the last credentials that were set.
    latest_number: u16,
    /// The number of generations that were chosen.
    generations: u64,
}

impl World {
    async fn start(is_replication_confirmed: bool) -> Self {
        let (store, handle) = (MemoryStore::with_max_events(4), ClientHandle::random().unwrap());
        let ring = KeyRing::generate().unwrap();
        let owner = RecordOwner::new("acme", "alice".parse().unwrap());
        let first = ring.seal(&handle, &owner, RecordGeneration::FIRST, &[0, 0]).unwrap();
        let lifetime = RecordLifetime { idle: LONG, total: LONG };
        store.create(handle.id(), &first, lifetime).await.unwrap();
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            nodes.push(Node::start(&store).await);
        }
        let replica = store.replica();
        Self {
            store,
            replica,
            is_replication_confirmed,
            nodes,
            ring,
            handle,
            owner,
            first,
            promises: Promises::default(),
            latest_number: 0,
            generations: 0,
        }
    }

    /// Returns a generation for the next save, which differs from all others as random ones do.
    fn successor(&mut self, generation: RecordGeneration) -> RecordGeneration {
        self.generations += 1;
        RecordGeneration::new(((generation.number() >> 32) + 1) << 32 | self.generations)
    }

    fn id(&self) -> RecordId {
        self.handle.id()
    }

    fn seal(&self, generation: RecordGeneration, credentials: &[u16]) -> SealedRecord {
        let contents: Vec<u8> = credentials.iter().flat_map(|number| number.to_be_bytes()).collect();
        self.ring.seal(&self.handle, &self.owner, generation, &contents).unwrap()
    }

    /// Returns the numbers of the credentials in a record.
    fn credentials(&self, record: &SealedRecord) -> Vec<u16> {
        let contents = self.ring.open(&self.handle, &self.owner, record).unwrap();
        contents.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    }

    async fn run(&mut self, step: Step) {
        match step {
            Step::Use(node) => self.use_session(node).await,
            Step::BeginRefresh(node) => self.begin_refresh(node).await,
            Step::EndRefresh(node, fate) => self.end_refresh(node, fate).await,
            Step::Clear(node, fate) => self.clear(node, fate).await,
            Step::Close(node, fate) => self.close(node, fate).await,
            Step::CatchUp(node) => self.catch_up(node).await,
            Step::Crash(node) if self.is_replication_confirmed => {
                self.nodes[node] = Node::start(&self.store).await;
            }
            Step::CreateAgain => self.create_again().await,
            Step::Replicate => self.replica = self.store.replica(),
            Step::Failover => self.fail_over(),
            Step::Wait => tokio::time::advance(LEASE / 2).await,
            Step::Settle => self.settle().await,
            Step::Crash(_) => {}
        }
    }

    /// A call of the client: the node serves what it holds, or loads it.
    async fn use_session(&mut self, node: usize) {
        if self.nodes[node].held.is_none() {
            match self.nodes[node].known.load(&self.store, self.id()).await {
                Ok(record) => self.nodes[node].held = Some(record),
                Err(StoreError::NoSession | StoreError::Record(RecordError::Replayed)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        self.check(node);
    }

    fn check(&self, node: usize) {
        if self.nodes[node].is_current && self.is_replication_confirmed {
            self.assert_allowed(self.nodes[node].held.as_ref());
        }
    }

    /// Neither a closed session nor credentials that were cleared are served.
    fn assert_allowed(&self, record: Option<&SealedRecord>) {
        let Some(record) = record else { return };
        assert!(!self.promises.is_closed, "a closed session is served");
        let credentials = self.credentials(record);
        let is_cleared = |number| self.promises.cleared.contains(number);
        assert!(!credentials.iter().any(is_cleared), "cleared credentials are served");
    }

    async fn begin_refresh(&mut self, node: usize) {
        let Some(held) = &self.nodes[node].held else { return };
        let generation = held.generation();
        let outcome = self.store.lease(self.id(), generation, self.nodes[node].id, LEASE).await;
        if let Ok(LeaseOutcome::Granted(lease)) = outcome {
            self.nodes[node].refreshing = Some(lease.generation);
        }
    }

    async fn end_refresh(&mut self, node: usize, fate: Fate) {
        let Some(generation) = self.nodes[node].refreshing.take() else { return };
        // A clear drops what a refresh began with.
        let held = self.nodes[node].held.clone().filter(|held| held.generation() == generation);
        let Some(held) = held else { return };
        self.latest_number += 1;
        let credentials = [self.credentials(&held), vec![self.latest_number]].concat();
        let next = self.successor(generation);
        let next = self.seal(next, &credentials);
        self.save(node, generation, next, Change::Rotated, fate).await;
    }

    async fn clear(&mut self, node: usize, fate: Fate) {
        self.use_session(node).await;
        let Some(held) = self.nodes[node].held.clone() else { return };
        let removed = self.credentials(&held);
        let next = self.successor(held.generation());
        let next = self.seal(next, &[]);
        if self.save(node, held.generation(), next, Change::Cleared, fate).await {
            self.promise(node, |promises| promises.cleared.extend(removed));
        }
    }

    /// Saves, and returns whether the save was confirmed.
    async fn save(
        &mut self,
        node: usize,
        expected: RecordGeneration,
        record: SealedRecord,
        change: Change,
        fate: Fate,
    ) -> bool {
        let id = self.id();
        self.nodes[node].held = None;
        if matches!(fate, Fate::RequestLost) {
            return false;
        }
        let saved = self.store.save(id, expected, &record, change).await;
        if saved.is_err() || matches!(fate, Fate::ResponseLost) {
            return false;
        }
        self.confirm();
        if self.is_replication_confirmed {
            let earlier = self.promises.successors.insert(expected, record.clone());
            assert!(earlier.is_none(), "two refreshes of one generation were saved");
        }
        self.nodes[node].known.saved(id, record.generation(), change);
        self.nodes[node].held = Some(record);
        true
    }

    async fn close(&mut self, node: usize, fate: Fate) {
        let id = self.id();
        self.nodes[node].known.closing(id);
        self.nodes[node].held = None;
        if matches!(fate, Fate::RequestLost) {
            return;
        }
        self.store.close(id).await.unwrap();
        if matches!(fate, Fate::Confirmed) {
            self.confirm();
            self.promise(node, |promises| promises.is_closed = true);
        }
    }

    /// A confirmed write is on the replica, if confirmations are those of the replica.
    fn confirm(&mut self) {
        if self.is_replication_confirmed {
            self.replica = self.store.replica();
        }
    }

    /// The other nodes have to notice what was promised.
    fn promise(&mut self, node: usize, promise: impl FnOnce(&mut Promises)) {
        promise(&mut self.promises);
        for (index, other) in self.nodes.iter_mut().enumerate() {
            other.is_current &= index == node;
        }
    }

    async fn catch_up(&mut self, node: usize) {
        let id = self.id();
        let Node { known, position, .. } = &mut self.nodes[node];
        let notices = known.catch_up(&self.store, position, Duration::ZERO).await.unwrap();
        self.confirm();
        self.nodes[node].is_current = true;
        for notice in notices {
            match notice {
                SessionNotice::Outdated { .. } | SessionNotice::Ended { .. } => self.nodes[node].held = None,
                SessionNotice::ClearLost { stored, latest, .. } => self.restore(node, stored, latest).await,
            }
        }
        if self.nodes[node].known.has_ended(id) {
            self.nodes[node].held = None;
        }
        self.check(node);
    }

    /// Stores a clear again that the store has lost.
    async fn restore(&mut self, node: usize, stored: RecordGeneration, latest: RecordGeneration) {
        match self.nodes[node].held {
            Some(_) => {
                let next = self.successor(latest);
                let record = self.seal(next, &[]);
                self.save(node, stored, record, Change::Cleared, Fate::Confirmed).await;
            }
            None => self.close(node, Fate::Confirmed).await,
        }
    }

    async fn create_again(&mut self) {
        let lifetime = RecordLifetime { idle: LONG, total: LONG };
        let created = self.store.create(self.id(), &self.first, lifetime).await;
        assert!(!self.is_replication_confirmed || !self.promises.is_closed || created.is_err());
    }

    fn fail_over(&mut self) {
        self.store = self.replica.replica();
        self.replica = self.store.replica();
    }

    /// Every node catches up, twice: a node restores what the store has lost, and the others notice it.
    async fn settle(&mut self) {
        for _ in 0..2 {
            for node in 0..NODES {
                self.catch_up(node).await;
            }
        }
        for node in 0..NODES {
            self.use_session(node).await;
            self.assert_allowed(self.nodes[node].held.as_ref());
        }
        self.assert_allowed(self.store.load(self.id()).await.ok().as_ref());
        self.replica = self.store.replica();
    }
}

fn run(is_replication_confirmed: bool, steps: &[Step]) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::start(is_replication_confirmed).await;
        for step in steps {
            world.run(*step).await;
        }
        world.settle().await;
    });
}

/// A node refreshes a generation that the store has lost, after another node has saved a clear in its place.
#[test]
fn refresh_of_lost_generation_does_not_undo_clear() {
    run(
        false,
        &[
            Step::Use(0),
            Step::Use(1),
            Step::BeginRefresh(1),
            Step::EndRefresh(1, Fate::ResponseLost),
            Step::Use(1),
            Step::Failover,
            Step::Clear(0, Fate::Confirmed),
            Step::BeginRefresh(1),
            Step::EndRefresh(1, Fate::ResponseLost),
        ],
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nodes_with_confirmed_replication_keep_every_promise(steps in steps()) {
        run(true, &steps);
    }

    #[test]
    fn nodes_after_lost_writes_restore_clears_and_closes(steps in steps()) {
        run(false, &steps);
    }
}
