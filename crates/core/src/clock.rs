//! `Clock`: the only reader of wall time.

use std::fmt;
use std::time::SystemTime;

/// Where wall time comes from. Expiry is checked against it on every use, so a machine that was suspended recovers.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall time now.
    fn now(&self) -> SystemTime;
}

/// The wall clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one place that may read the wall clock")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
