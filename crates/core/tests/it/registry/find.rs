//! Finding: a session is found only by its principal, and only with its handle.

use valetkey_core::{ErrorKind, Expiry};

use super::*;

#[tokio::test]
async fn find_with_principal_and_handle_returns_session() {
    let fixture = RegistryFixture::new();
    let opened = fixture.open("ana");
    opened.set_credentials(numbered(1, Expiry::Never)).unwrap();
    let handle = opened.handle();
    drop(opened);
    let found = fixture.find("ana", &handle).unwrap();
    assert_eq!(number(&found.credentials().await.unwrap()), 1);
    assert_eq!(found.handle(), handle);
}

#[test]
fn open_with_other_principal_in_builder_ignores_it() {
    let fixture = RegistryFixture::new();
    let builder = fixture.builder().principal(principal("mallory"));
    let opened = fixture.registry.open(principal("ana"), builder).unwrap();
    assert_eq!(opened.principal(), Some(&principal("ana")));
    assert!(fixture.is_found("ana", &opened.handle()));
    assert!(!fixture.is_found("mallory", &opened.handle()));
}

#[test]
fn find_refused_has_same_error_for_every_cause() {
    let fixture = RegistryFixture::new();
    let elsewhere = RegistryFixture::new().open("ana").handle();
    let (closed, _) = fixture.idle("ana");
    assert!(fixture.registry.close(&principal("ana"), &closed).is_some());
    let (closed_itself, context) = fixture.idle("ana");
    context.close();
    let old = fixture.open("ana");
    fixture.clock.advance(LIFETIME - IDLE);
    let (idle, _) = fixture.idle("ana");
    fixture.clock.advance(IDLE);
    let theirs = fixture.open("ben");

    let unknown = fixture.find("ana", &elsewhere).unwrap_err();
    let refused = [theirs.handle(), closed, closed_itself, idle, old.handle(), elsewhere];
    for (index, handle) in refused.iter().enumerate() {
        let error = fixture.find("ana", handle).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{index}: a chain must not go on to the next provider");
        assert_eq!(error.next_step(), Some("open a new session"), "{index}");
        assert_eq!(format!("{error} {error:?}"), format!("{unknown} {unknown:?}"), "{index}");
    }
    assert!(!old.is_closed());
}

#[test]
fn find_by_other_principal_does_not_change_session() {
    let fixture = RegistryFixture::new();
    let (handle, session) = fixture.idle("ana");
    fixture.clock.advance(IDLE - MINUTE);
    assert!(!fixture.is_found("ben", &handle));
    assert!(fixture.registry.close(&principal("ben"), &handle).is_none());
    assert_eq!(fixture.registry.close_all(&principal("ben")), 0);
    fixture.clock.advance(MINUTE);
    assert!(!fixture.is_found("ben", &handle));
    assert!(!session.is_closed(), "left to the sweep, or to its principal");
    assert!(!fixture.is_found("ana", &handle), "not prolonged");
    assert!(session.is_closed());
}

#[test]
fn find_failed_does_not_prolong_idle_time() {
    let fixture = RegistryFixture::new();
    let (handle, _session) = fixture.idle("ana");
    fixture.clock.advance(IDLE);
    assert!(!fixture.is_found("ana", &handle));
    assert!(!fixture.is_found("ana", &handle));
    assert_eq!(fixture.registry.len(), 0);
}

#[test]
fn find_in_other_registry_is_refused() {
    let (one, other) = (RegistryFixture::new(), RegistryFixture::new());
    let opened = one.open("ana");
    assert!(!other.is_found("ana", &opened.handle()));
    drop(other);
    assert!(!opened.is_closed());
}
