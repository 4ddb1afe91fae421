//! `MemoryStore`: the store of one process, and the reference for other stores.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::{
    Change, EventBatch, Lease, LeaseOutcome, NodeId, RecordGeneration, RecordId, RecordLifetime,
    RecordVersion, SealedRecord, SessionStore, StoreError, StoreEvent, StorePosition,
};

/// How many events are kept (default).
const MAX_EVENTS: usize = 10_000;
/// How long an id without a record stays closed.
const CLOSED_FOR: Duration = Duration::from_secs(3_600);

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

#[derive(Clone)]
struct State {
    /// Differs between a store and a copy of it.
    epoch: u64,
    records: HashMap<RecordId, Entry>,
    events: VecDeque<StoreEvent>,
    /// The number of the first event that is kept.
    first_event: u64,
    max_events: usize,
}

#[derive(Clone)]
enum Entry {
    Open(OpenRecord),
    /// Keeps the id from being used again.
    Closed {
        until: Instant,
    },
}

#[derive(Clone)]
struct OpenRecord {
    record: SealedRecord,
    cleared: Option<RecordGeneration>,
    idle: Duration,
    deadline: Instant,
    expires_at: Instant,
    lease: Option<(Lease, Instant)>,
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
        Self::from_state(State {
            epoch: 0,
            records: HashMap::new(),
            events: VecDeque::new(),
            first_event: 0,
            max_events,
        })
    }

    /// Returns a copy of the store as it is now, as a replica that is promoted later. Positions of this store are
    /// incomplete in the copy.
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    #[must_use]
    pub fn replica(&self) -> Self {
        let mut state = self.state.lock().clone();
        state.epoch += 1;
        Self::from_state(state)
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
        f.debug_struct("MemoryStore")
            .field("records", &self.state.lock().records.len())
            .finish_non_exhaustive()
    }
}

impl State {
    /// Returns the entry of an id, without one whose time has passed.
    fn entry(&mut self, id: RecordId) -> Option<&mut Entry> {
        let now = Instant::now();
        let has_ended = self.records.get(&id).is_some_and(|entry| match entry {
            Entry::Open(open) => open.expires_at <= now,
            Entry::Closed { until } => *until <= now,
        });
        if has_ended {
            self.records.remove(&id);
        }
        self.records.get_mut(&id)
    }

    fn open_record(&mut self, id: RecordId) -> Result<&mut OpenRecord, StoreError> {
        match self.entry(id) {
            Some(Entry::Open(open)) => Ok(open),
            Some(Entry::Closed { .. }) | None => Err(StoreError::NoSession),
        }
    }

    fn create(&mut self, id: RecordId, new: OpenRecord) -> Result<(), StoreError> {
        match self.entry(id) {
            None => {
                self.records.insert(id, Entry::Open(new));
                Ok(())
            }
            // A repeated request whose response was lost.
            Some(Entry::Open(open)) if open.record == new.record => Ok(()),
            Some(_) => Err(StoreError::Exists),
        }
    }

    fn close(&mut self, id: RecordId) {
        let shortest = Instant::now() + CLOSED_FOR;
        let until = match self.entry(id) {
            Some(Entry::Open(open)) => open.deadline.max(shortest),
            Some(Entry::Closed { until }) => (*until).max(shortest),
            None => shortest,
        };
        self.records.insert(id, Entry::Closed { until });
        self.announce(StoreEvent::Closed { id });
    }

    fn announce(&mut self, event: StoreEvent) {
        self.events.push_back(event);
        while self.events.len() > self.max_events {
            self.events.pop_front();
            self.first_event += 1;
        }
    }

    fn position(&self) -> StorePosition {
        let next = self.first_event + u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        StorePosition::new(&format!("{}:{next}", self.epoch))
    }

    fn events_since(&self, position: &StorePosition) -> EventBatch {
        let read = position.as_str().split_once(':').filter(|(epoch, _)| *epoch == self.epoch.to_string());
        let read = read.and_then(|(_, next)| next.parse::<u64>().ok());
        let skip = read.and_then(|next| next.checked_sub(self.first_event));
        let skip = skip.and_then(|skip| usize::try_from(skip).ok()).filter(|skip| *skip <= self.events.len());
        EventBatch {
            events: self.events.iter().skip(skip.unwrap_or(self.events.len())).copied().collect(),
            position: self.position(),
            is_complete: skip.is_some(),
        }
    }
}

impl OpenRecord {
    fn new(record: &SealedRecord, lifetime: RecordLifetime) -> Self {
        let now = Instant::now();
        let deadline = now + lifetime.total;
        let expires_at = deadline.min(now + lifetime.idle);
        Self { record: record.clone(), cleared: None, idle: lifetime.idle, deadline, expires_at, lease: None }
    }

    fn version(&self) -> RecordVersion {
        RecordVersion { generation: self.record.generation(), cleared: self.cleared }
    }

    /// Returns whether the record is already the one to save.
    fn save(
        &mut self,
        expected: RecordGeneration,
        record: &SealedRecord,
        change: Change,
    ) -> Result<bool, StoreError> {
        let current = self.record.generation();
        if self.record == *record {
            return Ok(true);
        }
        if current != expected || record.generation() <= expected {
            return Err(StoreError::Superseded { current });
        }
        self.record = record.clone();
        if change == Change::Cleared {
            self.cleared = Some(record.generation());
        }
        self.lease = None;
        Ok(false)
    }

    fn lease(&mut self, wanted: Lease, lifetime: Duration) -> Result<LeaseOutcome, StoreError> {
        let (now, current) = (Instant::now(), self.record.generation());
        if current != wanted.generation {
            return Err(StoreError::Superseded { current });
        }
        match self.lease {
            Some((held, until)) if held.node != wanted.node && until > now => {
                Ok(LeaseOutcome::Held { remaining: until - now })
            }
            _ => {
                self.lease = Some((wanted, now + lifetime));
                Ok(LeaseOutcome::Granted(wanted))
            }
        }
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
        self.state.lock().open_record(id).map(|open| open.record.clone())
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
        let mut state = self.state.lock();
        let open = state.open_record(id)?;
        open.expires_at = open.deadline.min(Instant::now() + open.idle);
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
            open.lease.take_if(|(held, _)| held == lease);
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
