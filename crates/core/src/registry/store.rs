//! `Store`: the sessions of one registry, shared by its clones, its guards and its background tasks.
//!
//! Finding a session reads a moka cache; opening and closing change the [`SessionIndex`], which owns the entries. The cache
//! holds weak references only: moka drops values some time after they are removed, and must not keep a session, or the
//! value beside it, alive meanwhile.
//!
//! moka's idle time follows the monotonic clock and does not know of calls in flight, so it only limits how long the
//! cache holds an unused entry; the index decides which sessions have ended. moka's size limit is not used, since it
//! may evict the session of any principal. Nor is its eviction listener, with which moka takes a lock for the key of
//! each insertion and invalidation.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::builder::Limits;
use super::entry::Entry;
use super::handle::BuildIdentityHasher;
use super::monotonic_clock::{Moment, MonotonicClock};
use super::quota::SessionIndex;
use super::{SessionGuard, SessionHandle};
use crate::cache::RefreshQueue;
use crate::clock::ClockSource;
use crate::{OutstandingCredentials, Principal, Result, SessionContext};

/// moka accepts no longer idle time.
const MAX_CACHE_TTL: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);

/// A session enters the index when it is opened and the cache when it is first found, and leaves the index first. So
/// the cache may miss a session that is open, for which `find` falls back to the index, and may still hold one that
/// was removed, which is retired and cannot be used. A `find` that races with the removal may put such an entry back
/// into the cache, which drops it after the idle time.
pub(super) struct Store<T> {
    clock: MonotonicClock,
    pub(super) limits: Limits,
    cache: Cache<SessionHandle, Weak<Entry<T>>, BuildIdentityHasher>,
    index: Mutex<SessionIndex<T>>,
    closed: AtomicBool,
    refreshers: Mutex<Vec<Weak<RefreshQueue>>>,
    /// Wakes background tasks at the end of the registry.
    pub(super) ended: Notify,
}

impl<T> Store<T> {
    pub(super) fn clock(&self) -> ClockSource {
        self.clock.clock().clone()
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(super) fn len(&self) -> usize {
        self.index.lock().len()
    }

    /// Returns handles to all open sessions. They keep no session open beyond its entry, since the entry closes its
    /// session when it is dropped.
    pub(super) fn sessions(&self) -> Vec<SessionContext> {
        self.index.lock().entries().map(|entry| entry.session.clone()).collect()
    }

    /// Returns the entries of a principal that `find` finds.
    pub(super) fn entries_of(&self, principal: &Principal) -> Vec<Arc<Entry<T>>> {
        let now = self.now();
        let index = self.index.lock();
        index.entries_of(principal).filter(|entry| entry.accepts_calls(now)).cloned().collect()
    }

    /// Registers a refresher for the open sessions and for those that are opened later.
    pub(super) fn add_refresher(&self, refresher: &Arc<RefreshQueue>) {
        // Registered before the sessions are listed: a session opened meanwhile finds the refresher, or is in the list.
        let mut refreshers = self.refreshers.lock();
        refreshers.retain(|known| known.strong_count() > 0);
        refreshers.push(Arc::downgrade(refresher));
        drop(refreshers);
        self.sessions().iter().for_each(|session| session.attach_refresher(refresher));
    }

    /// Registers a session that was just opened with the refreshers that run.
    fn refresh_in_background(&self, session: &SessionContext) {
        self.live_refreshers().iter().for_each(|refresher| session.attach_refresher(refresher));
    }

    /// Makes background refreshes notice the end of the registry.
    fn wake_refreshers(&self) {
        self.live_refreshers().iter().for_each(|refresher| refresher.notify());
    }

    /// Returns the refreshers whose futures were not dropped.
    fn live_refreshers(&self) -> Vec<Arc<RefreshQueue>> {
        self.refreshers.lock().iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Closes every session for good.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.ended.notify_waiters();
        self.wake_refreshers();
        let removed = self.index.lock().remove_all();
        removed.iter().for_each(|entry| entry.session.close_quietly());
    }
}

impl<T: Send + Sync + 'static> Store<T> {
    pub(super) fn new(clock: MonotonicClock, limits: Limits) -> Arc<Self> {
        let cache = Cache::builder()
            .time_to_idle(limits.idle_ttl.min(MAX_CACHE_TTL))
            .build_with_hasher(BuildIdentityHasher::default());
        Arc::new(Self {
            clock,
            limits,
            cache,
            index: Mutex::default(),
            closed: AtomicBool::new(false),
            refreshers: Mutex::default(),
            ended: Notify::new(),
        })
    }

