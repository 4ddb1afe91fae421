//! `CallCounter`: the calls in progress on a server, and since when there are none.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

/// Counts the calls in progress.
pub(super) struct CallCounter {
    activity: watch::Sender<Activity>,
    /// Notified when the last call in progress ends.
    idle: Arc<Notify>,
}

/// The calls in progress at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Activity {
    calls: usize,
    /// When the last call ended, or when the counter was created.
    last_used: Instant,
}

impl Activity {
    pub(super) fn is_idle(self) -> bool {
        self.calls == 0
    }
}

impl Default for CallCounter {
    fn default() -> Self {
        Self::with_notify(Arc::default())
    }
}

impl CallCounter {
    /// Creates a counter that notifies `idle` whenever the last call in progress ends.
    pub(super) fn with_notify(idle: Arc<Notify>) -> Self {
        let activity = watch::Sender::new(Activity { calls: 0, last_used: Instant::now() });
        Self { activity, idle }
    }

    /// Counts a call until [`end`](Self::end), and returns whether it is the only one.
    pub(super) fn begin(&self) -> bool {
        let mut is_only = false;
        self.activity.send_modify(|activity| {
            is_only = activity.is_idle();
            activity.calls += 1;
        });
        is_only
    }

    pub(super) fn end(&self) {
        self.activity.send_modify(|activity| {
            activity.calls -= 1;
            activity.last_used = Instant::now();
        });
        if self.is_idle() {
            self.idle.notify_waiters();
        }
    }

    /// Counts a call until the returned guard is dropped.
    pub(super) fn enter(&self) -> ActiveCall<'_> {
        self.begin();
        ActiveCall(self)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.activity.borrow().is_idle()
    }

    /// Returns when the last call ended.
    pub(super) fn last_used(&self) -> Instant {
        self.activity.borrow().last_used
    }

    /// Waits until no call is in progress. Cancel safe.
    pub(super) async fn wait_idle(&self) {
        let mut activity = self.activity.subscribe();
        // Fails only without a sender, which lives as long as `self`. The returned guard is a lock, so it is dropped.
        drop(activity.wait_for(|activity| activity.is_idle()).await);
    }

    /// Waits until no call was in progress for `timeout`. Cancel safe: a later call of this function continues the
    /// same period.
    pub(super) async fn wait_unused(&self, timeout: Duration) {
        let mut activity = self.activity.subscribe();
        loop {
            let current = *activity.borrow_and_update();
            let changed = activity.changed();
            if !current.is_idle() {
                // Fails only without a sender, which lives as long as `self`.
                let _changed = changed.await;
                continue;
            }
            tokio::select! {
                biased;
                _changed = changed => {}
                () = sleep_until(current.last_used + timeout) => return,
            }
        }
    }
}

/// A call in progress.
pub(super) struct ActiveCall<'a>(&'a CallCounter);

impl Drop for ActiveCall<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::time::{advance, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn call_counter_call_defers_the_idle_time() {
        let (calls, idle) = (CallCounter::default(), Duration::from_secs(60));
        advance(Duration::from_secs(50)).await;
        let call = calls.enter();
        let mut unused = pin!(calls.wait_unused(idle));
        assert!(timeout(idle * 10, &mut unused).await.is_err(), "a call is in progress");
        drop(call);
        assert!(timeout(Duration::from_secs(59), &mut unused).await.is_err());
        // Another future continues the period in which the first one waited.
        assert!(timeout(Duration::from_secs(2), calls.wait_unused(idle)).await.is_ok());
    }
}
