//! Finding: a session is found only by its principal, and only with its handle.

use valetkey_core::{ErrorKind, Expiry};

use super::*;

#[tokio::test]
async fn a_session_is_found_by_its_principal_with_its_handle() {
    let gateway = Gateway::new();
    let opened = gateway.open("ana");
    opened.set_credentials(numbered(1, Expiry::Never)).unwrap();
    let handle = opened.handle();
    drop(opened);
    let found = gateway.find("ana", &handle).unwrap();
    assert_eq!(number(&found.credentials().await.unwrap()), 1);
    assert_eq!(found.handle(), handle);
}

#[test]
fn open_with_other_principal_in_builder_ignores_it() {
    let gateway = Gateway::new();
    let builder = gateway.builder().principal(principal("mallory"));
    let opened = gateway.registry.open(principal("ana"), builder).unwrap();
    assert_eq!(opened.principal(), Some(&principal("ana")));
    assert!(gateway.is_found("ana", &opened.handle()));
    assert!(!gateway.is_found("mallory", &opened.handle()));
}

#[test]
fn every_refusal_to_find_reads_the_same() {
    let gateway = Gateway::new();
    let elsewhere = Gateway::new().open("ana").handle();
    let (closed, _) = gateway.idle("ana");
    assert!(gateway.registry.close(&principal("ana"), &closed).is_some());
    let (closed_itself, context) = gateway.idle("ana");
    context.close();
    let old = gateway.open("ana");
    gateway.clock.advance(LIFETIME - IDLE);
    let (idle, _) = gateway.idle("ana");
    gateway.clock.advance(IDLE);
    let theirs = gateway.open("ben");

    let unknown = gateway.find("ana", &elsewhere).unwrap_err();
    let refused = [theirs.handle(), closed, closed_itself, idle, old.handle(), elsewhere];
    for (index, handle) in refused.iter().enumerate() {
        let error = gateway.find("ana", handle).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{index}: a chain must not go on to the next provider");
        assert_eq!(error.next_step(), Some("open a new session"), "{index}");
        assert_eq!(format!("{error} {error:?}"), format!("{unknown} {unknown:?}"), "{index}");
    }
    assert!(!old.is_closed());
}

#[test]
fn who_is_not_the_principal_neither_prolongs_nor_ends_a_session() {
    let gateway = Gateway::new();
    let (handle, session) = gateway.idle("ana");
    gateway.clock.advance(IDLE - MINUTE);
    assert!(!gateway.is_found("ben", &handle));
    assert!(gateway.registry.close(&principal("ben"), &handle).is_none());
    assert_eq!(gateway.registry.close_all(&principal("ben")), 0);
    gateway.clock.advance(MINUTE);
    assert!(!gateway.is_found("ben", &handle));
    assert!(!session.is_closed(), "left to the sweep, or to its principal");
    assert!(!gateway.is_found("ana", &handle), "not prolonged");
    assert!(session.is_closed());
}

#[test]
fn a_failed_find_does_not_revive_a_session() {
    let gateway = Gateway::new();
    let (handle, _session) = gateway.idle("ana");
    gateway.clock.advance(IDLE);
    assert!(!gateway.is_found("ana", &handle));
    assert!(!gateway.is_found("ana", &handle));
    assert_eq!(gateway.registry.len(), 0);
}

#[test]
fn two_registries_do_not_see_each_other() {
    let (one, other) = (Gateway::new(), Gateway::new());
    let opened = one.open("ana");
    assert!(!other.is_found("ana", &opened.handle()));
    drop(other);
    assert!(!opened.is_closed());
}
