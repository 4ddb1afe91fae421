//! Clocks that jump: nothing lives for ever for it, and nothing ends that is used.

use super::*;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[test]
fn a_clock_that_jumps_back_makes_no_session_immortal() {
    let gateway = Gateway::new();
    let (_, session) = gateway.idle("ana");
    gateway.clock.advance(10 * MINUTE);
    gateway.registry.sweep();
    gateway.clock.rewind(10 * YEAR);
    assert_eq!(gateway.registry.sweep(), 0);
    gateway.clock.advance(IDLE - 10 * MINUTE - SECOND);
    assert_eq!(gateway.registry.sweep(), 0);
    gateway.clock.advance(SECOND);
    assert_eq!(gateway.registry.sweep(), 1, "its idle time went on where it was");
    assert!(session.is_closed());
}

#[test]
fn a_clock_that_keeps_jumping_back_does_not_prolong_a_lifetime() {
    let gateway = Gateway::new();
    let (handle, _session) = gateway.idle("ana");
    for _ in 0..36 {
        assert!(gateway.is_found("ana", &handle));
        gateway.clock.advance(20 * MINUTE);
        gateway.registry.sweep();
        gateway.clock.rewind(HOUR);
    }
    assert!(!gateway.is_found("ana", &handle), "twelve hours have passed");
}

#[test]
fn a_clock_that_jumps_back_ends_nothing() {
    let gateway = Gateway::new();
    let in_use = gateway.open("ana");
    let (idle, _) = gateway.idle("ana");
    gateway.clock.rewind(YEAR);
    assert_eq!(gateway.registry.sweep(), 0);
    assert!(gateway.is_found("ana", &idle) && gateway.is_found("ana", &in_use.handle()));
    drop(in_use);
    gateway.clock.rewind(YEAR);
    assert_eq!(gateway.registry.sweep(), 0);
    gateway.clock.advance(IDLE - SECOND);
    assert_eq!(gateway.registry.sweep(), 0);
    assert!(gateway.is_found("ana", &idle));
}

#[test]
fn clock_jump_forward_closes_idle_but_not_used_sessions() {
    let gateway = Gateway::new();
    let in_use = gateway.open("ana");
    let (_, idle) = gateway.idle("ana");
    gateway.clock.advance(YEAR);
    assert_eq!(gateway.registry.sweep(), 1);
    assert!(idle.is_closed() && !in_use.is_closed());
}

#[test]
fn clock_rewind_keeps_order_of_use() {
    let gateway = Gateway::with(|registry| registry.max_sessions_per_principal(2));
    let (_, before) = gateway.idle("ana");
    gateway.clock.advance(2 * SECOND);
    gateway.registry.sweep();
    gateway.clock.rewind(HOUR);
    let (_, after) = gateway.idle("ana");
    gateway.open("ana").close();
    assert!(before.is_closed() && !after.is_closed());
}

/// A session that was over while it was in use, and whose last call then saw time left. A call may read the time just
/// before another notices that the lifetime has passed, or the clock may go back a little meanwhile, which goes unnoticed.
fn overlooked(gateway: &Gateway) -> SessionContext {
    let (in_use, millis) = (gateway.open("ana"), Duration::from_millis);
    gateway.clock.advance(LIFETIME - millis(500));
    assert_eq!(gateway.registry.sweep(), 0);
    gateway.clock.advance(millis(600));
    assert_eq!(gateway.registry.sweep(), 0, "over, and in use");
    gateway.clock.rewind(millis(300));
    let session = in_use.clone();
    drop(in_use);
    assert!(!session.is_closed(), "by that clock it had time left");
    session
}

#[test]
fn session_overlooked_by_last_call_is_closed_by_later_sweep() {
    for (idle_ttl, later) in [(IDLE, IDLE + SECOND), (Duration::MAX, LIFETIME + SECOND)] {
        let gateway = Gateway::with(|registry| registry.idle_ttl(idle_ttl));
        let session = overlooked(&gateway);
        gateway.clock.advance(later);
        assert_eq!(gateway.registry.sweep(), 1);
        assert!(session.is_closed() && gateway.registry.is_empty());
    }
}

#[test]
fn a_sweep_at_the_end_of_time_ends() {
    let gateway = Gateway::with(|registry| registry.max_sessions(1));
    let in_use = gateway.open("ana");
    gateway.clock.advance(Duration::from_secs(600 * 366 * 24 * 60 * 60));
    assert_eq!(gateway.registry.sweep(), 0);
    assert!(gateway.try_open("ben").is_err());
    drop(in_use);
    drop(gateway.open("ben"));
}
