//! Clocks for tests: `ManualClock`, moved by the test, and `VirtualClock`, which follows tokio's time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::Clock;

/// A clock that stands still until the test moves it. Clones share the time.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use valetkey_core::{Clock, testing::ManualClock};
///
/// let clock = ManualClock::new();
/// let before = clock.now();
/// clock.clone().advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), before + Duration::from_secs(60));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<SystemTime>>);

impl ManualClock {
    /// Creates a clock that stands at 2026-11-21T12:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400))))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.lock() += by;
    }

    /// Moves the clock backwards, as when a machine's clock is corrected.
    pub fn rewind(&self, by: Duration) {
        *self.lock() -= by;
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, SystemTime> {
        self.0.lock()
    }
}

/// Wall time that advances with tokio's: in a runtime with paused time it is virtual, and advances with every sleep.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use valetkey_core::{Clock, testing::VirtualClock};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let clock = VirtualClock::new();
/// tokio::time::sleep(Duration::from_secs(3600)).await; // returns at once: time is paused
/// assert!(clock.elapsed() >= Duration::from_secs(3600));
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct VirtualClock {
    started: Instant,
    start_time: SystemTime,
}

impl VirtualClock {
    /// Creates a clock that starts at 2026-11-21T12:00:00Z. Must be called inside the runtime.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(ManualClock::new().now())
    }

    /// Creates a clock that starts at this instant, such as one in the far future, so that credentials issued by it
    /// have not expired by the machine's clock.
    #[must_use]
    pub fn starting_at(start_time: SystemTime) -> Self {
        Self { started: Instant::now(), start_time }
    }

    /// Returns how long the clock has been running.
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
