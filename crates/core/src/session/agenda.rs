//! `RefreshQueue`: which accounts one warmer refreshes when. Its cost follows what is due, not what there is.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::slot::AccountCache;
use crate::clock::{ClockSource, LONGEST_SLEEP, SHORTEST_SLEEP};

/// The least time between two attempts: a set that is born stale does not make a warmer spin.
pub(super) const MIN_RETRY_INTERVAL: Duration = SHORTEST_SLEEP;

/// Belongs to its warmer, and is gone with it: whoever can still reach it is being kept warm.
pub(crate) struct RefreshQueue {
    clock: ClockSource,
    plan: Mutex<QueueState>,
    changed: Notify,
}

/// An account is in one of the two maps, or is being refreshed.
#[derive(Default)]
struct QueueState {
    /// By when they are due.
    later: BTreeMap<(SystemTime, AccountKey), Weak<AccountCache>>,
    /// Due, by when they expire: what has the least time left goes first.
    ready: BTreeMap<(SystemTime, AccountKey), Weak<AccountCache>>,
    places: HashMap<AccountKey, RefreshTimes>,
}

/// Where a slot is in memory: as good as a number while somebody refers to it.
type AccountKey = usize;

/// When an account is to be refreshed, and until when what it has works.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefreshTimes {
    pub(super) at: SystemTime,
    pub(super) until: SystemTime,
}

impl RefreshQueue {
    pub(crate) fn new(clock: ClockSource) -> Arc<Self> {
        Arc::new(Self { clock, plan: Mutex::default(), changed: Notify::new() })
    }

    /// Puts an account on the agenda, in place of what was there for it.
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

    /// Takes an account off the agenda.
    pub(super) fn remove(&self, slot: &AccountCache) {
        self.state().strike(std::ptr::from_ref(slot).addr());
    }

    /// Has the warmer look again.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Waits until there is reason to look again. Cancel safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// How long nothing will be due; `None` when something is.
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

    /// Takes what is due and has the least time left.
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

    /// Due so many seconds from now, good for so many.
    fn due(now: SystemTime, at: i64, until: u64) -> RefreshTimes {
        let seconds = Duration::from_secs(at.unsigned_abs());
        RefreshTimes {
            at: if at < 0 { now - seconds } else { now + seconds },
            until: now + Duration::from_secs(until),
        }
    }

    fn taken(agenda: &RefreshQueue) -> Vec<AccountName> {
        // Looking is what finds out what is due.
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
