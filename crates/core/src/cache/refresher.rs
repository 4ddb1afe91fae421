//! The background refresher: a future, driven by its owner, that refreshes credentials before they are needed.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::MissedTickBehavior;

use super::AccountCache;
use super::refresh_queue::{MIN_RETRY_INTERVAL, RefreshQueue};

/// Limits how many refreshes a background refresher performs.
///
/// The limits apply to a whole registry, or to one session that is [kept warm](crate::SessionContext::keep_warm)
/// alone. Fetches of callers do not count.
///
/// # Examples
/// ```
/// # use std::num::NonZeroU32;
/// # use valetkey_core::{RefreshLimits, SessionRegistry};
/// let five = NonZeroU32::MIN.saturating_add(4);
/// let limits = RefreshLimits::default().max_per_second(five);
/// assert_eq!(limits.max_per_second.get(), 5);
/// assert_eq!(limits.max_concurrent.get(), 64);
///
/// let registry = SessionRegistry::builder().build();
/// let refreshing = registry.keep_warm(limits);
/// # drop(refreshing);
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RefreshLimits {
    /// The maximum number of concurrent refreshes (default: 64).
    pub max_concurrent: NonZeroU32,
    /// The maximum number of refreshes started per second (default: 50). STS grants an account some hundreds of
    /// requests a second, shared by all callers in that account.
    pub max_per_second: NonZeroU32,
}

impl RefreshLimits {
    /// Sets [`max_concurrent`](Self::max_concurrent).
    #[must_use]
    pub fn max_concurrent(mut self, refreshes: NonZeroU32) -> Self {
        self.max_concurrent = refreshes;
        self
    }

    /// Sets [`max_per_second`](Self::max_per_second).
    #[must_use]
    pub fn max_per_second(mut self, refreshes: NonZeroU32) -> Self {
        self.max_per_second = refreshes;
        self
    }

    /// Returns whether another refresh may start beside those in flight.
    fn has_capacity(&self, in_flight: usize) -> bool {
        u32::try_from(in_flight).is_ok_and(|in_flight| in_flight < self.max_concurrent.get())
    }

    /// Returns the time between two starts: refreshes are spread over a second instead of starting together.
    fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.max_per_second.get()
    }
}

impl Default for RefreshLimits {
    fn default() -> Self {
        let one = NonZeroU32::MIN;
        Self { max_concurrent: one.saturating_add(63), max_per_second: one.saturating_add(49) }
    }
}

/// Runs the refreshes of a queue while its owner `is_open`.
///
/// Each turn of the loop waits for the first of: the end of a refresh, a change of the schedule, or the time when
/// the next account is due. At full capacity only the first two can help, so the pause is unlimited.
///
/// # Cancel safety
/// Dropping the future drops the queue and the refreshes in flight. Callers that wait for one of them continue it.
pub(crate) async fn run_refreshes(
    queue: Arc<RefreshQueue>,
    limits: RefreshLimits,
    is_open: impl Fn() -> bool,
) {
    let mut pace = tokio::time::interval(limits.interval());
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut in_flight = FuturesUnordered::new();
    while is_open() {
        let pause =
            if limits.has_capacity(in_flight.len()) { queue.idle_time() } else { Some(Duration::MAX) };
        tokio::select! {
            biased;
            Some(()) = in_flight.next() => {}
            () = queue.changed() => {}
            _ = pace.tick(), if pause.is_none() => {
                in_flight.extend(queue.pop_due().map(|cache| refresh_one(cache, &queue)));
            }
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

/// Refreshes one account. The account records an error and returns it to the next caller that requests credentials.
///
/// Checks the need again, since a caller may have refreshed the account after it was scheduled.
async fn refresh_one(cache: Arc<AccountCache>, queue: &RefreshQueue) {
    if cache.needs_refresh() {
        let _outcome = cache.refresh().await;
    }
    cache.schedule_on(queue, MIN_RETRY_INTERVAL);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Expiry;
    use crate::clock::ClockSource;
    use crate::session::shared::SessionShared;
    use crate::testing::{ManualClock, Script, ScriptedProvider};
    use crate::{Clock, Credentials};

    const HOUR: Duration = Duration::from_secs(3600);

    /// An account whose provider issues credentials of an hour, its provider, and its clock.
    fn account() -> (Arc<AccountCache>, ScriptedProvider, ManualClock) {
        let clock = ManualClock::new();
        let mut shared = SessionShared::new();
        shared.config_mut().clock = ClockSource::custom(Arc::new(clock.clone()));
        let cache = AccountCache::new("default".parse().unwrap(), Arc::new(shared));
        let provider = ScriptedProvider::new([Script::Answer(credentials(&clock))]);
        cache.set_provider(Arc::new(provider.clone())).unwrap();
        (Arc::new(cache), provider, clock)
    }

    fn credentials(clock: &ManualClock) -> Credentials {
        let (id, secret) = ("AKIA0000000000000000".parse().unwrap(), "secret".into());
        Credentials::builder(id, secret).expiry(Expiry::At(clock.now() + HOUR)).build().unwrap()
    }

    #[tokio::test]
    async fn refresh_one_account_refreshed_meanwhile_is_not_fetched() {
        let (cache, provider, _clock) = account();
        cache.refresh().await.unwrap();
        refresh_one(Arc::clone(&cache), &RefreshQueue::new(ClockSource::default())).await;
        assert_eq!(provider.call_count(), 1);
    }

    #[tokio::test]
    async fn needs_refresh_only_with_due_credentials_of_provider() {
        let (cache, _provider, clock) = account();
        assert!(!cache.needs_refresh(), "never used");
        cache.refresh().await.unwrap();
        assert!(!cache.needs_refresh(), "fresh");
        clock.advance(HOUR);
        assert!(cache.needs_refresh(), "due");
        cache.set(credentials(&clock)).unwrap();
        clock.advance(HOUR - Duration::from_secs(1));
        assert!(!cache.needs_refresh(), "no provider can replace credentials that were set");
    }
}
