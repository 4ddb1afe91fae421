//! `SharedSessionsStatus`: how a node gets on with the session store, for health checks and metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use valetkey_store::{RecordError, StoreError};

use super::metered_store::StoreMeter;

/// How the gateways of one process get on with their store: a snapshot without secrets and without identities.
///
/// Counters begin with the process and never decrease.
///
/// # Examples
/// ```
/// use valetkey_mcp::http::SharedSessions;
/// use valetkey_store::{KeyRing, MemoryStore};
///
/// let shared = SharedSessions::new(MemoryStore::new(), KeyRing::generate()?);
/// // A gateway that has not reached its store yet is not ready.
/// let status = shared.status();
/// assert!(status.unreachable_for.is_some());
/// assert_eq!(status.open_sessions, 0);
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedSessionsStatus {
    /// How long the store has not been reached, or `None` while it is reached. Counts from the start of the process
    /// until it is reached for the first time.
    ///
    /// The gateway reads the events of the store all the time, so this is at most one second and the timeout of the store
    /// late.
    pub unreachable_for: Option<Duration>,
    /// Shared sessions that are open in this process.
    pub open_sessions: usize,
    /// Clears that took effect in this process and that the store has not confirmed. Other nodes do not know of them.
    pub pending_clears: usize,
    /// The operations of the store that were called at least once, by name.
    pub operations: BTreeMap<&'static str, StoreOperationStatus>,
    /// Refreshes that this process made with the lease of the session.
    pub refreshes_led: u64,
    /// Refreshes that another process made, and whose result was taken from the record.
    pub refreshes_followed: u64,
    /// Refreshes that this process made without a lease, since the store failed.
    pub refreshes_alone: u64,
    /// Records that were refused, by [code](RecordError::code). Each refusal is in the audit log as well.
    pub refused_records: BTreeMap<&'static str, u64>,
}

/// The calls of one operation of the store, such as `save`.
///
/// An error is counted with the operation that returned it. `superseded` and `no_session` are outcomes of a fleet at work;
/// the other codes are failures of the store.
///
/// # Examples
/// ```
/// use valetkey_mcp::http::SharedSessions;
///
/// /// Describes each operation in one line, for a log.
/// fn describe(shared: &SharedSessions) -> Vec<String> {
///     let operations = shared.status().operations.into_iter();
///     let describe = |(name, operation): (_, valetkey_mcp::http::StoreOperationStatus)| {
///         let errors: u64 = operation.errors.values().sum();
///         format!("{name}: {} calls, {errors} errors, {:?}", operation.calls, operation.total_time)
///     };
///     operations.map(describe).collect()
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreOperationStatus {
    /// Calls that ended, with and without an error.
    pub calls: u64,
    /// How long all of them took together. That of `events_since` includes the wait for an event.
    pub total_time: Duration,
    /// Calls that failed, by [code](StoreError::code).
    pub errors: BTreeMap<&'static str, u64>,
}

/// Counts what a [status](SharedSessionsStatus) reports.
pub(super) struct StatusRecorder {
    /// Since when the store is not reached.
    unreachable_since: Mutex<Option<Instant>>,
    open_sessions: Arc<AtomicUsize>,
    pending_clears: Arc<AtomicUsize>,
    refreshes: [AtomicU64; 3],
    refused: Mutex<BTreeMap<&'static str, u64>>,
    pub(super) meter: StoreMeter,
}

/// How credentials were fetched that other nodes fetch, too.
#[derive(Clone, Copy)]
pub(super) enum RefreshKind {
    Led,
    Followed,
    Alone,
}

impl StatusRecorder {
    pub(super) fn new() -> Self {
        Self {
            unreachable_since: Mutex::new(Some(Instant::now())),
            open_sessions: Arc::default(),
            pending_clears: Arc::default(),
            refreshes: Default::default(),
            refused: Mutex::default(),
            meter: StoreMeter::default(),
        }
    }

    pub(super) fn record_reached(&self, is_reached: bool) {
        let mut since = self.unreachable_since.lock();
        *since = if is_reached { None } else { since.or_else(|| Some(Instant::now())) };
    }

    pub(super) fn record_refresh(&self, kind: RefreshKind) {
        if let Some(counter) = self.refreshes.get(kind as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn record_refusal(&self, refusal: RecordError) {
        *self.refused.lock().entry(refusal.code()).or_default() += 1;
    }

    /// Counts an open session until the guard is dropped.
    pub(super) fn count_session(&self) -> Counted {
        Counted::new(&self.open_sessions)
    }

    /// Counts a clear that the store has not confirmed, until the guard is dropped.
    pub(super) fn count_pending_clear(&self) -> Counted {
        Counted::new(&self.pending_clears)
    }

    pub(super) fn snapshot(&self) -> SharedSessionsStatus {
        let [led, followed, alone] = self.refreshes.each_ref().map(|count| count.load(Ordering::Relaxed));
        SharedSessionsStatus {
            unreachable_for: self.unreachable_since.lock().map(|since| since.elapsed()),
            open_sessions: self.open_sessions.load(Ordering::Relaxed),
            pending_clears: self.pending_clears.load(Ordering::Relaxed),
            operations: self.meter.snapshot(),
            refreshes_led: led,
            refreshes_followed: followed,
            refreshes_alone: alone,
            refused_records: self.refused.lock().clone(),
        }
    }
}

/// One in a count of a [`StatusRecorder`], until it is dropped.
pub(super) struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl StoreOperationStatus {
    pub(super) fn record(&mut self, took: Duration, error: Option<&StoreError>) {
        self.calls += 1;
        self.total_time += took;
        if let Some(error) = error {
            *self.errors.entry(error.code()).or_default() += 1;
        }
    }
}