    /// Opens a session whose first call is in flight. The caller receives the guard of that call.
    ///
    /// # Errors
    /// `Throttled` when there is no room. The session is then closed, and its value dropped.
    pub(super) fn open(
        self: &Arc<Self>,
        principal: Principal,
        session: SessionContext,
        value: T,
    ) -> Result<SessionGuard<T>> {
        let now = self.now();
        let entry = Arc::new(Entry::new(principal, session, value, &self.limits, now));
        let mut removed = Vec::new();
        let inserted = self.index.lock().insert(&entry, &self.limits, now, &mut removed);
        self.end_all(&removed);
        inserted?;
        self.refresh_in_background(&entry.session);
        Ok(SessionGuard::new(entry, Arc::clone(self)))
    }

    /// Starts a call of a session.
    pub(super) fn find(
        self: &Arc<Self>,
        principal: &Principal,
        handle: &SessionHandle,
    ) -> Option<SessionGuard<T>> {
        let now = self.now();
        let (entry, is_cached) = self.lookup(principal, handle)?;
        // Twice: the last call of an idle session may end between the two steps, which makes the session active.
        for _ in 0..2 {
            if entry.try_start_call(now) {
                if !is_cached {
                    self.cache.insert(*handle, Arc::downgrade(&entry));
                }
                return Some(SessionGuard::new(entry, Arc::clone(self)));
            }
            if self.remove_if_ended(&entry, now) {
                return None;
            }
        }
        None
    }

    /// Reads the cache, and the index for what the cache does not hold. Returns whether the entry came from the cache.
    fn lookup(&self, principal: &Principal, handle: &SessionHandle) -> Option<(Arc<Entry<T>>, bool)> {
        if let Some(entry) = self.cache.get(handle).and_then(|entry| entry.upgrade()) {
            return (entry.principal == *principal).then_some((entry, true));
        }
        let entry = self.index.lock().get(principal, handle).cloned()?;
        Some((entry, false))
    }

    /// Removes and closes a session if it has ended and no call is in flight.
    pub(super) fn remove_if_ended(&self, entry: &Entry<T>, now: Moment) -> bool {
        let removed = self.index.lock().remove_if_ended(entry, now);
        self.end_all(removed.as_slice());
        removed.is_some()
    }

    /// Closes a session, whether or not it is in use. `None` if it was closed already.
    pub(super) fn close_session(
        &self,
        principal: &Principal,
        handle: &SessionHandle,
    ) -> Option<OutstandingCredentials> {
        let entry = self.index.lock().remove(principal, handle)?;
        let was_open = !entry.session.is_closed_unchecked();
        self.end_all(std::slice::from_ref(&entry));
        was_open.then(|| entry.session.outstanding())
    }

    /// Closes all sessions of a principal, whether or not they are in use, and returns how many there were.
    pub(super) fn close_principal(&self, principal: &Principal) -> usize {
        let removed = self.index.lock().remove_principal(principal);
        self.end_all(&removed);
        removed.len()
    }

    /// Closes every session, and returns their entries.
    pub(super) fn drain(&self) -> Vec<Arc<Entry<T>>> {
        let removed = self.index.lock().remove_all();
        self.end_all(&removed);
        removed
    }

    /// Removes what has ended from the index, for the caller to close with [`end_all`](Self::end_all).
    pub(super) fn remove_ended(&self) -> Vec<Arc<Entry<T>>> {
        self.cache.run_pending_tasks();
        self.index.lock().remove_ended(self.now())
    }

    /// Closes sessions that were removed from the index. The caller holds no lock, since this runs providers' `Drop` and
    /// the audit sink.
    pub(super) fn end_all(&self, removed: &[Arc<Entry<T>>]) {
        for entry in removed {
            self.cache.invalidate(&entry.handle);
            entry.session.close_quietly();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{RefreshLimits, SessionContext, SessionRegistry};

    #[test]
    fn store_caches_session_from_first_find_until_removal() {
        let registry = SessionRegistry::builder().build();
        let alice: crate::Principal = "alice".parse().unwrap();
        let handle = registry.open(alice.clone(), SessionContext::builder()).unwrap().handle();
        let is_cached = || registry.store().cache.contains_key(&handle);
        assert!(!is_cached());
        drop(registry.find(&alice, &handle).unwrap());
        assert!(is_cached());
        registry.close(&alice, &handle);
        assert!(!is_cached());
    }

    #[test]
    fn store_forgets_dropped_refreshers() {
        let registry = SessionRegistry::builder().build();
        for _ in 0..3 {
            drop(registry.keep_warm(RefreshLimits::default()));
            assert_eq!(registry.store().refreshers.lock().len(), 1);
        }
    }
}
