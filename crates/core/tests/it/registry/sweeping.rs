//! Sweeping: what is past its idle time or its lifetime is closed, what is in use is not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use tokio::time::sleep;
use valetkey_core::Clock;

use super::*;

#[test]
fn sweep_closes_idle_sessions_and_returns_their_count() {
    let gateway = Gateway::new();
    let early: Vec<_> = (0..600).map(|n| gateway.idle(&format!("p{n}")).1).collect();
    gateway.clock.advance(MINUTE);
    let (_, late) = gateway.idle("ana");
    gateway.clock.advance(IDLE - MINUTE - SECOND);
    assert_eq!(gateway.registry.sweep(), 0);
    gateway.clock.advance(SECOND);
    assert_eq!(gateway.registry.sweep(), 600);
    assert!(early.iter().all(|session| session.is_closed()) && !late.is_closed());
    assert_eq!(gateway.registry.len(), 1);
}

#[test]
fn idle_time_counts_from_the_end_of_the_last_call() {
    let gateway = Gateway::new();
    let first = gateway.open("ana");
    let (handle, session) = (first.handle(), first.clone());
    let second = gateway.find("ana", &handle).unwrap();
    gateway.clock.advance(IDLE);
    drop(first);
    gateway.clock.advance(IDLE);
    drop(second);
    gateway.clock.advance(IDLE - SECOND);
    assert_eq!(gateway.registry.sweep(), 0);
    gateway.clock.advance(SECOND);
    assert_eq!(gateway.registry.sweep(), 1);
    assert!(session.is_closed());
}

#[test]
fn use_postpones_the_sweep_to_the_second() {
    let gateway = Gateway::new();
    let (handle, session) = gateway.idle("ana");
    for _ in 0..5 {
        gateway.clock.advance(IDLE - SECOND);
        assert_eq!(gateway.registry.sweep(), 0);
        gateway.touch("ana", &handle);
    }
    gateway.clock.advance(IDLE - SECOND);
    assert_eq!(gateway.registry.sweep(), 0);
    gateway.clock.advance(SECOND);
    assert_eq!(gateway.registry.sweep(), 1);
    assert!(session.is_closed());
}

#[test]
fn a_session_in_use_is_not_swept_however_long_the_call() {
    let gateway = Gateway::with(|registry| registry.max_lifetime(100 * LIFETIME));
    let in_use = gateway.open("ana");
    for _ in 0..20 {
        gateway.clock.advance(IDLE);
        assert_eq!(gateway.registry.sweep(), 0);
    }
    assert!(!in_use.is_closed() && gateway.is_found("ana", &in_use.handle()));
}

#[test]
fn session_past_lifetime_is_not_found_and_ends_with_last_call() {
    for swept in [true, false] {
        let gateway = Gateway::new();
        let first = gateway.open("ana");
        let handle = first.handle();
        let second = gateway.find("ana", &handle).unwrap();
        gateway.clock.advance(LIFETIME - SECOND);
        assert!(gateway.is_found("ana", &handle));
        gateway.clock.advance(SECOND);
        assert!(!gateway.is_found("ana", &handle), "at once");
        if swept {
            assert_eq!((gateway.registry.sweep(), gateway.registry.sweep()), (0, 0));
        }
        drop(first);
        assert!(!second.is_closed(), "a call is in flight");
        assert_eq!(gateway.registry.len(), 1, "and it counts");
        let session = second.clone();
        drop(second);
        assert!(session.is_closed());
        assert_eq!(gateway.registry.len(), 0);
    }
}

#[test]
fn session_past_lifetime_ends_with_last_call_without_sweep() {
    let gateway = Gateway::new();
    let in_use = gateway.open("ana");
    let session = in_use.clone();
    gateway.clock.advance(LIFETIME);
    drop(in_use);
    assert!(session.is_closed());
    assert_eq!(gateway.registry.len(), 0);
}

#[test]
fn however_much_it_is_used_a_session_ends_with_its_lifetime() {
    let gateway = Gateway::new();
    let (handle, session) = gateway.idle("ana");
    for _ in 0..35 {
        gateway.clock.advance(20 * MINUTE);
        gateway.touch("ana", &handle);
    }
    gateway.clock.advance(20 * MINUTE);
    assert_eq!(gateway.registry.sweep(), 1);
    assert!(session.is_closed());
}

