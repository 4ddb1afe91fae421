//! Sweeping: what is past its idle time or its lifetime is closed, what is in use is not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use tokio::time::sleep;
use valetkey_core::Clock;

use super::*;

#[test]
fn sweep_closes_idle_sessions_and_returns_their_count() {
    let fixture = RegistryFixture::new();
    let early: Vec<_> = (0..600).map(|n| fixture.idle(&format!("p{n}")).1).collect();
    fixture.clock.advance(MINUTE);
    let (_, late) = fixture.idle("ana");
    fixture.clock.advance(IDLE - MINUTE - SECOND);
    assert_eq!(fixture.registry.sweep(), 0);
    fixture.clock.advance(SECOND);
    assert_eq!(fixture.registry.sweep(), 600);
    assert!(early.iter().all(|session| session.is_closed()) && !late.is_closed());
    assert_eq!(fixture.registry.len(), 1);
}

#[test]
fn idle_time_starts_when_last_call_ends() {
    let fixture = RegistryFixture::new();
    let first = fixture.open("ana");
    let (handle, session) = (first.handle(), first.clone());
    let second = fixture.find("ana", &handle).unwrap();
    fixture.clock.advance(IDLE);
    drop(first);
    fixture.clock.advance(IDLE);
    drop(second);
    assert_idle_time_starts_now(&fixture, &session);
}

#[test]
fn find_prolongs_idle_time_to_the_second() {
    let fixture = RegistryFixture::new();
    let (handle, session) = fixture.idle("ana");
    for _ in 0..5 {
        fixture.clock.advance(IDLE - SECOND);
        assert_eq!(fixture.registry.sweep(), 0);
        fixture.touch("ana", &handle);
    }
    assert_idle_time_starts_now(&fixture, &session);
}

/// A sweep closes the only session when its idle time has passed from now on, to the second.
fn assert_idle_time_starts_now(fixture: &RegistryFixture, session: &SessionContext) {
    fixture.clock.advance(IDLE - SECOND);
    assert_eq!(fixture.registry.sweep(), 0);
    fixture.clock.advance(SECOND);
    assert_eq!(fixture.registry.sweep(), 1);
    assert!(session.is_closed());
}

#[test]
fn sweep_keeps_session_with_long_call() {
    let fixture = RegistryFixture::with(|registry| registry.max_lifetime(100 * LIFETIME));
    let in_use = fixture.open("ana");
    for _ in 0..20 {
        fixture.clock.advance(IDLE);
        assert_eq!(fixture.registry.sweep(), 0);
    }
    assert!(!in_use.is_closed() && fixture.is_found("ana", &in_use.handle()));
}

#[test]
fn session_past_lifetime_is_not_found_and_ends_with_last_call() {
    for swept in [true, false] {
        let fixture = RegistryFixture::new();
        let first = fixture.open("ana");
        let handle = first.handle();
        let second = fixture.find("ana", &handle).unwrap();
        fixture.clock.advance(LIFETIME - SECOND);
        assert!(fixture.is_found("ana", &handle));
        fixture.clock.advance(SECOND);
        assert!(!fixture.is_found("ana", &handle), "at once");
        if swept {
            assert_eq!((fixture.registry.sweep(), fixture.registry.sweep()), (0, 0));
        }
        drop(first);
        assert!(!second.is_closed(), "a call is in flight");
        assert_eq!(fixture.registry.len(), 1, "and it counts");
        let session = second.clone();
        drop(second);
        assert!(session.is_closed());
        assert_eq!(fixture.registry.len(), 0);
    }
}

#[test]
fn session_past_lifetime_ends_with_last_call_without_sweep() {
    let fixture = RegistryFixture::new();
    let in_use = fixture.open("ana");
    let session = in_use.clone();
    fixture.clock.advance(LIFETIME);
    drop(in_use);
    assert!(session.is_closed());
    assert_eq!(fixture.registry.len(), 0);
}

#[test]
fn session_in_constant_use_ends_with_lifetime() {
    let fixture = RegistryFixture::new();
    let (handle, session) = fixture.idle("ana");
    for _ in 0..35 {
        fixture.clock.advance(20 * MINUTE);
        fixture.touch("ana", &handle);
    }
    fixture.clock.advance(20 * MINUTE);
    assert_eq!(fixture.registry.sweep(), 1);
    assert!(session.is_closed());
}

#[test]
fn idle_ttl_zero_ends_session_with_last_call() {
    let fixture = RegistryFixture::with(|registry| registry.idle_ttl(Duration::ZERO));
    let in_use = fixture.open("ana");
    assert_eq!(fixture.registry.sweep(), 0);
    let again = fixture.find("ana", &in_use.handle()).unwrap();
    let session = in_use.clone();
    let handle = in_use.handle();
    drop((in_use, again));
    assert!(!fixture.is_found("ana", &handle));
    assert!(session.is_closed());
}

#[test]
fn idle_ttl_and_lifetime_max_keep_session_open() {
    let fixture =
        RegistryFixture::with(|registry| registry.idle_ttl(Duration::MAX).max_lifetime(Duration::MAX));
    let (handle, _) = fixture.idle("ana");
    fixture.clock.advance(100 * 365 * 24 * HOUR);
    assert_eq!(fixture.registry.sweep(), 0);
    assert!(fixture.is_found("ana", &handle));
}

