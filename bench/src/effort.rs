//! How much is measured: enough to trust, or just enough to see that it runs.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// How often each measure is taken.
    pub(crate) rounds: usize,
    /// How long one subject is timed in one round.
    pub(crate) slice: Duration,
    /// The same, for many tasks at once.
    pub(crate) crowd_slice: Duration,
    /// How often each herd runs.
    pub(crate) herds: usize,
    /// Divides the size of herds, and of what is held in memory.
    pub(crate) divisor: usize,
    /// How long ten thousand idle sessions are watched.
    pub(crate) watch: Duration,
}

impl Effort {
    pub(crate) const FULL: Self = Self {
        rounds: 11,
        slice: Duration::from_millis(40),
        crowd_slice: Duration::from_millis(120),
        herds: 5,
        divisor: 1,
        watch: Duration::from_secs(32),
    };

    pub(crate) const QUICK: Self = Self {
        rounds: 3,
        slice: Duration::from_millis(5),
        crowd_slice: Duration::from_millis(20),
        herds: 1,
        divisor: 10,
        watch: Duration::from_secs(2),
    };
}
