//! One future keeps every session of a registry warm: no caller waits, no credentials expire, and the calls to the
//! source stay within the limits.

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::time::{Duration, sleep};
use valetkey_core::testing::VirtualClock;
use valetkey_core::{
    Clock, CredentialProvider, Credentials, Expiry, RefreshLimits, Result, SessionContext, SessionGuard,
    SessionRegistry,
};

use super::principal;
use crate::session_fixture::*;

/// How long a call to the source takes.
const CALL: Duration = Duration::from_millis(300);

/// Issues credentials that last an hour, and counts the calls.
#[derive(Debug, Clone)]
struct CountingProvider(Arc<CountingProviderInner>);

#[derive(Debug)]
struct CountingProviderInner {
    clock: VirtualClock,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    /// How many calls were begun in each second.
    begun: Mutex<HashMap<u64, usize>>,
}

impl CountingProvider {
    fn new(clock: VirtualClock) -> Self {
        let zero = || AtomicUsize::new(0);
        Self(Arc::new(CountingProviderInner {
            clock,
            under_way: zero(),
            most_under_way: zero(),
            begun: Mutex::default(),
        }))
    }

    fn calls(&self) -> usize {
        self.0.begun.lock().unwrap().values().sum()
    }

    fn forget_calls(&self) {
        self.0.begun.lock().unwrap().clear();
        self.0.most_under_way.store(0, Ordering::SeqCst);
    }

    fn most_in_a_second(&self) -> usize {
        self.0.begun.lock().unwrap().values().copied().max().unwrap_or(0)
    }
}

#[async_trait]
impl CredentialProvider for CountingProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("source")
    }

    async fn provide(&self) -> Result<Credentials> {
        let state = &self.0;
        *state.begun.lock().unwrap().entry(state.clock.elapsed().as_secs()).or_default() += 1;
        let now = state.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_under_way.fetch_max(now, Ordering::SeqCst);
        sleep(CALL).await;
        state.under_way.fetch_sub(1, Ordering::SeqCst);
        Ok(numbered(self.calls() as u64, Expiry::At(state.clock.now() + HOUR)))
    }
}

struct KeepWarmFixture {
    clock: VirtualClock,
    source: CountingProvider,
    registry: SessionRegistry,
}

impl KeepWarmFixture {
    fn new() -> Self {
        // So late that nothing is due by the clock of the machine.
        let clock = VirtualClock::starting_at(SystemTime::UNIX_EPOCH + 1_000_000 * HOUR);
        let registry = SessionRegistry::builder()
            .clock(Arc::new(clock))
            .max_sessions(20_000)
            .max_sessions_per_principal(20_000)
            .idle_ttl(24 * HOUR)
            .build();
        Self { clock, source: CountingProvider::new(clock), registry }
    }

    fn open(&self) -> SessionGuard {
        let builder = SessionContext::builder().clock(Arc::new(self.clock)).provider(self.source.clone());
        self.registry.open(principal("alice"), builder).unwrap()
    }

    /// Opens sessions, each with cached credentials.
    async fn open_many(&self, count: usize) -> Vec<SessionGuard> {
        let sessions: Vec<_> = (0..count).map(|_| self.open()).collect();
        futures_util::future::join_all(sessions.iter().map(|session| session.credentials())).await;
        self.source.forget_calls();
        sessions
    }
}

fn limits(concurrent: u32, per_second: u32) -> RefreshLimits {
    let number = |number| NonZeroU32::new(number).unwrap();
    RefreshLimits::default().max_concurrent(number(concurrent)).max_per_second(number(per_second))
}

#[tokio::test(start_paused = true)]
async fn keep_warm_10_000_sessions_keeps_limits_and_no_caller_waits() {
    let fixture = KeepWarmFixture::new();
    let sessions = fixture.open_many(10_000).await;
    let warmer = tokio::spawn(fixture.registry.keep_warm(limits(20, 40)));
    let end = fixture.clock.now() + 2 * HOUR;
    while fixture.clock.now() < end {
        sleep(20 * SECOND).await;
        for session in sessions.iter().step_by(97) {
            let credentials = session.credentials().now_or_never().expect("no caller waits").unwrap();
            assert!(!credentials.expiry().has_passed(fixture.clock.now()));
        }
    }
    let (most, calls) = (fixture.source.0.most_under_way.load(Ordering::SeqCst), fixture.source.calls());
    assert!(most <= 20, "{most} at once");
    assert!(fixture.source.most_in_a_second() <= 41, "{} in a second", fixture.source.most_in_a_second());
    assert!((2 * sessions.len()..=3 * sessions.len()).contains(&calls), "{calls} calls");
    warmer.abort();
}

