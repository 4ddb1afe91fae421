//! `keep_warm`: a future, driven by its owner, that refreshes credentials before they are needed.

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::MissedTickBehavior;

use super::SessionContext;
use super::agenda::{MIN_RETRY_INTERVAL, RefreshQueue};
use super::slot::AccountCache;

/// Limits how many refreshes a background refresher performs.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RefreshLimits {
    /// The maximum number of concurrent refreshes (default: 64).
    pub concurrent: NonZeroU32,
    /// The maximum number of refreshes started per second (default: 50). STS grants an account some hundreds of
    /// requests a second, shared by all callers in that account.
    pub per_second: NonZeroU32,
}

impl RefreshLimits {
    /// Sets [`concurrent`](Self::concurrent).
    #[must_use]
    pub fn concurrent(mut self, refreshes: NonZeroU32) -> Self {
        self.concurrent = refreshes;
        self
    }

    /// Sets [`per_second`](Self::per_second).
    #[must_use]
    pub fn per_second(mut self, refreshes: NonZeroU32) -> Self {
        self.per_second = refreshes;
        self
    }

    fn has_room(&self, under_way: usize) -> bool {
        u32::try_from(under_way).is_ok_and(|under_way| under_way < self.concurrent.get())
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.per_second.get()
    }
}

impl Default for RefreshLimits {
    fn default() -> Self {
        let one = NonZeroU32::MIN;
        Self { concurrent: one.saturating_add(63), per_second: one.saturating_add(49) }
    }
}

impl SessionContext {
    /// Refreshes the accounts of this session and of its children as they enter the advisory window, until the session
    /// ends, within the standard [`RefreshLimits`].
    ///
    /// While the future is polled, callers that request credentials in that window neither wait nor fetch. Accounts
    /// whose credentials were never requested, and accounts inherited from a parent, are not refreshed. Spawn the
    /// future, or select over it: it holds no handle and does not keep the session alive.
    ///
    /// # Cancel safety
    /// Dropping the future stops the background refreshes; callers then fetch for themselves.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionContext;
    /// # async fn demo(session: SessionContext) {
    /// tokio::select! {
    ///     () = session.keep_warm() => {}
    ///     () = work(&session) => {}
    /// }
    /// # }
    /// # async fn work(_session: &SessionContext) {}
    /// ```
    pub fn keep_warm(&self) -> impl Future<Output = ()> + Send + 'static {
        let agenda = RefreshQueue::new(self.inner().surroundings.clock());
        self.inner().attach_refresher(&agenda);
        let session = Arc::downgrade(self.inner());
        let alive = move || session.upgrade().is_some_and(|member| !member.is_closed());
        drive(agenda, RefreshLimits::default(), alive)
    }
}

impl SessionContext {
    /// Registers this session for background refreshes.
    pub(crate) fn attach_refresher(&self, agenda: &Arc<RefreshQueue>) {
        self.inner().attach_refresher(agenda);
    }
}

/// Runs the refreshes of an agenda while its owner is `alive`.
pub(crate) async fn drive(agenda: Arc<RefreshQueue>, limits: RefreshLimits, alive: impl Fn() -> bool) {
    let mut pace = tokio::time::interval(limits.interval());
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way = FuturesUnordered::new();
    while alive() {
        let pause = if limits.has_room(under_way.len()) { agenda.idle_time() } else { Some(Duration::MAX) };
        tokio::select! {
            biased;
            Some(()) = under_way.next() => {}
            () = agenda.changed() => {}
            _ = pace.tick(), if pause.is_none() => {
                under_way.extend(agenda.pop_due().map(|slot| refresh(slot, &agenda)));
            }
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

/// Refreshes one account. The account records an error and returns it to the next caller that requests credentials.
async fn refresh(slot: Arc<AccountCache>, agenda: &RefreshQueue) {
    if slot.needs_refresh() {
        let _outcome = slot.refresh().await;
    }
    slot.schedule_on(agenda, MIN_RETRY_INTERVAL);
}
