//! Sweeping: sessions whose time is up are closed, by whoever calls or by a future that its owner drives.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::SessionRegistry;
use super::shelf::Shelf;
use crate::clock::{LONGEST_SLEEP, SHORTEST_SLEEP};

/// How many sessions are looked at in one go, so that a backlog holds up neither the ledger nor the executor.
const SLICE: usize = 256;
const BETWEEN_SLICES: Duration = Duration::from_millis(1);

impl SessionRegistry {
    /// Closes every session that is past its idle time or its lifetime, and tells how many those were. Sessions in use
    /// are left alone.
    pub fn sweep(&self) -> usize {
        let now = self.shelf().now();
        let mut closed = 0;
        loop {
            let (some, more) = self.shelf().sweep(now, SLICE);
            closed += some;
            if !more {
                return closed;
            }
        }
    }

    /// Sweeps as sessions come due, until the registry is gone; then it ends at once. The work is proportional to what
    /// is due, not to what is open. Without it, sessions whose time is up are found no more either, but they are closed
    /// only when somebody asks for them or their place is wanted.
    ///
    /// Spawn it, or select over it: it does not keep the registry alive. To be polled inside a tokio runtime with time
    /// enabled. Cancel safe.
    pub fn keep_swept(&self) -> impl Future<Output = ()> + Send + 'static {
        let shelf = Arc::clone(self.shelf());
        async move {
            loop {
                // Listens before it looks: an end in between is not missed.
                let ended = shelf.ended.notified();
                if shelf.is_closed() {
                    break;
                }
                let _either = tokio::time::timeout(shelf.sweep_slice(), ended).await;
            }
        }
    }
}

impl Shelf {
    /// Sweeps some, and says how long to sleep.
    fn sweep_slice(&self) -> Duration {
        let now = self.now();
        let (_closed, more) = self.sweep(now, SLICE);
        if more {
            return BETWEEN_SLICES;
        }
        // What is opened meanwhile is due no sooner than this.
        let soonest = self.limits.soonest();
        let next = self.ledger().next_due().map_or(soonest, |due| due.saturating_sub(now).min(soonest));
        Duration::from_nanos(next).clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
    }
}
