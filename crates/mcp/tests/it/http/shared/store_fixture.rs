//! A store that can be made to fail, for all nodes or for one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use valetkey_store::{
    Change, EventBatch, Lease, LeaseOutcome, MemoryStore, NodeId, RecordGeneration, RecordId, RecordLifetime,
    RecordVersion, SealedRecord, SessionStore, StoreError, StorePosition,
};

/// A store and one connection to it. A clone has the same connection.
#[derive(Debug, Clone)]
pub(super) struct StoreFixture {
    store: MemoryStore,
    link: Arc<Mutex<Link>>,
}

/// What becomes of the requests on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Up,
    /// Requests are lost.
    Down,
    /// Requests take effect, and their responses are lost.
    Mute,
}

impl StoreFixture {
    pub(super) fn new() -> Self {
        Self { store: MemoryStore::new(), link: Arc::new(Mutex::new(Link::Up)) }
    }

    /// Returns the same store over a connection of its own, which fails alone.
    pub(super) fn connection(&self) -> Self {
        Self { store: self.store.clone(), link: Arc::new(Mutex::new(Link::Up)) }
    }

    pub(super) fn set_down(&self, is_down: bool) {
        self.set_link(if is_down { Link::Down } else { Link::Up });
    }

    pub(super) fn set_link(&self, link: Link) {
        *self.link.lock() = link;
    }

    /// Runs an operation. A response that is on its way when a failure begins is lost.
    async fn run<T>(&self, operation: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        if self.link() == Link::Down {
            return Err(StoreError::Unavailable("it is down"));
        }
        let response = operation.await;
        if self.link() == Link::Up { response } else { Err(StoreError::TimedOut) }
    }

    fn link(&self) -> Link {
        *self.link.lock()
    }
}

#[async_trait]
impl SessionStore for StoreFixture {
    async fn create(
        &self,
        id: RecordId,
        record: &SealedRecord,
        lifetime: RecordLifetime,
    ) -> Result<(), StoreError> {
        self.run(self.store.create(id, record, lifetime)).await
    }

    async fn load(&self, id: RecordId) -> Result<SealedRecord, StoreError> {
        self.run(self.store.load(id)).await
    }

    async fn save(
        &self,
        id: RecordId,
        expected: RecordGeneration,
        record: &SealedRecord,
        change: Change,
    ) -> Result<(), StoreError> {
        self.run(self.store.save(id, expected, record, change)).await
    }

    async fn touch(&self, id: RecordId) -> Result<(), StoreError> {
        self.run(self.store.touch(id)).await
    }

    async fn close(&self, id: RecordId) -> Result<(), StoreError> {
        self.run(self.store.close(id)).await
    }

    async fn versions(&self, ids: &[RecordId]) -> Result<Vec<Option<RecordVersion>>, StoreError> {
        self.run(self.store.versions(ids)).await
    }

    async fn lease(
        &self,
        id: RecordId,
        expected: RecordGeneration,
        node: NodeId,
        lifetime: Duration,
    ) -> Result<LeaseOutcome, StoreError> {
        self.run(self.store.lease(id, expected, node, lifetime)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.run(self.store.release(lease)).await
    }

    async fn position(&self) -> Result<StorePosition, StoreError> {
        self.run(self.store.position()).await
    }

    async fn events_since(&self, position: &StorePosition, wait: Duration) -> Result<EventBatch, StoreError> {
        self.run(self.store.events_since(position, wait)).await
    }
}
