//! Caps: how many sessions there may be, and which session makes way for a new one.

use valetkey_core::ErrorKind;

use super::*;

#[test]
fn the_least_recently_used_session_of_the_principal_makes_way() {
    let gateway = Gateway::with(|registry| registry.max_sessions_per_principal(2));
    let (first, first_session) = gateway.idle("ana");
    gateway.clock.advance(SECOND);
    let (second, second_session) = gateway.idle("ana");
    gateway.clock.advance(SECOND);
    gateway.touch("ana", &first);
    let opened = gateway.open("ana");
    assert!(second_session.is_closed() && !gateway.is_found("ana", &second));
    assert!(!first_session.is_closed() && !opened.is_closed());
    assert_eq!(gateway.registry.len(), 2);
}

#[test]
fn a_session_in_use_never_makes_way() {
    let gateway = Gateway::with(|registry| registry.max_sessions_per_principal(2));
    let in_use = gateway.open("ana");
    gateway.clock.advance(SECOND);
    let (_, idle) = gateway.idle("ana");
    let newest = gateway.open("ana");
    assert!(!in_use.is_closed() && idle.is_closed());

    let refused = gateway.try_open("ana").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Throttled);
    assert!(refused.next_step().unwrap().contains("close one of them"));
    assert!(!in_use.is_closed() && !newest.is_closed());
    assert_eq!(gateway.registry.len(), 2);
    assert!(gateway.try_open("ben").is_ok(), "others are not concerned");

    drop(in_use);
    assert!(gateway.try_open("ana").is_ok(), "there is room again");
}

#[test]
fn open_at_capacity_closes_due_session_of_any_principal() {
    let gateway = Gateway::with(|registry| registry.max_sessions(3));
    let (_, due) = gateway.idle("ben");
    let in_use = gateway.open("ben");
    gateway.clock.advance(IDLE);
    let (_, mine) = gateway.idle("ana");
    assert!(gateway.try_open("ana").is_ok());
    assert!(due.is_closed());
    assert!(!in_use.is_closed() && !mine.is_closed());
}

#[test]
fn at_the_capacity_one_principal_never_pushes_out_another() {
    let gateway = Gateway::with(|registry| registry.max_sessions(3));
    let (oldest, theirs) = gateway.idle("ben");
    gateway.clock.advance(SECOND);
    let (_, mine) = gateway.idle("ana");
    gateway.clock.advance(SECOND);
    let in_use = gateway.open("ana");

    let opened = gateway.open("ana");
    assert!(mine.is_closed() && !theirs.is_closed());
    for name in ["ana", "cora"] {
        let refused = gateway.try_open(name).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Throttled);
        assert!(refused.next_step().unwrap().contains("capacity"));
    }
    assert!(!theirs.is_closed() && !in_use.is_closed() && !opened.is_closed());
    assert!(gateway.is_found("ben", &oldest));
    assert_eq!(gateway.registry.len(), 3);
}

#[test]
fn what_is_over_makes_way_before_what_is_not() {
    let gateway = Gateway::with(|registry| registry.max_sessions_per_principal(3));
    let (_, old) = gateway.idle("ana");
    gateway.clock.advance(IDLE - SECOND);
    let (_, oldest_of_the_others) = gateway.idle("ana");
    let (_, closed) = gateway.idle("ana");
    closed.close();
    gateway.clock.advance(SECOND);
    let (_, new) = gateway.idle("ana");
    assert!(old.is_closed());
    assert!(!oldest_of_the_others.is_closed() && !new.is_closed());
    assert_eq!(gateway.registry.len(), 2, "both that were over are gone");
}

#[test]
fn a_session_that_closed_itself_does_not_count_for_ever() {
    let gateway = Gateway::with(|registry| registry.max_sessions_per_principal(1).max_sessions(2));
    let in_call = gateway.open("ana");
    in_call.close();
    let (_, closed) = gateway.idle("ana");
    closed.close();
    assert!(gateway.try_open("ana").is_ok(), "its principal has its place");
    let (_, closed) = gateway.idle("ben");
    closed.close();
    gateway.clock.advance(IDLE);
    assert!(gateway.try_open("cora").is_ok(), "others have it when its idle time is up");
}

#[test]
fn a_registry_without_room_refuses_everybody() {
    for (per_principal, capacity) in [(0, 9), (9, 0)] {
        let gateway = Gateway::with(|registry| {
            registry.max_sessions_per_principal(per_principal).max_sessions(capacity)
        });
        assert_eq!(gateway.try_open("ana").unwrap_err().kind(), ErrorKind::Throttled);
        assert!(gateway.registry.is_empty());
    }
}

#[test]
fn places_are_kept_in_order_whichever_session_ends() {
    let gateway = Gateway::with(|registry| registry.max_sessions_per_principal(8));
    for ends in 0..8 {
        let handles: Vec<_> = (0..8).map(|_| gateway.idle("ana").0).collect();
        assert!(gateway.registry.close(&principal("ana"), &handles[ends]).is_some());
        assert!(gateway.registry.close(&principal("ana"), &handles[(ends + 3) % 8]).is_some());
        assert_eq!(gateway.registry.close_all(&principal("ana")), 6);
        assert!(gateway.registry.is_empty());
    }
}
