//! The records and events of a store in memory.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::{
    Change, EventBatch, Lease, LeaseOutcome, RecordGeneration, RecordId, RecordLifetime, RecordVersion,
    SealedRecord, StoreError, StoreEvent, StorePosition,
};

/// How long an id without a record stays closed.
const CLOSED_FOR: Duration = Duration::from_secs(3_600);

#[derive(Clone)]
pub(super) struct State {
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
pub(super) struct OpenRecord {
    record: SealedRecord,
    cleared: Option<RecordGeneration>,
    idle: Duration,
    deadline: Instant,
    expires_at: Instant,
    lease: Option<(Lease, Instant)>,
}

impl State {
    pub(super) fn new(max_events: usize) -> Self {
        Self { epoch: 0, records: HashMap::new(), events: VecDeque::new(), first_event: 0, max_events }
    }

    /// Returns a copy, in which positions of this state are unknown.
    #[cfg(feature = "test-util")]
    pub(super) fn replica(&self) -> Self {
        Self { epoch: self.epoch + 1, ..self.clone() }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

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

    pub(super) fn open_record(&mut self, id: RecordId) -> Result<&mut OpenRecord, StoreError> {
        match self.entry(id) {
            Some(Entry::Open(open)) => Ok(open),
            Some(Entry::Closed { .. }) | None => Err(StoreError::NoSession),
        }
    }

    pub(super) fn create(&mut self, id: RecordId, new: OpenRecord) -> Result<(), StoreError> {
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

    pub(super) fn close(&mut self, id: RecordId) {
        let shortest = Instant::now() + CLOSED_FOR;
        let until = match self.entry(id) {
            Some(Entry::Open(open)) => open.deadline.max(shortest),
            Some(Entry::Closed { until }) => (*until).max(shortest),
            None => shortest,
        };
        self.records.insert(id, Entry::Closed { until });
        self.announce(StoreEvent::Closed { id });
    }

    pub(super) fn announce(&mut self, event: StoreEvent) {
        self.events.push_back(event);
        while self.events.len() > self.max_events {
            self.events.pop_front();
            self.first_event += 1;
        }
    }

    pub(super) fn position(&self) -> StorePosition {
        let next = self.first_event + u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        StorePosition::new(&format!("{}:{next}", self.epoch))
    }

    pub(super) fn events_since(&self, position: &StorePosition) -> EventBatch {
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
    pub(super) fn record(&self) -> &SealedRecord {
        &self.record
    }

    pub(super) fn touch(&mut self) {
        self.expires_at = self.deadline.min(Instant::now() + self.idle);
    }

    pub(super) fn release(&mut self, lease: &Lease) {
        self.lease.take_if(|(held, _)| held == lease);
    }

    pub(super) fn new(record: &SealedRecord, lifetime: RecordLifetime) -> Self {
        let now = Instant::now();
        let deadline = now + lifetime.total;
        let expires_at = deadline.min(now + lifetime.idle);
        Self { record: record.clone(), cleared: None, idle: lifetime.idle, deadline, expires_at, lease: None }
    }

    pub(super) fn version(&self) -> RecordVersion {
        RecordVersion { generation: self.record.generation(), cleared: self.cleared }
    }

    /// Returns whether the record is already the one to save.
    pub(super) fn save(
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

    pub(super) fn lease(&mut self, wanted: Lease, lifetime: Duration) -> Result<LeaseOutcome, StoreError> {
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
