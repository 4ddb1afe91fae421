//! A store that can be made to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use valetkey_store::{
    Change, EventBatch, Lease, LeaseOutcome, MemoryStore, NodeId, RecordGeneration, RecordId, RecordLifetime,
    RecordVersion, SealedRecord, SessionStore, StoreError, StorePosition,
};

#[derive(Debug, Clone)]
pub(super) struct StoreFixture {
    store: MemoryStore,
    is_down: Arc<AtomicBool>,
}

impl StoreFixture {
    pub(super) fn new() -> Self {
        Self { store: MemoryStore::new(), is_down: Arc::default() }
    }

    pub(super) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    fn store(&self) -> Result<&MemoryStore, StoreError> {
        if self.is_down.load(Ordering::SeqCst) {
            Err(StoreError::Unavailable("it is down"))
        } else {
            Ok(&self.store)
        }
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
        self.store()?.create(id, record, lifetime).await
    }

    async fn load(&self, id: RecordId) -> Result<SealedRecord, StoreError> {
        self.store()?.load(id).await
    }

    async fn save(
        &self,
        id: RecordId,
        expected: RecordGeneration,
        record: &SealedRecord,
        change: Change,
    ) -> Result<(), StoreError> {
        self.store()?.save(id, expected, record, change).await
    }

    async fn touch(&self, id: RecordId) -> Result<(), StoreError> {
        self.store()?.touch(id).await
    }

    async fn close(&self, id: RecordId) -> Result<(), StoreError> {
        self.store()?.close(id).await
    }

    async fn versions(&self, ids: &[RecordId]) -> Result<Vec<Option<RecordVersion>>, StoreError> {
        self.store()?.versions(ids).await
    }

    async fn lease(
        &self,
        id: RecordId,
        expected: RecordGeneration,
        node: NodeId,
        lifetime: Duration,
    ) -> Result<LeaseOutcome, StoreError> {
        self.store()?.lease(id, expected, node, lifetime).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.store()?.release(lease).await
    }

    async fn position(&self) -> Result<StorePosition, StoreError> {
        self.store()?.position().await
    }

    async fn events_since(&self, position: &StorePosition, wait: Duration) -> Result<EventBatch, StoreError> {
        let batch = self.store()?.events_since(position, wait).await;
        // A response that is on its way when the outage begins is lost.
        self.store()?;
        batch
    }
}