#[test]
fn without_any_idle_time_a_session_ends_with_its_last_call() {
    let gateway = Gateway::with(|registry| registry.idle_ttl(Duration::ZERO));
    let in_use = gateway.open("ana");
    assert_eq!(gateway.registry.sweep(), 0);
    let again = gateway.find("ana", &in_use.handle()).unwrap();
    let session = in_use.clone();
    let handle = in_use.handle();
    drop((in_use, again));
    assert!(!gateway.is_found("ana", &handle));
    assert!(session.is_closed());
}

#[test]
fn without_limits_of_time_a_session_stays() {
    let gateway = Gateway::with(|registry| registry.idle_ttl(Duration::MAX).max_lifetime(Duration::MAX));
    let (handle, _) = gateway.idle("ana");
    gateway.clock.advance(100 * 365 * 24 * HOUR);
    assert_eq!(gateway.registry.sweep(), 0);
    assert!(gateway.is_found("ana", &handle));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_kept_swept_closes_what_comes_due() {
    let gateway = Gateway::with(|registry| registry.idle_ttl(5 * SECOND));
    let sweeper = tokio::spawn(gateway.registry.keep_swept());
    let (_, session) = gateway.idle("ana");
    for _ in 0..4 {
        sleep(SECOND).await;
        gateway.clock.advance(SECOND);
        assert!(!session.is_closed());
    }
    gateway.clock.advance(SECOND);
    sleep(6 * SECOND).await;
    assert!(session.is_closed());
    sweeper.abort();
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_swept_in_slices_without_a_second_between_them() {
    let gateway = Gateway::new();
    let sessions: Vec<_> = (0..2000).map(|n| gateway.idle(&format!("p{n}")).1).collect();
    let open = || sessions.iter().filter(|session| !session.is_closed()).count();
    gateway.clock.advance(IDLE);
    let sweeper = tokio::spawn(gateway.registry.keep_swept());
    settle().await;
    assert!((1000..2000).contains(&open()), "other tasks run between two chunks");
    sleep(Duration::from_millis(100)).await;
    assert_eq!((open(), gateway.registry.len()), (0, 0));
    sweeper.abort();
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_suspended_is_noticed_within_half_a_minute() {
    let gateway = Gateway::new();
    let (_, session) = gateway.idle("ana");
    let sweeper = tokio::spawn(gateway.registry.keep_swept());
    settle().await;
    gateway.clock.advance(IDLE);
    sleep(31 * SECOND).await;
    assert!(session.is_closed());
    sweeper.abort();
}

#[tokio::test(start_paused = true)]
async fn a_sweeper_keeps_nothing_alive_and_ends_with_the_registry() {
    let gateway = Gateway::new();
    let (_, session) = gateway.idle("ana");
    let sweeper = tokio::spawn(gateway.registry.keep_swept());
    let never_polled = gateway.registry.keep_swept();
    settle().await;
    drop(gateway.registry);
    assert!(session.is_closed());
    settle().await;
    assert!(sweeper.is_finished(), "at once, not when it wakes");
    never_polled.await;
}

/// Counts how often it is read.
#[derive(Debug, Clone, Default)]
struct Counting(ManualClock, Arc<AtomicUsize>);

impl Clock for Counting {
    fn now(&self) -> SystemTime {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.now()
    }
}

impl Counting {
    /// How often the clock is read while `work` is done.
    fn during<T>(&self, work: impl FnOnce() -> T) -> (usize, T) {
        let before = self.1.load(Ordering::SeqCst);
        let done = work();
        (self.1.load(Ordering::SeqCst) - before, done)
    }
}

#[test]
fn finding_reads_the_clock_once_and_ending_a_call_once() {
    let clock = Counting::default();
    let registry = SessionRegistry::builder().clock(Arc::new(clock.clone())).build();
    let handle = registry.open(principal("ana"), SessionContext::builder()).unwrap().handle();
    let (reads, found) = clock.during(|| registry.find(&principal("ana"), &handle).unwrap());
    assert_eq!(reads, 1);
    assert_eq!(clock.during(|| drop(found)).0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_sweeper_sleeps_while_nothing_is_due() {
    let clock = Counting::default();
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
