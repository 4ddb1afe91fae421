//! `Utilization`: how full the last session was that STS issued.

use std::sync::atomic::{AtomicU32, Ordering};

/// Percent plus one; zero before STS has told any.
#[derive(Debug, Default)]
pub(crate) struct Utilization(AtomicU32);

impl Utilization {
    pub(crate) fn record(&self, percent: Option<i32>) {
        if let Some(percent) = percent.and_then(|percent| u32::try_from(percent).ok()) {
            self.0.store(percent.saturating_add(1), Ordering::Relaxed);
        }
    }

    pub(crate) fn percent(&self) -> Option<u32> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }
}
