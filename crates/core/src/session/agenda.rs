//! `RefreshQueue`: schedules the background refreshes of accounts. Its cost depends on the accounts that are due, not on all
//! accounts.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::slot::AccountCache;
use crate::clock::{ClockSource, LONGEST_SLEEP, SHORTEST_SLEEP};

/// The minimum time between two attempts: credentials that are stale when issued do not cause a busy loop.
pub(super) const MIN_RETRY_INTERVAL: Duration = SHORTEST_SLEEP;

/// The schedule of one background refresher. It is dropped with the refresher, so a weak reference that can be
/// upgraded means that the session is being kept warm.
pub(crate) struct RefreshQueue {
    clock: ClockSource,
    plan: Mutex<QueueState>,
    changed: Notify,
}

/// An account is in one of the two maps, or is being refreshed.
#[derive(Default)]
struct QueueState {
    /// Accounts not yet due, by the time when they are.
    later: BTreeMap<(SystemTime, AccountKey), Weak<AccountCache>>,
    /// Accounts that are due, by expiry: the account with the least time left goes first.
    ready: BTreeMap<(SystemTime, AccountKey), Weak<AccountCache>>,
    places: HashMap<AccountKey, RefreshTimes>,
}

/// The address of a slot in memory: unique while the slot is referenced.
type AccountKey = usize;

/// When an account is to be refreshed, and when its credentials expire.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefreshTimes {
    pub(super) at: SystemTime,
    pub(super) until: SystemTime,
}

impl RefreshQueue {
    pub(crate) fn new(clock: ClockSource) -> Arc<Self> {
        Arc::new(Self { clock, plan: Mutex::default(), changed: Notify::new() })
    }

    /// Schedules an account, and replaces its earlier entry.
    pub(super) fn schedule(&self, slot: &Arc<AccountCache>, due: RefreshTimes) {
        let key = Arc::as_ptr(slot).addr();
        let mut plan = self.state();
        plan.strike(key);
        let first = plan.later.keys().next().is_none_or(|(at, _)| due.at < *at);
        plan.later.insert((due.at, key), Arc::downgrade(slot));
        plan.places.insert(key, due);
        drop(plan);
        if first {
            self.wake();
        }
    }

    /// Removes an account from the schedule.
    pub(super) fn remove(&self, slot: &AccountCache) {
        self.state().strike(std::ptr::from_ref(slot).addr());
    }

    /// Makes the refresher check the schedule again.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Waits until the schedule must be checked again. Cancel safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Returns how long no account is due; `None` when an account is due now.
    pub(super) fn idle_time(&self) -> Option<Duration> {
        let now = self.clock.now();
        let mut plan = self.state();
        plan.promote(now);
        if !plan.ready.is_empty() {
            return None;
        }
        let next = plan.later.keys().next().and_then(|(at, _)| at.duration_since(now).ok());
        Some(next.unwrap_or(LONGEST_SLEEP).clamp(SHORTEST_SLEEP, LONGEST_SLEEP))
    }

    /// Removes and returns the due account with the least time left.
    pub(super) fn pop_due(&self) -> Option<Arc<AccountCache>> {
        let mut plan = self.state();
        while let Some(((_, key), slot)) = plan.ready.pop_first() {
            plan.places.remove(&key);
            if let Some(slot) = slot.upgrade() {
                return Some(slot);
            }
        }
        None
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.plan.lock()
    }
}

impl QueueState {
    fn strike(&mut self, key: AccountKey) {
        if let Some(due) = self.places.remove(&key) {
            self.later.remove(&(due.at, key));
            self.ready.remove(&(due.until, key));
        }
    }

    fn promote(&mut self, now: SystemTime) {
        while let Some(next) = self.later.first_entry().filter(|next| next.key().0 <= now) {
            let ((_, key), slot) = next.remove_entry();
            if let Some(due) = self.places.get(&key) {
                self.ready.insert((due.until, key), slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccountName;
    use crate::session::surroundings::SessionShared;

    fn slot(alias: &str) -> Arc<AccountCache> {
        Arc::new(AccountCache::new(alias.parse().unwrap(), Arc::new(SessionShared::new())))
    }

    /// An account due in `at` seconds whose credentials expire in `until` seconds.
    fn due(now: SystemTime, at: i64, until: u64) -> RefreshTimes {
        let seconds = Duration::from_secs(at.unsigned_abs());
        RefreshTimes {
            at: if at < 0 { now - seconds } else { now + seconds },
            until: now + Duration::from_secs(until),
        }
    }

    fn taken(agenda: &RefreshQueue) -> Vec<AccountName> {
        // `pause` moves the accounts that are due to the ready map.
        let _pause = agenda.idle_time();
        std::iter::from_fn(|| agenda.pop_due()).map(|slot| slot.alias().clone()).collect()
    }

    #[test]
    fn refresh_queue_promotes_earliest_due_deadline() {
        let (agenda, now) = (RefreshQueue::new(ClockSource::default()), ClockSource::default().now());
        let [calm, pressing, later] = ["calm", "pressing", "later"].map(slot);
        agenda.schedule(&calm, due(now, -600, 3000));
        agenda.schedule(&pressing, due(now, -1, 250));
        agenda.schedule(&later, due(now, 100, 200));
        assert_eq!(agenda.idle_time(), None);
        assert_eq!(taken(&agenda), [pressing.alias().clone(), calm.alias().clone()]);
        let pause = agenda.idle_time().unwrap();
        assert_eq!(pause, LONGEST_SLEEP, "a suspended machine is noticed before the 100 s are over");
    }

    #[test]
    fn refresh_queue_holds_account_at_most_once() {
        let (agenda, now) = (RefreshQueue::new(ClockSource::default()), ClockSource::default().now());
        let [moved, struck, gone] = ["moved", "struck", "gone"].map(slot);
        for slot in [&moved, &struck, &gone] {
            agenda.schedule(slot, due(now, -10, 100));
        }
        assert_eq!(agenda.idle_time(), None, "all are ready");
        agenda.schedule(&moved, due(now, 5, 300));
        agenda.remove(&struck);
        drop(gone);
        assert_eq!(taken(&agenda), []);
        let pause = agenda.idle_time().unwrap();
        assert!(pause > Duration::from_secs(3) && pause <= Duration::from_secs(5), "{pause:?}");
        agenda.remove(&moved);
        let plan = agenda.state();
        assert!(plan.later.is_empty() && plan.ready.is_empty() && plan.places.is_empty());
    }
}
