//! `RefreshQueue`: schedules the background refreshes of accounts. Its cost depends on the accounts that are due, not on all
//! accounts.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::AccountCache;
use crate::clock::{ClockSource, LONGEST_SLEEP, SHORTEST_SLEEP};

/// The minimum time between two attempts: credentials that are stale when issued do not cause a busy loop.
pub(super) const MIN_RETRY_INTERVAL: Duration = SHORTEST_SLEEP;

/// The schedule of one background refresher. It is dropped with the refresher, so a weak reference that can be
/// upgraded means that the session is being kept warm.
///
/// Invariant: an account is scheduled at most once, in `later` or in `ready`, and `times` holds the keys under
/// which it is found there.
pub(crate) struct RefreshQueue {
    clock: ClockSource,
    state: Mutex<QueueState>,
    changed: Notify,
}

/// An account is in one of the two maps, or is being refreshed.
#[derive(Default)]
struct QueueState {
    /// Accounts not yet due, by the time when they are.
    later: BTreeMap<(SystemTime, AccountKey), Weak<AccountCache>>,
    /// Accounts that are due, by expiry: the account with the least time left goes first.
    ready: BTreeMap<(SystemTime, AccountKey), Weak<AccountCache>>,
    times: HashMap<AccountKey, RefreshTimes>,
}

/// The address of a cache in memory: unique while the cache is referenced.
type AccountKey = usize;

/// When an account is to be refreshed, and when its credentials expire.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefreshTimes {
    pub(super) refresh_at: SystemTime,
    pub(super) expires_at: SystemTime,
}

impl RefreshQueue {
    pub(crate) fn new(clock: ClockSource) -> Arc<Self> {
        Arc::new(Self { clock, state: Mutex::default(), changed: Notify::new() })
    }

    /// Schedules an account, and replaces its earlier entry.
    pub(super) fn schedule(&self, cache: &Arc<AccountCache>, times: RefreshTimes) {
        let key = Arc::as_ptr(cache).addr();
        let mut state = self.state();
        state.unlink(key);
        let is_earliest = state.later.keys().next().is_none_or(|(at, _)| times.refresh_at < *at);
        state.later.insert((times.refresh_at, key), Arc::downgrade(cache));
        state.times.insert(key, times);
        drop(state);
        if is_earliest {
            self.notify();
        }
    }

    /// Removes an account from the schedule.
    pub(super) fn remove(&self, cache: &AccountCache) {
        self.state().unlink(std::ptr::from_ref(cache).addr());
    }

    /// Makes the refresher check the schedule again.
    pub(crate) fn notify(&self) {
        self.changed.notify_one();
    }

    /// Waits until the schedule must be checked again. Cancel safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Returns how long no account is due; `None` when an account is due now.
    pub(super) fn idle_time(&self) -> Option<Duration> {
        let now = self.clock.now();
        let mut state = self.state();
        state.promote_due(now);
        if !state.ready.is_empty() {
            return None;
        }
        let next = state.later.keys().next().and_then(|(at, _)| at.duration_since(now).ok());
        Some(next.unwrap_or(LONGEST_SLEEP).clamp(SHORTEST_SLEEP, LONGEST_SLEEP))
    }

    /// Removes and returns the due account with the least time left.
    pub(super) fn pop_due(&self) -> Option<Arc<AccountCache>> {
        let mut state = self.state();
        while let Some(((_, key), cache)) = state.ready.pop_first() {
            state.times.remove(&key);
            if let Some(cache) = cache.upgrade() {
                return Some(cache);
            }
        }
        None
    }

    /// Locks the schedule. Briefly: no code awaits inside.
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock()
    }
}

impl QueueState {
    /// Removes the account from the map that holds it, if any.
    fn unlink(&mut self, key: AccountKey) {
        if let Some(times) = self.times.remove(&key) {
            self.later.remove(&(times.refresh_at, key));
            self.ready.remove(&(times.expires_at, key));
        }
    }

    /// Moves the accounts whose time has come from `later` to `ready`.
    fn promote_due(&mut self, now: SystemTime) {
        while let Some(next) = self.later.first_entry().filter(|next| next.key().0 <= now) {
            let ((_, key), cache) = next.remove_entry();
            if let Some(times) = self.times.get(&key) {
                self.ready.insert((times.expires_at, key), cache);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::AccountName;
    use crate::session::shared::SessionShared;

    fn cache(name: &str) -> Arc<AccountCache> {
        Arc::new(AccountCache::new(name.parse().unwrap(), Arc::new(SessionShared::new())))
    }

    /// An account due in `at` seconds whose credentials expire in `until` seconds.
    fn due(now: SystemTime, at: i64, until: u64) -> RefreshTimes {
        let seconds = Duration::from_secs(at.unsigned_abs());
        RefreshTimes {
            refresh_at: if at < 0 { now - seconds } else { now + seconds },
            expires_at: now + Duration::from_secs(until),
        }
    }

    fn taken(queue: &RefreshQueue) -> Vec<AccountName> {
        // `idle_time` moves the accounts that are due to the ready map.
        let _pause = queue.idle_time();
        std::iter::from_fn(|| queue.pop_due()).map(|cache| cache.name().clone()).collect()
    }

    #[test]
    fn refresh_queue_promotes_earliest_due_deadline() {
        let (queue, now) = (RefreshQueue::new(ClockSource::default()), ClockSource::default().now());
        let [calm, pressing, later] = ["calm", "pressing", "later"].map(cache);
        queue.schedule(&calm, due(now, -600, 3000));
        queue.schedule(&pressing, due(now, -1, 250));
        queue.schedule(&later, due(now, 100, 200));
        assert_eq!(queue.idle_time(), None);
        assert_eq!(taken(&queue), [pressing.name().clone(), calm.name().clone()]);
        let pause = queue.idle_time().unwrap();
        assert_eq!(pause, LONGEST_SLEEP, "a suspended machine is noticed before the 100 s are over");
    }

    #[test]
    fn refresh_queue_schedule_wakes_only_for_earlier_time() {
        let (queue, now) = (RefreshQueue::new(ClockSource::default()), ClockSource::default().now());
        let accounts = ["first", "earlier", "later"].map(cache);
        for (account, seconds, wakes) in [(0, 100, true), (1, 10, true), (2, 50, false)] {
            queue.schedule(&accounts[account], due(now, seconds, 3000));
            assert_eq!(queue.changed().now_or_never().is_some(), wakes, "{seconds} s");
        }
    }

    #[test]
    fn refresh_queue_holds_account_at_most_once() {
        let (queue, now) = (RefreshQueue::new(ClockSource::default()), ClockSource::default().now());
        let [rescheduled, rerescheduled, gone] = ["rescheduled", "rerescheduled", "gone"].map(cache);
        for cache in [&rescheduled, &rerescheduled, &gone] {
            queue.schedule(cache, due(now, -10, 100));
        }
        assert_eq!(queue.idle_time(), None, "all are ready");
        queue.schedule(&rescheduled, due(now, 5, 300));
        queue.remove(&rerescheduled);
        drop(gone);
        assert_eq!(taken(&queue), []);
        let pause = queue.idle_time().unwrap();
        assert!(pause > Duration::from_secs(3) && pause <= Duration::from_secs(5), "{pause:?}");
        queue.remove(&rescheduled);
        let state = queue.state();
        assert!(state.later.is_empty() && state.ready.is_empty() && state.times.is_empty());
    }
}