#[tokio::test(start_paused = true)]
async fn keep_warm_due_sessions_reach_the_concurrency_limit() {
    let fixture = KeepWarmFixture::new();
    let _sessions = fixture.open_many(60).await;
    sleep(55 * MINUTE).await;
    let warmer = tokio::spawn(fixture.registry.keep_warm(limits(6, 100)));
    sleep(5 * SECOND).await;
    assert_eq!(fixture.source.calls(), 60);
    assert_eq!(fixture.source.0.most_under_way.load(Ordering::SeqCst), 6);
    warmer.abort();
}

#[tokio::test(start_paused = true)]
async fn keep_warm_session_opened_later_and_child_are_refreshed() {
    let fixture = KeepWarmFixture::new();
    let warmer = tokio::spawn(fixture.registry.keep_warm(RefreshLimits::default()));
    sleep(SECOND).await;
    let session = fixture.open();
    let child = session.with_provider(fixture.source.clone()).unwrap();
    session.credentials().await.unwrap();
    child.credentials().await.unwrap();
    fixture.source.forget_calls();
    sleep(50 * MINUTE).await;
    assert_eq!(fixture.source.calls(), 2, "both were refreshed when their windows opened");
    warmer.abort();
}

#[tokio::test(start_paused = true)]
async fn keep_warm_closed_cleared_or_set_session_is_not_refreshed() {
    let fixture = KeepWarmFixture::new();
    let sessions = fixture.open_many(3).await;
    let warmer = tokio::spawn(fixture.registry.keep_warm(RefreshLimits::default()));
    sleep(SECOND).await;
    sessions[0].close();
    sessions[1].clear();
    sessions[2].set_credentials(numbered(1, Expiry::Never)).unwrap();
    sleep(3 * HOUR).await;
    assert_eq!(fixture.source.calls(), 0);
    warmer.abort();
}

#[tokio::test(start_paused = true)]
async fn keep_warm_ends_when_registry_is_dropped() {
    let fixture = KeepWarmFixture::new();
    let session = fixture.open_many(1).await;
    let warmer = tokio::spawn(fixture.registry.keep_warm(RefreshLimits::default()));
    sleep(SECOND).await;
    drop(fixture);
    tokio::time::timeout(SECOND, warmer).await.expect("at once").unwrap();
    assert!(session[0].is_closed());
}

#[tokio::test(start_paused = true)]
async fn keep_warm_without_sessions_ends_when_registry_is_dropped() {
    let fixture = KeepWarmFixture::new();
    let warmer = tokio::spawn(fixture.registry.keep_warm(RefreshLimits::default()));
    sleep(SECOND).await;
    drop(fixture);
    tokio::time::timeout(SECOND, warmer).await.expect("at once").unwrap();
}

#[tokio::test(start_paused = true)]
async fn keep_warm_twice_first_continues_when_second_is_dropped() {
    let fixture = KeepWarmFixture::new();
    let warmer = tokio::spawn(fixture.registry.keep_warm(RefreshLimits::default()));
    drop(fixture.registry.keep_warm(RefreshLimits::default()));
    let _session = fixture.open_many(1).await;
    sleep(50 * MINUTE).await;
    assert_eq!(fixture.source.calls(), 1);
    warmer.abort();
}

#[tokio::test(start_paused = true)]
async fn keep_warm_dropped_makes_no_calls() {
    let fixture = KeepWarmFixture::new();
    let sessions = fixture.open_many(2).await;
    drop(fixture.registry.keep_warm(RefreshLimits::default()));
    sleep(50 * MINUTE).await;
    assert_eq!(fixture.source.calls(), 0);
    sessions[0].credentials().await.unwrap();
    assert_eq!(fixture.source.calls(), 1);
}
