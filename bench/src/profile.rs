//! `BenchProfile`: the number and the duration of measurements, for a full or a quick run.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct BenchProfile {
    /// The number of rounds of each measure.
    pub(crate) rounds: usize,
    /// The time for one subject in one round.
    pub(crate) time_per_subject: Duration,
    /// The time for one subject under the load of many tasks.
    pub(crate) time_per_load: Duration,
    /// The number of rounds of each herd.
    pub(crate) herd_rounds: usize,
    /// Divides the size of herds and the number of sessions in memory.
    pub(crate) size_divisor: usize,
    /// The time for which ten thousand idle sessions are observed.
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
