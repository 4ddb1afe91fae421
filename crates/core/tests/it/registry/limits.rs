//! Caps: how many sessions there may be, and which session makes way for a new one.

use valetkey_core::ErrorKind;

use super::*;

#[test]
fn open_at_limit_displaces_least_recently_used() {
    let fixture = RegistryFixture::with(|registry| registry.max_sessions_per_principal(2));
    let (first, first_session) = fixture.idle("ana");
    fixture.clock.advance(SECOND);
    let (second, second_session) = fixture.idle("ana");
    fixture.clock.advance(SECOND);
    fixture.touch("ana", &first);
    let opened = fixture.open("ana");
    assert!(second_session.is_closed() && !fixture.is_found("ana", &second));
    assert!(!first_session.is_closed() && !opened.is_closed());
    assert_eq!(fixture.registry.len(), 2);
}

#[test]
fn open_at_limit_never_displaces_session_in_use() {
    let fixture = RegistryFixture::with(|registry| registry.max_sessions_per_principal(2));
    let in_use = fixture.open("ana");
    fixture.clock.advance(SECOND);
    let (_, idle) = fixture.idle("ana");
    let newest = fixture.open("ana");
    assert!(!in_use.is_closed() && idle.is_closed());

    let refused = fixture.try_open("ana").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Throttled);
    assert!(refused.next_step().unwrap().contains("close one of them"));
    assert!(!in_use.is_closed() && !newest.is_closed());
    assert_eq!(fixture.registry.len(), 2);
    assert!(fixture.try_open("ben").is_ok(), "others are not concerned");

    drop(in_use);
    assert!(fixture.try_open("ana").is_ok(), "there is room again");
}

#[test]
fn open_at_capacity_closes_due_session_of_any_principal() {
    let fixture = RegistryFixture::with(|registry| registry.max_sessions(3));
    let (_, due) = fixture.idle("ben");
    let in_use = fixture.open("ben");
    fixture.clock.advance(IDLE - SECOND);
    let (_, mine) = fixture.idle("ana");
    assert_eq!(fixture.registry.sweep(), 0, "so no sweep is due at the next open");
    fixture.clock.advance(SECOND);
    assert!(fixture.try_open("ana").is_ok());
    assert!(due.is_closed());
    assert!(!in_use.is_closed() && !mine.is_closed());
}

#[test]
fn open_at_capacity_never_displaces_other_principal() {
    let fixture = RegistryFixture::with(|registry| registry.max_sessions(3));
    let (oldest, theirs) = fixture.idle("ben");
    fixture.clock.advance(SECOND);
    let (_, mine) = fixture.idle("ana");
    fixture.clock.advance(SECOND);
    let in_use = fixture.open("ana");

    let opened = fixture.open("ana");
    assert!(mine.is_closed() && !theirs.is_closed());
    for name in ["ana", "cora"] {
        let refused = fixture.try_open(name).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Throttled);
        assert!(refused.next_step().unwrap().contains("capacity"));
    }
    assert!(!theirs.is_closed() && !in_use.is_closed() && !opened.is_closed());
    assert!(fixture.is_found("ben", &oldest));
    assert_eq!(fixture.registry.len(), 3);
}

#[test]
fn open_at_limit_closes_ended_before_idle_sessions() {
    let fixture = RegistryFixture::with(|registry| registry.max_sessions_per_principal(3));
    let (_, old) = fixture.idle("ana");
    fixture.clock.advance(IDLE - SECOND);
    let (_, oldest_of_the_others) = fixture.idle("ana");
    let (_, closed) = fixture.idle("ana");
    closed.close();
    fixture.clock.advance(SECOND);
    let (_, new) = fixture.idle("ana");
    assert!(old.is_closed());
    assert!(!oldest_of_the_others.is_closed() && !new.is_closed());
    assert_eq!(fixture.registry.len(), 2, "both that were over are gone");
}

#[test]
fn open_at_limit_replaces_session_that_closed_itself() {
    let fixture = RegistryFixture::with(|registry| registry.max_sessions_per_principal(1).max_sessions(2));
    let in_call = fixture.open("ana");
    in_call.close();
    let (_, closed) = fixture.idle("ana");
    closed.close();
    assert!(fixture.try_open("ana").is_ok(), "its principal has its place");
    let (_, closed) = fixture.idle("ben");
    closed.close();
    fixture.clock.advance(IDLE);
    assert!(fixture.try_open("cora").is_ok(), "others have it when its idle time is up");
}

#[test]
fn open_with_limit_of_zero_is_throttled() {
    for (per_principal, capacity) in [(0, 9), (9, 0)] {
        let fixture = RegistryFixture::with(|registry| {
            registry.max_sessions_per_principal(per_principal).max_sessions(capacity)
        });
        assert_eq!(fixture.try_open("ana").unwrap_err().kind(), ErrorKind::Throttled);
        assert!(fixture.registry.is_empty());
    }
}

#[test]
fn registry_close_in_any_order_removes_every_session() {
    let fixture = RegistryFixture::with(|registry| registry.max_sessions_per_principal(8));
    for ends in 0..8 {
        let handles: Vec<_> = (0..8).map(|_| fixture.idle("ana").0).collect();
        assert!(fixture.registry.close(&principal("ana"), &handles[ends]).is_some());
        assert!(fixture.registry.close(&principal("ana"), &handles[(ends + 3) % 8]).is_some());
        assert_eq!(fixture.registry.close_all(&principal("ana")), 6);
        assert!(fixture.registry.is_empty());
    }
}
