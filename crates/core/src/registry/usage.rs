//! `Usage`: how many calls of a session are in flight, since when none is, and whether it is retired. Two atomic words
//! and nothing else, so that every interleaving can be checked, in `usage/model.rs`.

#[cfg(all(test, valetkey_loom))]
mod model;

use std::sync::atomic::Ordering;

use super::timeline::Moment;
use crate::sync::AtomicU64;

/// Set once and for good: no further call begins.
const RETIRED: u64 = 1;
/// One call in flight. The count has the lower half of the word, but for the bit above.
const CALL: u64 = 1 << 1;
/// One call begun, ever. The count has the upper half, and wraps.
const BEGUN: u64 = 1 << 32;
const IN_FLIGHT: u64 = BEGUN - CALL;

#[derive(Debug)]
pub(super) struct Usage {
    word: AtomicU64,
    /// When the last call ended.
    last_used: AtomicU64,
}

/// The session was not retired, and no call was in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    word: u64,
    pub(super) since: Moment,
}

impl Usage {
    /// With one call in flight.
    pub(super) fn begun() -> Self {
        Self { word: AtomicU64::new(BEGUN + CALL), last_used: AtomicU64::new(0) }
    }

    /// Counts a call in, unless retired.
    pub(super) fn begin(&self) -> bool {
        let counted = |word: u64| (word & RETIRED == 0).then(|| word.wrapping_add(BEGUN + CALL));
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, counted).is_ok()
    }

    /// Counts a call out. True for the last one of what is retired: whoever is told so closes it.
    pub(super) fn end(&self, now: Moment) -> bool {
        // Before the count, so that whoever sees the session idle sees this.
        self.last_used.store(now, Ordering::Relaxed);
        let before = self.word.fetch_sub(CALL, Ordering::AcqRel);
        before & (IN_FLIGHT | RETIRED) == CALL | RETIRED
    }

    /// Lets no further call begin. True when none is in flight: then the caller closes it, else the last `end` does.
    pub(super) fn retire(&self) -> bool {
        self.word.fetch_or(RETIRED, Ordering::AcqRel) & IN_FLIGHT == 0
    }

    /// Whether it is idle, and since when.
    pub(super) fn idle(&self) -> Option<Idle> {
        let word = self.word.load(Ordering::Acquire);
        let idle = word & (IN_FLIGHT | RETIRED) == 0;
        idle.then(|| Idle { word, since: self.last_used.load(Ordering::Relaxed) })
    }

    /// Retires what has stayed idle since it was seen so; a call that came and went in between counts as well.
    pub(super) fn retire_if_still(&self, idle: Idle) -> bool {
        let retired = idle.word | RETIRED;
        self.word.compare_exchange(idle.word, retired, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_call_of_what_is_retired_is_told_so() {
        let usage = Usage::begun();
        assert!(usage.begin());
        assert!(!usage.retire(), "two calls are in flight");
        assert!(!usage.end(1));
        assert!(usage.end(2));
    }

    #[test]
    fn no_call_begins_once_retired() {
        let usage = Usage::begun();
        assert!(!usage.end(1));
        assert!(usage.retire());
        assert!(!usage.begin());
        assert!(usage.idle().is_none());
    }

    #[test]
    fn a_call_that_came_and_went_is_noticed() {
        let usage = Usage::begun();
        assert!(usage.idle().is_none());
        usage.end(1);
        let idle = usage.idle().unwrap();
        assert_eq!(idle.since, 1);
        assert!(usage.begin() && !usage.end(1));
        assert!(!usage.retire_if_still(idle));
        assert!(usage.retire_if_still(usage.idle().unwrap()));
        assert!(!usage.begin());
    }

    #[test]
    fn the_count_of_calls_begun_wraps_and_touches_nothing_else() {
        let usage = Usage { word: AtomicU64::new(!(BEGUN - 1)), last_used: AtomicU64::new(0) };
        assert!(usage.begin() && usage.idle().is_none());
        assert!(!usage.end(1));
        assert!(usage.retire_if_still(usage.idle().unwrap()));
    }
}
