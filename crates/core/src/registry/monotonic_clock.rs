//! `MonotonicClock`: the registry's own time. It follows the clock forwards and never backwards.

#[cfg(all(test, valetkey_loom))]
mod model;

use std::fmt;
use std::sync::atomic::Ordering;

use crate::clock::{ClockSource, Nanos};
use crate::sync::{AtomicU64, Mutex, PoisonError};

/// A moment of the registry, in nanoseconds.
pub(super) type Moment = Nanos;

/// How far the clock may jump back without being noticed, and how often at most `latest` is written.
const GRAIN: Nanos = 1_000_000_000;

/// Follows a clock, and stands still while that clock jumps back. So a jump back of the wall clock neither extends a
/// lifetime nor makes an active session look idle.
///
/// It has a cache line of its own, since every call reads it and it changes once a second.
#[repr(align(64))]
pub(super) struct MonotonicClock {
    /// What to add to the clock: the sum of all jumps back.
    shift: AtomicU64,
    /// Where the clock was last seen, to the grain.
    latest: AtomicU64,
    clock: ClockSource,
    /// Held while the two numbers are written.
    observing: Mutex<()>,
}

impl MonotonicClock {
    pub(super) fn new(clock: ClockSource) -> Self {
        let monotonic =
            Self { shift: AtomicU64::new(0), latest: AtomicU64::new(0), clock, observing: Mutex::new(()) };
        monotonic.observe();
        monotonic
    }

    /// Returns the clock that this clock follows, for work that compares expiries, which are wall time.
    pub(super) fn clock(&self) -> &ClockSource {
        &self.clock
    }

    /// Returns the current moment. Reads the clock once, or twice if the last observation is a grain ago.
    pub(super) fn now(&self) -> Moment {
        let shift = self.shift.load(Ordering::Acquire);
        let wall = self.clock.nanos();
        let latest = self.latest.load(Ordering::Acquire);
        // `shift` belongs to this reading of the clock if it is the same before and after.
        let steady = wall.wrapping_sub(latest) < GRAIN && self.shift.load(Ordering::Acquire) == shift;
        if steady { wall.saturating_add(shift) } else { self.observe() }
    }

    /// Reads the clock under the lock, so that two readings are not compared in the wrong order.
    fn observe(&self) -> Moment {
        let _writing = self.observing.lock().unwrap_or_else(PoisonError::into_inner);
        let wall = self.clock.nanos();
        let back = self.latest.load(Ordering::Relaxed).saturating_sub(wall);
        let shift = self.shift.load(Ordering::Relaxed).saturating_add(back);
        // In this order: a reader of the new `latest` also reads the new `shift`.
        self.shift.store(shift, Ordering::Release);
        self.latest.store(wall, Ordering::Release);
        wall.saturating_add(shift)
    }
}

impl fmt::Debug for MonotonicClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonotonicClock").field("clock", &self.clock).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::duration_nanos;
    use crate::testing::ManualClock;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn monotonic_clock_rewind_is_ignored() {
        let clock = ManualClock::new();
        let monotonic = MonotonicClock::new(ClockSource::custom(Arc::new(clock.clone())));
        let start = monotonic.now();
        clock.advance(MINUTE);
        assert_eq!(monotonic.now() - start, duration_nanos(MINUTE));
        for _ in 0..3 {
            clock.rewind(500 * MINUTE);
            assert_eq!(monotonic.now() - start, duration_nanos(MINUTE), "stood still");
        }
        clock.advance(MINUTE);
        assert_eq!(monotonic.now() - start, duration_nanos(2 * MINUTE));
    }

    #[test]
    fn monotonic_clock_before_epoch_stands_still() {
        let clock = ManualClock::new();
        let monotonic = MonotonicClock::new(ClockSource::custom(Arc::new(clock.clone())));
        let start = monotonic.now();
        clock.rewind(100 * 365 * 24 * 60 * MINUTE);
        assert_eq!(monotonic.now(), start);
        clock.advance(MINUTE);
        assert_eq!(monotonic.now(), start);
    }
}
