//! `Agenda`: which accounts one warmer refreshes when. Its cost follows what is due, not what there is.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use super::slot::Slot;
use crate::clock::{LONGEST_SLEEP, SHORTEST_SLEEP, WallClock};

/// The least time between two attempts: a set that is born stale does not make a warmer spin.
pub(super) const BETWEEN_ATTEMPTS: Duration = SHORTEST_SLEEP;

/// Belongs to its warmer, and is gone with it: whoever can still reach it is being kept warm.
pub(crate) struct Agenda {
    clock: WallClock,
    plan: Mutex<Plan>,
    changed: Notify,
}

/// An account is in one of the two maps, or is being refreshed.
#[derive(Default)]
struct Plan {
    /// By when they are due.
    later: BTreeMap<(SystemTime, Key), Weak<Slot>>,
    /// Due, by when they expire: what has the least time left goes first.
    ready: BTreeMap<(SystemTime, Key), Weak<Slot>>,
    places: HashMap<Key, Due>,
}

/// Where a slot is in memory: as good as a number while somebody refers to it.
type Key = usize;

/// When an account is to be refreshed, and until when what it has works.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) at: SystemTime,
    pub(super) until: SystemTime,
}

impl Agenda {
    pub(crate) fn new(clock: WallClock) -> Arc<Self> {
        Arc::new(Self { clock, plan: Mutex::default(), changed: Notify::new() })
    }

    /// Puts an account on the agenda, in place of what was there for it.
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

    /// Takes an account off the agenda.
    pub(super) fn strike(&self, slot: &Slot) {
        self.plan().strike(std::ptr::from_ref(slot).addr());
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

    /// Takes what is due and has the least time left.
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

    /// Due so many seconds from now, good for so many.
    fn due(now: SystemTime, at: i64, until: u64) -> Due {
        let seconds = Duration::from_secs(at.unsigned_abs());
        Due {
            at: if at < 0 { now - seconds } else { now + seconds },
            until: now + Duration::from_secs(until),
        }
    }

    fn taken(agenda: &Agenda) -> Vec<Alias> {
        // Looking is what finds out what is due.
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
