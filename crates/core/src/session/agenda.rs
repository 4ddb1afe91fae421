//! `Agenda`: schedules the background refreshes of accounts. Its cost depends on the accounts that are due, not on all
//! accounts.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use super::slot::Slot;
use crate::clock::{LONGEST_SLEEP, SHORTEST_SLEEP, WallClock};

/// The minimum time between two attempts: credentials that are stale when issued do not cause a busy loop.
pub(super) const BETWEEN_ATTEMPTS: Duration = SHORTEST_SLEEP;

/// The schedule of one background refresher. It is dropped with the refresher, so a weak reference that can be
/// upgraded means that the session is being kept warm.
pub(crate) struct Agenda {
    clock: WallClock,
    plan: Mutex<Plan>,
    changed: Notify,
}

/// An account is in one of the two maps, or is being refreshed.
#[derive(Default)]
struct Plan {
    /// Accounts not yet due, by the time when they are.
    later: BTreeMap<(SystemTime, Key), Weak<Slot>>,
    /// Accounts that are due, by expiry: the account with the least time left goes first.
    ready: BTreeMap<(SystemTime, Key), Weak<Slot>>,
    places: HashMap<Key, Due>,
}

/// The address of a slot in memory: unique while the slot is referenced.
type Key = usize;

/// When an account is to be refreshed, and when its credentials expire.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) at: SystemTime,
    pub(super) until: SystemTime,
}

impl Agenda {
    pub(crate) fn new(clock: WallClock) -> Arc<Self> {
        Arc::new(Self { clock, plan: Mutex::default(), changed: Notify::new() })
    }

    /// Schedules an account, and replaces its earlier entry.
    pub(super) fn put(&self, slot: &Arc<Slot>, due: Due) {
        let key = Arc::as_ptr(slot).addr();
        let mut plan = self.plan();
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
    pub(super) fn strike(&self, slot: &Slot) {
        self.plan().strike(std::ptr::from_ref(slot).addr());
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
    pub(super) fn pause(&self) -> Option<Duration> {
        let now = self.clock.now();
        let mut plan = self.plan();
        plan.promote(now);
        if !plan.ready.is_empty() {
            return None;
        }
        let next = plan.later.keys().next().and_then(|(at, _)| at.duration_since(now).ok());
        Some(next.unwrap_or(LONGEST_SLEEP).clamp(SHORTEST_SLEEP, LONGEST_SLEEP))
    }

    /// Removes and returns the due account with the least time left.
    pub(super) fn take(&self) -> Option<Arc<Slot>> {
        let mut plan = self.plan();
        while let Some(((_, key), slot)) = plan.ready.pop_first() {
            plan.places.remove(&key);
            if let Some(slot) = slot.upgrade() {
                return Some(slot);
            }
        }
        None
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    fn strike(&mut self, key: Key) {
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
    use crate::Alias;
    use crate::session::surroundings::Surroundings;

    fn slot(alias: &str) -> Arc<Slot> {
        Arc::new(Slot::new(alias.parse().unwrap(), Arc::new(Surroundings::new())))
    }

    /// An account due in `at` seconds whose credentials expire in `until` seconds.
    fn due(now: SystemTime, at: i64, until: u64) -> Due {
        let seconds = Duration::from_secs(at.unsigned_abs());
        Due {
            at: if at < 0 { now - seconds } else { now + seconds },
            until: now + Duration::from_secs(until),
        }
    }

    fn taken(agenda: &Agenda) -> Vec<Alias> {
        // `pause` moves the accounts that are due to the ready map.
        let _pause = agenda.pause();
        std::iter::from_fn(|| agenda.take()).map(|slot| slot.alias().clone()).collect()
    }

    #[test]
    fn what_has_the_least_time_left_goes_first_and_what_is_not_due_does_not_go() {
        let (agenda, now) = (Agenda::new(WallClock::default()), WallClock::default().now());
        let [calm, pressing, later] = ["calm", "pressing", "later"].map(slot);
        agenda.put(&calm, due(now, -600, 3000));
        agenda.put(&pressing, due(now, -1, 250));
        agenda.put(&later, due(now, 100, 200));
        assert_eq!(agenda.pause(), None);
        assert_eq!(taken(&agenda), [pressing.alias().clone(), calm.alias().clone()]);
        let pause = agenda.pause().unwrap();
        assert_eq!(pause, LONGEST_SLEEP, "a suspended machine is noticed before the 100 s are over");
    }

    #[test]
    fn an_account_is_on_the_agenda_once_or_not_at_all() {
        let (agenda, now) = (Agenda::new(WallClock::default()), WallClock::default().now());
        let [moved, struck, gone] = ["moved", "struck", "gone"].map(slot);
        for slot in [&moved, &struck, &gone] {
            agenda.put(slot, due(now, -10, 100));
        }
        assert_eq!(agenda.pause(), None, "all are ready");
        agenda.put(&moved, due(now, 5, 300));
        agenda.strike(&struck);
        drop(gone);
        assert_eq!(taken(&agenda), []);
        let pause = agenda.pause().unwrap();
        assert!(pause > Duration::from_secs(3) && pause <= Duration::from_secs(5), "{pause:?}");
        agenda.strike(&moved);
        let plan = agenda.plan();
        assert!(plan.later.is_empty() && plan.ready.is_empty() && plan.places.is_empty());
    }
}
