//! Which sets continue each other, and following an account to wherever it is answered.

use futures_util::FutureExt;
use valetkey_core::{AccountName, CredentialsVersion, Expiry, RotationWatcher, SessionContext};

use crate::session_fixture::*;

fn prod() -> AccountName {
    "prod".parse().unwrap()
}

fn current_version(session: &SessionContext) -> CredentialsVersion {
    session.account(session.default_account()).unwrap().current().unwrap().id
}

/// A parent that holds set 1 in `prod`, and a child that inherits it.
fn parent_and_child() -> (SessionContext, SessionContext) {
    let parent = SessionContext::builder().build();
    parent.for_account(&prod()).set_credentials(numbered(1, Expiry::Never)).unwrap();
    let child = parent.with_credentials(numbered(2, Expiry::Never)).unwrap();
    (parent, child)
}

fn has_changed(rotations: &mut RotationWatcher) -> bool {
    rotations.changed().now_or_never().is_some_and(|generation| generation.is_some())
}

fn has_ended(rotations: &mut RotationWatcher) -> bool {
    rotations.changed().now_or_never().is_some_and(|generation| generation.is_none())
}

#[tokio::test]
async fn is_renewal_of_holds_only_after_refresh() {
    let fixture =
        SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR), returns(clock, 3, HOUR)])
            .await;
    let account = fixture.session.default_account().clone();
    let first = current_version(&fixture.session);
    fixture.session.for_account(&account).refresh().await.unwrap();
    let second = current_version(&fixture.session);
    assert!(second.is_renewal_of(first) && !first.is_renewal_of(second) && !first.is_renewal_of(first));
    fixture
        .session
        .for_account(&account)
        .mark_rejected(fixture.session.credentials().await.unwrap().access_key_id());
    fixture.session.for_account(&account).refresh().await.unwrap();
    assert!(
        !current_version(&fixture.session).is_renewal_of(second),
        "new credentials do not renew rejected ones"
    );
    for n in [4, 5] {
        let before = current_version(&fixture.session);
        fixture.session.set_credentials(numbered(n, Expiry::Never)).unwrap();
        assert!(
            !current_version(&fixture.session).is_renewal_of(before),
            "manually set credentials renew no earlier ones"
        );
    }
}

#[tokio::test]
async fn credentials_versions_of_parent_and_child_differ() {
    let (parent, child) = parent_and_child();
    let inherited = child.account(&prod()).unwrap().current().unwrap().id;
    assert_eq!(inherited, parent.account(&prod()).unwrap().current().unwrap().id);
    child.for_account(&prod()).set_credentials(numbered(3, Expiry::Never)).unwrap();
    let own = child.account(&prod()).unwrap().current().unwrap().id;
    assert_ne!(own, inherited);
    assert!(!own.is_renewal_of(inherited));
}

#[tokio::test]
async fn rotation_watcher_inherited_follows_override() {
    let (parent, child) = parent_and_child();
    let mut rotations = child.for_account(&prod()).watch_rotations().unwrap();
    assert!(!has_changed(&mut rotations));
    parent.for_account(&prod()).set_credentials(numbered(3, Expiry::Never)).unwrap();
    assert!(has_changed(&mut rotations), "the parent's new credentials");
    child.for_account(&prod()).set_credentials(numbered(4, Expiry::Never)).unwrap();
    assert!(has_changed(&mut rotations), "the child's own credentials");
    while has_changed(&mut rotations) {}
    parent.for_account(&prod()).set_credentials(numbered(5, Expiry::Never)).unwrap();
    assert!(!has_changed(&mut rotations), "the account of the parent is no longer inherited");
}

#[tokio::test]
async fn rotation_watcher_inherited_reports_clear_and_close() {
    let (_parent, child) = parent_and_child();
    let (mut cleared, mut closed) = (
        child.for_account(&prod()).watch_rotations().unwrap(),
        child.for_account(&prod()).watch_rotations().unwrap(),
    );
    child.clear();
    assert!(has_changed(&mut cleared));
    assert!(child.account(&prod()).is_err(), "a cleared child inherits nothing");
    child.close();
    assert!(has_ended(&mut cleared) && has_ended(&mut closed) && has_ended(&mut closed));
}

#[tokio::test]
async fn child_derived_from_parent_refetches_when_parent_changes() {
    let parent = SessionContext::builder().build();
    parent.set_credentials(numbered(1, Expiry::Never)).unwrap();
    let child = parent.with_provider(parent.account(parent.default_account()).unwrap()).unwrap();
    assert_eq!(number(&child.credentials().await.unwrap()), 1);
    parent.set_credentials(numbered(2, Expiry::Never)).unwrap();
    assert_eq!(number(&child.credentials().await.unwrap()), 2);
}

#[test]
fn generation_is_displayed_as_its_number() {
    let session = SessionContext::builder().build();
    let generation = session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    assert_eq!(generation.to_string(), "1");
}
