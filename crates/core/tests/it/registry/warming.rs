//! One future keeps every session of a registry warm: nobody waits, nothing runs out, and the source is not stormed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::time::{Duration, sleep};
use valetkey_core::testing::VirtualClock;
use valetkey_core::{
    Clock, CredentialProvider, Credentials, Expiry, RefreshLimits, Result, SessionContext, SessionGuard,
    SessionRegistry,
};

use super::principal;
use crate::bench::*;

/// What a call to the source takes.
const CALL: Duration = Duration::from_millis(300);

/// Issues sets that last an hour, and sees how it is pressed.
#[derive(Debug, Clone)]
struct Source(Arc<Pressed>);

#[derive(Debug)]
struct Pressed {
    clock: VirtualClock,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    /// How many calls were begun in each second.
    begun: Mutex<HashMap<u64, usize>>,
}

impl Source {
    fn new(clock: VirtualClock) -> Self {
        let zero = || AtomicUsize::new(0);
        Self(Arc::new(Pressed { clock, under_way: zero(), most_under_way: zero(), begun: Mutex::default() }))
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
impl CredentialProvider for Source {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("source")
    }

    async fn provide(&self) -> Result<Credentials> {
        let pressed = &self.0;
        *pressed.begun.lock().unwrap().entry(pressed.clock.elapsed().as_secs()).or_default() += 1;
        let now = pressed.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        pressed.most_under_way.fetch_max(now, Ordering::SeqCst);
        sleep(CALL).await;
        pressed.under_way.fetch_sub(1, Ordering::SeqCst);
        Ok(numbered(self.calls() as u64, Expiry::At(pressed.clock.now() + HOUR)))
    }
}

struct House {
    clock: VirtualClock,
    source: Source,
    registry: SessionRegistry,
}

impl House {
    fn new() -> Self {
        let clock = VirtualClock::new();
        let registry = SessionRegistry::builder()
            .clock(Arc::new(clock))
            .max_sessions(20_000)
            .max_sessions_per_principal(20_000)
            .idle_ttl(24 * HOUR)
            .build();
        Self { clock, source: Source::new(clock), registry }
    }

    fn open(&self) -> SessionGuard {
        let builder = SessionContext::builder().clock(Arc::new(self.clock)).provider(self.source.clone());
        self.registry.open(principal("alice"), builder).unwrap()
    }

    /// Opens sessions, each with a set.
    async fn opened(&self, count: usize) -> Vec<SessionGuard> {
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
async fn ten_thousand_sessions_opened_together_neither_storm_the_source_nor_run_out_nor_wait() {
    let house = House::new();
    let sessions = house.opened(10_000).await;
    let warmer = tokio::spawn(house.registry.keep_warm(limits(20, 40)));
    let end = house.clock.now() + 2 * HOUR;
    while house.clock.now() < end {
        sleep(20 * SECOND).await;
        for session in sessions.iter().step_by(97) {
            let set = session.credentials().now_or_never().expect("nobody waits").unwrap();
            assert!(!set.expiry().has_passed(house.clock.now()));
        }
    }
    let (most, calls) = (house.source.0.most_under_way.load(Ordering::SeqCst), house.source.calls());
    assert!(most <= 20, "{most} at once");
    assert!(house.source.most_in_a_second() <= 41, "{} in a second", house.source.most_in_a_second());
    assert!((2 * sessions.len()..=3 * sessions.len()).contains(&calls), "{calls} calls");
    warmer.abort();
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_opened_later_is_kept_warm_and_so_is_its_child() {
    let house = House::new();
    let warmer = tokio::spawn(house.registry.keep_warm(RefreshLimits::default()));
    sleep(SECOND).await;
    let session = house.open();
    let child = session.with_provider(house.source.clone()).unwrap();
    session.credentials().await.unwrap();
    child.credentials().await.unwrap();
    house.source.forget_calls();
    sleep(50 * MINUTE).await;
    assert_eq!(house.source.calls(), 2, "both were refreshed when their windows opened");
    warmer.abort();
}

#[tokio::test(start_paused = true)]
async fn what_is_closed_cleared_or_set_by_hand_is_taken_off_the_agenda() {
    let house = House::new();
    let sessions = house.opened(3).await;
    let warmer = tokio::spawn(house.registry.keep_warm(RefreshLimits::default()));
    sleep(SECOND).await;
    sessions[0].close();
    sessions[1].clear();
    sessions[2].set_credentials(numbered(1, Expiry::Never)).unwrap();
    sleep(3 * HOUR).await;
    assert_eq!(house.source.calls(), 0);
    warmer.abort();
}

#[tokio::test(start_paused = true)]
async fn the_warmer_ends_with_the_registry() {
    let house = House::new();
    let session = house.opened(1).await;
    let warmer = tokio::spawn(house.registry.keep_warm(RefreshLimits::default()));
    sleep(SECOND).await;
    drop(house);
    tokio::time::timeout(SECOND, warmer).await.expect("at once").unwrap();
    assert!(session[0].is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_warmer_that_is_dropped_leaves_the_sessions_to_their_callers() {
    let house = House::new();
    let sessions = house.opened(2).await;
    drop(house.registry.keep_warm(RefreshLimits::default()));
    sleep(50 * MINUTE).await;
    assert_eq!(house.source.calls(), 0);
    sessions[0].credentials().await.unwrap();
    assert_eq!(house.source.calls(), 1);
}
