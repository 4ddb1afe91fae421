//! `MemoryStore`: the store of one process, and the reference for other stores.

mod state;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use state::{OpenRecord, State};

use crate::{
    Change, EventBatch, Lease, LeaseOutcome, NodeId, RecordGeneration, RecordId, RecordLifetime,
    RecordVersion, SealedRecord, SessionStore, StoreError, StoreEvent, StorePosition,
};

/// How many events are kept (default).
const MAX_EVENTS: usize = 10_000;

/// Keeps records in the memory of this process. A clone refers to the same records.
///
/// For tests, and for one node that uses the interface of several. Its time is that of tokio, which tests can pause.
///
/// # Examples
/// ```
/// # use valetkey_store::{ClientHandle, MemoryStore, SessionStore, StoreError};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> valetkey_core::Result<()> {
/// let store = MemoryStore::new();
/// let unknown = store.load(ClientHandle::random()?.id()).await;
/// assert_eq!(unknown.unwrap_err(), StoreError::NoSession);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl MemoryStore {
    /// Creates an empty store that keeps the last 10,000 events.
    #[must_use]
    pub fn new() -> Self {
        Self::with_max_events(MAX_EVENTS)
    }

    /// Creates an empty store that keeps the last `max_events` events.
    #[must_use]
    pub fn with_max_events(max_events: usize) -> Self {
        Self::from_state(State::new(max_events))
    }

    /// Returns a copy of the store as it is now, as a replica that is promoted later. Positions of this store are
    /// incomplete in the copy.
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    #[must_use]
    pub fn replica(&self) -> Self {
        Self::from_state(self.state.lock().replica())
    }

    fn from_state(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::default() }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("records", &self.state.lock().len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn create(
        &self,
        id: RecordId,
        record: &SealedRecord,
        lifetime: RecordLifetime,
    ) -> Result<(), StoreError> {
        self.state.lock().create(id, OpenRecord::new(record, lifetime))
    }

    async fn load(&self, id: RecordId) -> Result<SealedRecord, StoreError> {
        self.state.lock().open_record(id).map(|open| open.record().clone())
    }

    async fn save(
        &self,
        id: RecordId,
        expected: RecordGeneration,
        record: &SealedRecord,
        change: Change,
    ) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let is_repeated = state.open_record(id)?.save(expected, record, change)?;
        if !is_repeated {
            state.announce(StoreEvent::Saved { id, generation: record.generation(), change });
        }
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    async fn touch(&self, id: RecordId) -> Result<(), StoreError> {
        self.state.lock().open_record(id)?.touch();
        Ok(())
    }

    async fn close(&self, id: RecordId) -> Result<(), StoreError> {
        self.state.lock().close(id);
        self.changed.notify_waiters();
        Ok(())
    }

    async fn versions(&self, ids: &[RecordId]) -> Result<Vec<Option<RecordVersion>>, StoreError> {
        let mut state = self.state.lock();
        Ok(ids.iter().map(|id| state.open_record(*id).ok().map(|open| open.version())).collect())
    }

    async fn lease(
        &self,
        id: RecordId,
        expected: RecordGeneration,
        node: NodeId,
        lifetime: Duration,
    ) -> Result<LeaseOutcome, StoreError> {
        let wanted = Lease { id, generation: expected, node };
        self.state.lock().open_record(id)?.lease(wanted, lifetime)
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        if let Ok(open) = self.state.lock().open_record(lease.id) {
            open.release(lease);
        }
        Ok(())
    }

    async fn position(&self) -> Result<StorePosition, StoreError> {
        Ok(self.state.lock().position())
    }

    async fn events_since(&self, position: &StorePosition, wait: Duration) -> Result<EventBatch, StoreError> {
        // Listens before it looks, so that it misses no event in between.
        let mut changed = std::pin::pin!(self.changed.notified());
        changed.as_mut().enable();
        let batch = self.state.lock().events_since(position);
        if !batch.events.is_empty() || !batch.is_complete || wait.is_zero() {
            return Ok(batch);
        }
        let _either = timeout(wait, changed).await;
        Ok(self.state.lock().events_since(position))
    }
}
