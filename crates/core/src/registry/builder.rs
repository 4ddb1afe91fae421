//! `RegistryBuilder`: how many sessions a registry holds, and for how long.

use std::sync::Arc;
use std::time::Duration;

use super::SessionRegistry;
use super::timeline::Timeline;
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
    ///
    /// # Examples
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use valetkey_core::testing::ManualClock;
    /// # use valetkey_core::{Principal, SessionContext, SessionRegistry};
    /// let clock = Arc::new(ManualClock::new());
    /// let minute = Duration::from_secs(60);
    /// let registry = SessionRegistry::builder().idle_ttl(minute).clock(clock.clone()).build();
    ///
    /// let alice: Principal = "alice".parse()?;
    /// let handle = registry.open(alice.clone(), SessionContext::builder())?.handle();
    /// clock.advance(minute);
    /// assert!(registry.find(&alice, &handle).is_err());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn idle_ttl(mut self, idle_ttl: Duration) -> Self {
        self.limits.idle_ttl = idle_ttl;
        self
    }

    /// Sets how long a session may be found after it was opened, however often it is used (default: 12 hours).
    ///
    /// Calls in flight at that time may finish: the session is closed when the last of them ends.
    ///
    /// # Examples
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use valetkey_core::testing::ManualClock;
    /// # use valetkey_core::{Principal, SessionContext, SessionRegistry};
    /// let clock = Arc::new(ManualClock::new());
    /// let hour = Duration::from_secs(3600);
    /// let registry = SessionRegistry::builder().max_lifetime(hour).clock(clock.clone()).build();
    ///
    /// let alice: Principal = "alice".parse()?;
    /// let session = registry.open(alice.clone(), SessionContext::builder())?;
    /// clock.advance(hour);
    /// assert!(registry.find(&alice, &session.handle()).is_err(), "no other call can start");
    /// assert!(!session.is_closed(), "this call may finish");
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn max_lifetime(mut self, max_lifetime: Duration) -> Self {
        self.limits.max_lifetime = max_lifetime;
        self
    }

    /// Sets how many sessions one principal may have open (default: 64).
    ///
    /// It keeps one principal from filling the registry: at this limit, a principal makes room among its own
    /// sessions.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Principal, SessionContext, SessionRegistry};
    /// let registry = SessionRegistry::builder().max_sessions_per_principal(2).build();
    /// let alice: Principal = "alice".parse()?;
    /// for _ in 0..5 {
    ///     registry.open(alice.clone(), SessionContext::builder())?;
    /// }
    /// assert_eq!(registry.len(), 2);
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn max_sessions_per_principal(mut self, max_sessions: usize) -> Self {
        self.limits.max_sessions_per_principal = max_sessions;
        self
    }

    /// Sets how many sessions may be open in total (default: 10,000).
    ///
    /// At this limit, `open` first closes sessions of any principal that have ended, and then the principal's own
    /// least recently used one.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{ErrorKind, SessionContext, SessionRegistry};
    /// let registry = SessionRegistry::builder().max_sessions(1).build();
    /// registry.open("alice".parse()?, SessionContext::builder())?;
    /// let refused = registry.open("bob".parse()?, SessionContext::builder()).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Throttled, "the session of alice stays");
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn max_sessions(mut self, max_sessions: usize) -> Self {
        self.limits.max_sessions = max_sessions;
        self
    }

    /// Sets the source of wall time (default: the machine's clock). Sessions keep the clocks of their own builders.
    ///
    /// # Examples
    /// ```
    /// # use std::sync::Arc;
    /// # use valetkey_core::testing::ManualClock;
    /// # use valetkey_core::{SessionContext, SessionRegistry};
    /// let clock = Arc::new(ManualClock::new());
    /// let registry = SessionRegistry::builder().clock(clock.clone()).build();
    /// // In tests, registry and sessions usually share a clock.
    /// let session = registry.open("alice".parse()?, SessionContext::builder().clock(clock))?;
    /// assert!(!session.is_closed());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = ClockSource::custom(clock);
        self
    }

    /// Builds a registry that keeps nothing but sessions.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionRegistry;
    /// let registry = SessionRegistry::builder().build();
    /// assert!(registry.is_empty());
    /// ```
    #[must_use]
    pub fn build(self) -> SessionRegistry {
        self.build_with()
    }

    /// Builds a registry that keeps a value of type `T` beside each session: see [`SessionRegistry::open_with`].
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{SessionContext, SessionRegistry};
    /// let registry = SessionRegistry::builder().build_with::<String>();
    /// let opened = registry.open_with("alice".parse()?, SessionContext::builder(), |session| {
    ///     format!("tools of {}", session.id())
    /// })?;
    /// assert!(opened.value().starts_with("tools of "));
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    #[must_use]
    pub fn build_with<T: Send + Sync + 'static>(self) -> SessionRegistry<T> {
        SessionRegistry::new(Timeline::new(self.clock), self.limits)
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
