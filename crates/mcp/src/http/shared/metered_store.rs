//! `MeteredStore`: a store whose operations are counted and timed.
//!
//! Every operation of a gateway goes through it, so that no caller has to count, and an operation that is added to the
//! interface cannot be forgotten. What is counted has names of operations and codes of errors only: no id of a session, no
//! principal and no text of an error.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;
use valetkey_store::{
    Change, EventBatch, Lease, LeaseOutcome, NodeId, RecordGeneration, RecordId, RecordLifetime,
    RecordVersion, SealedRecord, SessionStore, StoreError, StorePosition,
};

use super::status::{StatusRecorder, StoreOperationStatus};

/// The counts of the operations that were called. An operation is a round trip to the store, so a short lock after it
/// costs nothing.
#[derive(Default)]
pub(super) struct StoreMeter(Mutex<BTreeMap<&'static str, StoreOperationStatus>>);

impl StoreMeter {
    pub(super) fn snapshot(&self) -> BTreeMap<&'static str, StoreOperationStatus> {
        self.0.lock().clone()
    }

    fn record(&self, name: &'static str, took: Duration, error: Option<&StoreError>) {
        self.0.lock().entry(name).or_default().record(took, error);
    }
}

/// Forwards each operation to a store, and counts it. A dropped operation is not counted.
pub(super) struct MeteredStore<S> {
    store: S,
    status: Arc<StatusRecorder>,
}

impl<S> MeteredStore<S> {
    pub(super) const fn new(store: S, status: Arc<StatusRecorder>) -> Self {
        Self { store, status }
    }

    async fn measure<T>(
        &self,
        name: &'static str,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let result = operation.await;
        self.status.meter.record(name, started.elapsed(), result.as_ref().err());
        result
    }
}

impl<S: SessionStore> fmt::Debug for MeteredStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MeteredStore").field(&self.store).finish()
    }
}

#[async_trait]
impl<S: SessionStore> SessionStore for MeteredStore<S> {
    async fn create(
        &self,
        id: RecordId,
        record: &SealedRecord,
        lifetime: RecordLifetime,
    ) -> Result<(), StoreError> {
        self.measure("create", self.store.create(id, record, lifetime)).await
    }

    async fn load(&self, id: RecordId) -> Result<SealedRecord, StoreError> {
        self.measure("load", self.store.load(id)).await
    }

    async fn save(
        &self,
        id: RecordId,
        expected: RecordGeneration,
        record: &SealedRecord,
        change: Change,
    ) -> Result<(), StoreError> {
        self.measure("save", self.store.save(id, expected, record, change)).await
    }

    async fn touch(&self, id: RecordId) -> Result<(), StoreError> {
        self.measure("touch", self.store.touch(id)).await
    }

    async fn close(&self, id: RecordId) -> Result<(), StoreError> {
        self.measure("close", self.store.close(id)).await
    }

    async fn versions(&self, ids: &[RecordId]) -> Result<Vec<Option<RecordVersion>>, StoreError> {
        self.measure("versions", self.store.versions(ids)).await
    }

    async fn lease(
        &self,
        id: RecordId,
        expected: RecordGeneration,
        node: NodeId,
        lifetime: Duration,
    ) -> Result<LeaseOutcome, StoreError> {
        self.measure("lease", self.store.lease(id, expected, node, lifetime)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.measure("release", self.store.release(lease)).await
    }

    async fn position(&self) -> Result<StorePosition, StoreError> {
        self.measure("position", self.store.position()).await
    }

    async fn events_since(&self, position: &StorePosition, wait: Duration) -> Result<EventBatch, StoreError> {
        self.measure("events_since", self.store.events_since(position, wait)).await
    }
}
