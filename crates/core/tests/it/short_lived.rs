//! Credentials of a few minutes: fetched once per window, and not at every call.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;
use valetkey_core::testing::ManualClock;
use valetkey_core::{Clock, CredentialProvider, Credentials, Expiry, Result, SessionContext};

use crate::session_fixture::*;

/// Issues credentials that last `lifetime` from each call on, or the same ones until they expire.
#[derive(Debug, Clone)]
struct FixedLifetimeProvider {
    clock: ManualClock,
    lifetime: Duration,
    repeats: bool,
    calls: Arc<AtomicU64>,
}

impl FixedLifetimeProvider {
    fn new(clock: &ManualClock, lifetime: Duration) -> Self {
        Self { clock: clock.clone(), lifetime, repeats: false, calls: Arc::default() }
    }

    fn call_count(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl CredentialProvider for FixedLifetimeProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("issuer")
    }

    async fn provide(&self) -> Result<Credentials> {
        let n = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.repeats {
            let start = self.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap();
            let period = self.lifetime.as_secs();
            let end = Duration::from_secs((start.as_secs() / period + 1) * period);
            return Ok(numbered(end.as_secs(), Expiry::At(std::time::UNIX_EPOCH + end)));
        }
        Ok(expiring(&self.clock, n, self.lifetime))
    }
}

fn session(issuer: &FixedLifetimeProvider) -> SessionContext {
    builder(&issuer.clock).provider(issuer.clone()).build()
}

/// How often a caller that calls every second for `time` has the provider called.
async fn count_calls(issuer: &FixedLifetimeProvider, time: Duration) -> u64 {
    let session = session(issuer);
    for _ in 0..time.as_secs() {
        session.credentials().await.unwrap();
        issuer.clock.advance(SECOND);
    }
    issuer.call_count()
}

/// 120 s: fetched at 0, 87 to 90, 174 to 180, … s.
#[tokio::test]
async fn credentials_of_2_minutes_are_fetched_every_90_s() {
    let clock = ManualClock::new();
    let calls = count_calls(&FixedLifetimeProvider::new(&clock, 120 * SECOND), 900 * SECOND).await;
    assert!((10..=11).contains(&calls), "{calls} calls in 15 min");
}

#[tokio::test]
async fn short_credentials_are_not_fetched_at_every_call() {
    for (lifetime, most) in [(4, 200), (20, 42), (60, 14), (300, 4)] {
        let calls =
            count_calls(&FixedLifetimeProvider::new(&ManualClock::new(), lifetime * SECOND), 600 * SECOND)
                .await;
        assert!(calls <= most, "{lifetime} s: {calls} calls in 10 min");
    }
}

/// The nearer the end of credentials that cannot be renewed, the more often they are fetched, but at most once a second.
#[tokio::test]
async fn provider_repeating_credentials_is_called_rarely() {
    let issuer = FixedLifetimeProvider {
        repeats: true,
        ..FixedLifetimeProvider::new(&ManualClock::new(), 300 * SECOND)
    };
    let calls = count_calls(&issuer, 600 * SECOND).await;
    assert!(calls <= 20, "{calls} calls for two or three periods");
}

#[tokio::test(start_paused = true)]
async fn keep_warm_fetches_short_credentials_once_per_window() {
    let issuer = FixedLifetimeProvider::new(&ManualClock::new(), 120 * SECOND);
    let session = session(&issuer);
    session.credentials().await.unwrap();
    let warmer = tokio::spawn(session.keep_warm());
    for _ in 0..900 {
        issuer.clock.advance(SECOND);
        sleep(SECOND).await;
    }
    assert!((9..=11).contains(&issuer.call_count()), "{} calls in 15 min", issuer.call_count());
    warmer.abort();
}
