//! `Clock`: the only source of wall time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Provides wall time. Sessions compare expiries with it at every use, so a machine that was suspended recovers.
///
/// The time may jump in both directions. It must not block: sessions read it on their fastest path.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, SystemTime};
///
/// use valetkey_core::{Clock, SessionContext};
///
/// /// Stands at one instant, to replay a recorded run.
/// #[derive(Debug)]
/// struct FixedClock(SystemTime);
///
/// impl Clock for FixedClock {
///     fn now(&self) -> SystemTime {
///         self.0
///     }
/// }
///
/// let instant = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400);
/// let session = SessionContext::builder().clock(Arc::new(FixedClock(instant))).build();
/// assert_eq!(session.clock().now(), instant);
/// ```
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the current wall time.
    fn now(&self) -> SystemTime;
}

/// Reads the wall clock of the machine. On Linux it reads the coarse clock, which is at most one kernel tick behind
/// (10 ms or less) and takes a fifth of the time; reading the clock is most of the cost of a warm fetch.
///
/// # Examples
/// ```
/// # use std::time::SystemTime;
/// # use valetkey_core::{Clock, SystemClock};
/// assert!(SystemClock.now() > SystemTime::UNIX_EPOCH);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.unix_nanos())
    }
}

/// Nanoseconds since 1970, up to the year 2554. Comparing them costs half as much as comparing `SystemTime`s.
pub(crate) type Nanos = u64;

impl SystemClock {
    /// Returns the current wall time as a number. A clock before 1970 counts as 1970: all expiries are then far in the
    /// future, as with any clock that is far behind.
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
    pub(crate) fn unix_nanos(self) -> Nanos {
        nanos(SystemTime::now())
    }
}

/// Returns an instant as a number; zero for an instant before 1970.
pub(crate) fn nanos(instant: SystemTime) -> Nanos {
    duration_nanos(instant.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Returns a duration as a number, saturating after more than 500 years.
#[inline]
pub(crate) fn duration_nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// The clock that the host configured, or the system clock. The system clock is called directly, without dynamic
/// dispatch, since the warm path reads it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClockSource(Option<Arc<dyn Clock>>);

impl ClockSource {
    /// Uses a clock of the host, through dynamic dispatch.
    pub(crate) fn custom(clock: Arc<dyn Clock>) -> Self {
        Self(Some(clock))
    }

    /// Returns the clock as a trait object, for use outside of the session.
    pub(crate) fn shared(&self) -> Arc<dyn Clock> {
        self.0.clone().unwrap_or_else(|| Arc::new(SystemClock))
    }

    pub(crate) fn now(&self) -> SystemTime {
        match &self.0 {
            None => SystemClock.now(),
            Some(clock) => clock.now(),
        }
    }

    /// Returns the current wall time as a number.
    #[inline]
    pub(crate) fn nanos(&self) -> Nanos {
        match &self.0 {
            None => SystemClock.unix_nanos(),
            Some(clock) => nanos(clock.now()),
        }
    }
}

/// The longest sleep of a task that waits for an instant of the wall clock: a suspended machine or a jumping clock is
/// noticed within it.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// The shortest sleep: prevents a busy loop while the clock stands still.
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
