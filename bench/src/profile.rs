//! How much is measured: enough to trust, or just enough to see that it runs.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct BenchProfile {
    /// How often each measure is taken.
    pub(crate) rounds: usize,
    /// How long one subject is timed in one round.
    pub(crate) time_per_subject: Duration,
    /// The same, for many tasks at once.
    pub(crate) time_per_load: Duration,
    /// How often each herd runs.
    pub(crate) herd_rounds: usize,
    /// Divides the size of herds, and of what is held in memory.
    pub(crate) size_divisor: usize,
    /// How long ten thousand idle sessions are watched.
    pub(crate) idle_watch_time: Duration,
}

impl BenchProfile {
    pub(crate) const FULL: Self = Self {
        rounds: 11,
        time_per_subject: Duration::from_millis(40),
        time_per_load: Duration::from_millis(120),
        herd_rounds: 5,
        size_divisor: 1,
        idle_watch_time: Duration::from_secs(32),
    };

    pub(crate) const QUICK: Self = Self {
        rounds: 3,
        time_per_subject: Duration::from_millis(5),
        time_per_load: Duration::from_millis(20),
        herd_rounds: 1,
        size_divisor: 10,
        idle_watch_time: Duration::from_secs(2),
    };
}
