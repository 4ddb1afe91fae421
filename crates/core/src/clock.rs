//! `Clock`: the only reader of wall time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where wall time comes from. Expiry is checked against it on every use, so a machine that was suspended recovers.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall time now.
    fn now(&self) -> SystemTime;
}

/// The wall clock of the machine. On Linux it is read coarsely: at most a tick of the kernel behind (10 ms or less),
/// at a fifth of the price, which is most of what a warm fetch costs.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.unix_nanos())
    }
}

/// Nanoseconds since 1970, to the year 2554: for those who only compare, to whom a `SystemTime` costs as much again.
pub(crate) type Nanos = u64;

impl SystemClock {
    /// The wall time now, as a number. A clock before 1970 is taken for 1970: everything that expires has then long to
    /// go, as with any clock that is far behind.
    #[cfg(target_os = "linux")]
    #[inline]
    pub(crate) fn unix_nanos(self) -> Nanos {
        use rustix::time::{ClockId, clock_gettime};

        let now = clock_gettime(ClockId::RealtimeCoarse);
        let part = |number: i64| Nanos::try_from(number).unwrap_or_default();
        part(now.tv_sec).saturating_mul(1_000_000_000).saturating_add(part(now.tv_nsec))
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::disallowed_methods, reason = "this is the one place that may read the wall clock")]
    pub(crate) fn nanos(self) -> Nanos {
        nanos(SystemTime::now())
    }
}

/// An instant as a number; one before 1970 is zero.
pub(crate) fn nanos(instant: SystemTime) -> Nanos {
    duration_nanos(instant.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A duration as a number; half a millennium is as good as for ever.
#[inline]
pub(crate) fn duration_nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// The clock that a host gave, or else the machine's, which is called directly, since the warm path reads it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClockSource(Option<Arc<dyn Clock>>);

impl ClockSource {
    pub(crate) fn custom(clock: Arc<dyn Clock>) -> Self {
        Self(Some(clock))
    }

    /// The same clock for those outside.
    pub(crate) fn shared(&self) -> Arc<dyn Clock> {
        self.0.clone().unwrap_or_else(|| Arc::new(SystemClock))
    }

    pub(crate) fn now(&self) -> SystemTime {
        match &self.0 {
            None => SystemClock.now(),
            Some(clock) => clock.now(),
        }
    }

    /// The same as a number.
    #[inline]
    pub(crate) fn nanos(&self) -> Nanos {
        match &self.0 {
            None => SystemClock.unix_nanos(),
            Some(clock) => nanos(clock.now()),
        }
    }
}

/// The longest that whoever waits for an instant of the wall clock sleeps: a suspended machine or a jumping clock is
/// noticed within it.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// The shortest: a clock that stands still does not make a loop spin.
pub(crate) const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the clock that ours is compared with")]
    fn system_clock_coarse_matches_wall_clock() {
        let before = SystemTime::now();
        let ours = SystemClock.now();
        let apart = ours.duration_since(before).unwrap_or_else(|behind| behind.duration());
        assert!(apart < Duration::from_secs(5), "{apart:?} apart");
    }
}
