//! Clocks for tests: wall time that moves when told, and wall time that moves with tokio's.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::Clock;

/// A clock that stands still until it is moved. Clones share the time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<SystemTime>>);

impl ManualClock {
    /// Stands at 2026-11-21T12:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400))))
    }

    /// Moves forward.
    pub fn advance(&self, by: Duration) {
        *self.lock() += by;
    }

    /// Jumps back, as a corrected clock does.
    pub fn rewind(&self, by: Duration) {
        *self.lock() -= by;
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, SystemTime> {
        self.0.lock()
    }
}

/// Wall time that passes as tokio's does: in a runtime whose time is paused it is virtual, and moves with every sleep.
#[derive(Debug, Clone, Copy)]
pub struct VirtualClock {
    started: Instant,
    start_time: SystemTime,
}

impl VirtualClock {
    /// Begins at 2026-11-21T12:00:00Z. To be called inside the runtime.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(ManualClock::new().now())
    }

    /// Begins at this instant, such as one so late that nothing it is asked about has expired by the machine's clock.
    #[must_use]
    pub fn starting_at(start_time: SystemTime) -> Self {
        Self { started: Instant::now(), start_time }
    }

    /// How long it has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> SystemTime {
        self.start_time + self.elapsed()
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.lock()
    }
}