#[tokio::test(start_paused = true)]
async fn keep_swept_closes_sessions_when_they_end() {
    let fixture = RegistryFixture::with(|registry| registry.idle_ttl(5 * SECOND));
    let sweeper = tokio::spawn(fixture.registry.keep_swept());
    let (_, session) = fixture.idle("ana");
    for _ in 0..4 {
        sleep(SECOND).await;
        fixture.clock.advance(SECOND);
        assert!(!session.is_closed());
    }
    fixture.clock.advance(SECOND);
    sleep(6 * SECOND).await;
    assert!(session.is_closed());
    sweeper.abort();
}

#[tokio::test(start_paused = true)]
async fn keep_swept_backlog_is_closed_in_chunks_without_long_pause() {
    let fixture = RegistryFixture::new();
    let sessions: Vec<_> = (0..2000).map(|n| fixture.idle(&format!("p{n}")).1).collect();
    let open = || sessions.iter().filter(|session| !session.is_closed()).count();
    fixture.clock.advance(IDLE);
    let sweeper = tokio::spawn(fixture.registry.keep_swept());
    settle().await;
    assert!((1000..2000).contains(&open()), "other tasks run between two chunks");
    sleep(Duration::from_millis(100)).await;
    assert_eq!((open(), fixture.registry.len()), (0, 0));
    sweeper.abort();
}

#[tokio::test(start_paused = true)]
async fn keep_swept_notices_suspended_machine_within_30_s() {
    let fixture = RegistryFixture::new();
    let (_, session) = fixture.idle("ana");
    let sweeper = tokio::spawn(fixture.registry.keep_swept());
    settle().await;
    fixture.clock.advance(IDLE);
    sleep(31 * SECOND).await;
    assert!(session.is_closed());
    sweeper.abort();
}

#[tokio::test(start_paused = true)]
async fn keep_swept_keeps_nothing_alive_and_ends_with_registry() {
    let fixture = RegistryFixture::new();
    let (_, session) = fixture.idle("ana");
    let sweeper = tokio::spawn(fixture.registry.keep_swept());
    let never_polled = fixture.registry.keep_swept();
    settle().await;
    drop(fixture.registry);
    assert!(session.is_closed());
    settle().await;
    assert!(sweeper.is_finished(), "at once, not when it wakes");
    never_polled.await;
}

#[tokio::test(start_paused = true)]
async fn keep_swept_dropped_closes_sessions_that_it_removed() {
    let fixture = RegistryFixture::new();
    let sessions: Vec<_> = (0..600).map(|n| fixture.idle(&format!("p{n}")).1).collect();
    fixture.clock.advance(IDLE);
    let mut sweeper = Box::pin(fixture.registry.keep_swept());
    assert!(futures_util::FutureExt::now_or_never(sweeper.as_mut()).is_none());
    assert!(fixture.registry.is_empty() && sessions.iter().any(|session| !session.is_closed()));
    drop(sweeper);
    assert!(sessions.iter().all(SessionContext::is_closed));
}

/// Counts how often it is read.
#[derive(Debug, Clone, Default)]
struct CountingClock(ManualClock, Arc<AtomicUsize>);

impl Clock for CountingClock {
    fn now(&self) -> SystemTime {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.now()
    }
}

impl CountingClock {
    /// How often the clock is read while `work` is done.
    fn during<T>(&self, work: impl FnOnce() -> T) -> (usize, T) {
        let before = self.1.load(Ordering::SeqCst);
        let done = work();
        (self.1.load(Ordering::SeqCst) - before, done)
    }
}

#[test]
fn find_and_guard_drop_read_clock_once_each() {
    let clock = CountingClock::default();
    let registry = SessionRegistry::builder().clock(Arc::new(clock.clone())).build();
    let handle = registry.open(principal("ana"), SessionContext::builder()).unwrap().handle();
    let (reads, found) = clock.during(|| registry.find(&principal("ana"), &handle).unwrap());
    assert_eq!(reads, 1);
    assert_eq!(clock.during(|| drop(found)).0, 1);
}

#[tokio::test(start_paused = true)]
async fn keep_swept_sleeps_while_nothing_is_due() {
    let clock = CountingClock::default();
    let registry = SessionRegistry::builder().clock(Arc::new(clock.clone())).build();
    for n in 0..100 {
        drop(registry.open(principal(&format!("p{n}")), SessionContext::builder()).unwrap());
    }
    let in_use = registry.open(principal("ana"), SessionContext::builder()).unwrap();
    let sweeper = tokio::spawn(registry.keep_swept());
    settle().await;
    let before = clock.1.load(Ordering::SeqCst);
    sleep(HOUR).await;
    let woken = clock.1.load(Ordering::SeqCst) - before;
    assert!((100..=130).contains(&woken), "woken {woken} times in an hour");

    // A session that lingers is nothing to wake for either.
    clock.0.advance(LIFETIME);
    sleep(MINUTE).await;
    assert_eq!(registry.len(), 1);
    let before = clock.1.load(Ordering::SeqCst);
    sleep(HOUR).await;
    let woken = clock.1.load(Ordering::SeqCst) - before;
    assert!((100..=130).contains(&woken), "woken {woken} times in an hour");
    drop(in_use);
    sweeper.abort();
}
