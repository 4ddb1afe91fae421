//! Clocks that jump: nothing lives for ever for it, and nothing ends that is used.

use super::*;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[test]
fn clock_rewind_does_not_prolong_idle_time_or_lifetime() {
    let fixture = RegistryFixture::new();
    let (_, session) = fixture.idle("ana");
    fixture.clock.advance(10 * MINUTE);
    fixture.registry.sweep();
    fixture.clock.rewind(10 * YEAR);
    assert_eq!(fixture.registry.sweep(), 0);
    fixture.clock.advance(IDLE - 10 * MINUTE - SECOND);
    assert_eq!(fixture.registry.sweep(), 0);
    fixture.clock.advance(SECOND);
    assert_eq!(fixture.registry.sweep(), 1, "its idle time went on where it was");
    assert!(session.is_closed());
}

#[test]
fn clock_rewound_repeatedly_does_not_prolong_lifetime() {
    let fixture = RegistryFixture::new();
    let (handle, _session) = fixture.idle("ana");
    for _ in 0..36 {
        assert!(fixture.is_found("ana", &handle));
        fixture.clock.advance(20 * MINUTE);
        fixture.registry.sweep();
        fixture.clock.rewind(HOUR);
    }
    assert!(!fixture.is_found("ana", &handle), "twelve hours have passed");
}

#[test]
fn clock_rewind_closes_no_session() {
    let fixture = RegistryFixture::new();
    let in_use = fixture.open("ana");
    let (idle, _) = fixture.idle("ana");
    fixture.clock.rewind(YEAR);
    assert_eq!(fixture.registry.sweep(), 0);
    assert!(fixture.is_found("ana", &idle) && fixture.is_found("ana", &in_use.handle()));
    drop(in_use);
    fixture.clock.rewind(YEAR);
    assert_eq!(fixture.registry.sweep(), 0);
    fixture.clock.advance(IDLE - SECOND);
    assert_eq!(fixture.registry.sweep(), 0);
    assert!(fixture.is_found("ana", &idle));
}

#[test]
fn clock_jump_forward_closes_idle_but_not_used_sessions() {
    let fixture = RegistryFixture::new();
    let in_use = fixture.open("ana");
    let (_, idle) = fixture.idle("ana");
    fixture.clock.advance(YEAR);
    assert_eq!(fixture.registry.sweep(), 1);
    assert!(idle.is_closed() && !in_use.is_closed());
}

#[test]
fn clock_rewind_keeps_order_of_use() {
    let fixture = RegistryFixture::with(|registry| registry.max_sessions_per_principal(2));
    let (_, before) = fixture.idle("ana");
    fixture.clock.advance(2 * SECOND);
    fixture.registry.sweep();
    fixture.clock.rewind(HOUR);
    let (_, after) = fixture.idle("ana");
    fixture.open("ana").close();
    assert!(before.is_closed() && !after.is_closed());
}

/// A session that was over while it was in use, and whose last call then saw time left. A call may read the time just
/// before another notices that the lifetime has passed, or the clock may go back a little meanwhile, which goes unnoticed.
fn overlooked(fixture: &RegistryFixture) -> SessionContext {
    let (in_use, millis) = (fixture.open("ana"), Duration::from_millis);
    fixture.clock.advance(LIFETIME - millis(500));
    assert_eq!(fixture.registry.sweep(), 0);
    fixture.clock.advance(millis(600));
    assert_eq!(fixture.registry.sweep(), 0, "over, and in use");
    fixture.clock.rewind(millis(300));
    let session = in_use.clone();
    drop(in_use);
    assert!(!session.is_closed(), "by that clock it had time left");
    session
}

#[test]
fn session_overlooked_by_last_call_is_closed_by_later_sweep() {
    for (idle_ttl, later) in [(IDLE, IDLE + SECOND), (Duration::MAX, LIFETIME + SECOND)] {
        let fixture = RegistryFixture::with(|registry| registry.idle_ttl(idle_ttl));
        let session = overlooked(&fixture);
        fixture.clock.advance(later);
        assert_eq!(fixture.registry.sweep(), 1);
        assert!(session.is_closed() && fixture.registry.is_empty());
    }
}

#[test]
fn sweep_at_latest_time_terminates() {
    let fixture = RegistryFixture::with(|registry| registry.max_sessions(1));
    let in_use = fixture.open("ana");
    fixture.clock.advance(Duration::from_secs(600 * 366 * 24 * 60 * 60));
    assert_eq!(fixture.registry.sweep(), 0);
    assert!(fixture.try_open("ben").is_err());
    drop(in_use);
    drop(fixture.open("ben"));
}
