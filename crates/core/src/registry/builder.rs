//! `RegistryBuilder`: how many sessions a registry holds, and for how long.

use std::sync::Arc;
use std::time::Duration;

use super::SessionRegistry;
use super::timeline::Timeline;
use crate::Clock;
use crate::clock::{WallClock, length};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Describes a registry; made by [`SessionRegistry::builder`].
#[must_use]
#[derive(Debug)]
pub struct RegistryBuilder {
    limits: Limits,
    clock: WallClock,
}

/// Durations as the timeline counts them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) idle_ttl: u64,
    pub(super) lifetime: u64,
    pub(super) per_principal: usize,
    pub(super) capacity: usize,
}

impl Limits {
    /// How long a session that is opened or used stays at least.
    pub(super) fn soonest(&self) -> u64 {
        self.idle_ttl.min(self.lifetime)
    }
}

impl RegistryBuilder {
    pub(super) fn new() -> Self {
        let limits = Limits {
            idle_ttl: length(30 * MINUTE),
            lifetime: length(12 * HOUR),
            per_principal: 64,
            capacity: 10_000,
        };
        Self { limits, clock: WallClock::default() }
    }

    /// How long a session may go without a call; 30 minutes unless said.
    pub fn idle_ttl(mut self, idle_ttl: Duration) -> Self {
        self.limits.idle_ttl = length(idle_ttl);
        self
    }

    /// How long a session may be found from when it was opened, however much it is used; 12 hours unless said.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.limits.lifetime = length(lifetime);
        self
    }

    /// How many sessions one principal may have; 64 unless said.
    pub fn per_principal(mut self, most: usize) -> Self {
        self.limits.per_principal = most;
        self
    }

    /// How many sessions there may be in all; 10,000 unless said.
    pub fn capacity(mut self, most: usize) -> Self {
        self.limits.capacity = most;
        self
    }

    /// Where wall time comes from; the machine unless said. The sessions keep the clocks of their own builders.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = WallClock::given(clock);
        self
    }

    /// The registry, empty.
    #[must_use]
    pub fn build(self) -> SessionRegistry {
        SessionRegistry::new(Timeline::new(self.clock), self.limits)
    }
}
