//! `RegistryBuilder`: how many sessions a registry holds, and for how long.

use std::sync::Arc;
use std::time::Duration;

use super::SessionRegistry;
use super::monotonic_clock::MonotonicClock;
use crate::Clock;
use crate::clock::{ClockSource, LONGEST_SLEEP, SHORTEST_SLEEP, duration_nanos};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Builds a [`SessionRegistry`]; returned by [`SessionRegistry::builder`].
///
/// # Examples
/// ```
/// # use std::time::Duration;
/// # use valetkey_core::SessionRegistry;
/// let registry = SessionRegistry::builder()
///     .idle_ttl(Duration::from_secs(15 * 60))
///     .max_lifetime(Duration::from_secs(8 * 60 * 60))
///     .max_sessions_per_principal(4)
///     .max_sessions(2_000)
///     .build();
/// assert!(registry.is_empty());
/// ```
#[must_use]
#[derive(Debug)]
pub struct RegistryBuilder {
    limits: Limits,
    clock: ClockSource,
}

/// How many sessions a registry holds, and for how long. Fixed when the registry is built.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) idle_ttl: Duration,
    pub(super) max_lifetime: Duration,
    pub(super) max_sessions_per_principal: usize,
    pub(super) max_sessions: usize,
}

impl RegistryBuilder {
    pub(super) fn new() -> Self {
        let limits = Limits {
            idle_ttl: 30 * MINUTE,
            max_lifetime: 12 * HOUR,
            max_sessions_per_principal: 64,
            max_sessions: 10_000,
        };
        Self { limits, clock: ClockSource::default() }
    }

    /// Sets how long a session may go without a call (default: 30 minutes).
    ///
    /// A call in flight is no idle time, however long it takes. The shorter the time, the sooner an abandoned session
    /// drops its credentials.
    pub fn idle_ttl(mut self, idle_ttl: Duration) -> Self {
        self.limits.idle_ttl = idle_ttl;
        self
    }

    /// Sets how long a session may be found after it was opened, however often it is used (default: 12 hours).
    ///
    /// Calls in flight at that time may finish: the session is closed when the last of them ends.
    pub fn max_lifetime(mut self, max_lifetime: Duration) -> Self {
        self.limits.max_lifetime = max_lifetime;
        self
    }

    /// Sets how many sessions one principal may have open (default: 64).
    ///
    /// It keeps one principal from filling the registry: at this limit, a principal makes room among its own
    /// sessions.
    pub fn max_sessions_per_principal(mut self, max_sessions: usize) -> Self {
        self.limits.max_sessions_per_principal = max_sessions;
        self
    }

    /// Sets how many sessions may be open in total (default: 10,000).
    ///
    /// At this limit, `open` first closes sessions of any principal that have ended, and then the principal's own
    /// least recently used one.
    pub fn max_sessions(mut self, max_sessions: usize) -> Self {
        self.limits.max_sessions = max_sessions;
        self
    }

    /// Sets the source of wall time (default: the machine's clock). Sessions keep the clocks of their own builders.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = ClockSource::custom(clock);
        self
    }

    /// Builds a registry that keeps nothing but sessions.
    #[must_use]
    pub fn build(self) -> SessionRegistry {
        self.build_with()
    }

    /// Builds a registry that keeps a value of type `T` beside each session: see [`SessionRegistry::open_with`].
    #[must_use]
    pub fn build_with<T: Send + Sync + 'static>(self) -> SessionRegistry<T> {
        SessionRegistry::new(MonotonicClock::new(self.clock), self.limits)
    }
}

impl Limits {
    /// The idle time in nanoseconds.
    pub(super) fn idle_nanos(&self) -> u64 {
        duration_nanos(self.idle_ttl)
    }

    /// The lifetime in nanoseconds.
    pub(super) fn lifetime_nanos(&self) -> u64 {
        duration_nanos(self.max_lifetime)
    }

    /// Returns the time between two sweeps.
    pub(super) fn sweep_interval(&self) -> Duration {
        self.idle_ttl.min(self.max_lifetime).clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
    }
}
