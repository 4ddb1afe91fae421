//! With a policy: sets of one's own, and never one of the parent's.

use valetkey_core::testing::{ManualClock, ScriptedProvider};
use valetkey_core::{ErrorKind, Expiry, Outstanding, Region, Scope, SessionContext};

use super::role::Role;
use super::{alias, allowing, of, reading};
use crate::bench::*;

#[tokio::test]
async fn each_account_is_narrowed_and_the_parent_is_not() {
    let (default, prod) = (Role::new(100), Role::new(200));
    let session = SessionContext::builder()
        .provider(default.clone())
        .provider_for(alias("prod"), prod.clone())
        .region_for(alias("prod"), Region::us_east_1())
        .build();
    assert_eq!(of(&session, "default").await.unwrap(), 100);
    let child = session.narrow(Scope::new().policy(reading())).unwrap();
    assert!(child.served().is_none(), "the parent's set never reaches it");
    assert_eq!((default.issued().len(), prod.issued().len()), (1, 0), "nobody is asked before it is used");
    assert_eq!((of(&child, "default").await.unwrap(), of(&child, "prod").await.unwrap()), (101, 200));
    assert_eq!(default.issued(), [None, Some(reading())]);
    assert_eq!(prod.issued(), [Some(reading())]);
    assert_eq!(of(&child, "default").await.unwrap(), 101, "it is its own cache");
    assert_eq!(of(&session, "default").await.unwrap(), 100);
    assert_eq!(child.region_for(&alias("prod")), Some(Region::us_east_1()));
    child.refresh(&alias("default")).await.unwrap();
    assert_eq!((of(&child, "default").await.unwrap(), of(&session, "default").await.unwrap()), (102, 100));
}

#[tokio::test]
async fn what_was_set_by_hand_is_not_narrowed_even_if_a_provider_is_there() {
    let role = Role::new(100);
    let session =
        SessionContext::builder().provider(role.clone()).provider_for(alias("prod"), Role::new(200)).build();
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    let error = session.narrow(Scope::new().policy(reading())).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("policy")), "{error}");
    assert!(error.message().contains("`default`") && error.message().contains("by hand"), "{error}");
    assert!(error.next_step().unwrap().contains("role"), "{error}");
    let child = session.narrow(Scope::new().policy(reading()).accounts([alias("prod")])).unwrap();
    assert_eq!(of(&child, "prod").await.unwrap(), 200);
    assert!(role.issued().is_empty(), "the provider may be somebody else's");
}

#[tokio::test]
async fn an_account_that_cannot_be_narrowed_is_named() {
    let session = SessionContext::builder()
        .provider(Role::new(100))
        .provider_for(alias("keys"), ScriptedProvider::new([]))
        .provider_for(alias("logs"), Role::within(allowing(r#""logs:*""#)))
        .build();
    let narrow = |account: &str| {
        session
            .narrow(Scope::new().policy(reading()).accounts([alias("default"), alias(account)]))
            .unwrap_err()
    };
    let error = narrow("keys");
    assert!(error.message().contains("`keys`") && error.provider() == Some("scripted"), "{error}");
    let error = narrow("logs");
    assert!(error.message().contains("`logs`") && error.message().contains("nothing"), "{error}");

    let empty = SessionContext::builder().build();
    let error = empty.narrow(Scope::new().policy(reading())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConfigured, "{error}");
}

#[tokio::test]
async fn what_is_replaced_in_the_parent_is_replaced_in_the_child() {
    let (before, after) = (Role::new(100), Role::new(200));
    let session = SessionContext::builder().provider(before.clone()).build();
    let child = session.narrow(Scope::new().policy(reading())).unwrap();
    let mut rotations = child.rotations(&alias("default")).unwrap();
    assert_eq!(of(&child, "default").await.unwrap(), 100);

    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    assert!(child.served().is_none(), "it was of somebody whom the session no longer works for");
    let error = child.credentials().await.unwrap_err();
    assert!(error.message().contains("by hand") && error.message().contains("`default`"), "{error}");
    rotations.changed().await.unwrap();

    let session = SessionContext::builder().provider(before.clone()).build();
    let child = session.narrow(Scope::new().policy(reading())).unwrap();
    of(&child, "default").await.unwrap();
    session.set_provider_for(&alias("default"), after.clone()).unwrap();
    assert_eq!(of(&child, "default").await.unwrap(), 200);
    assert_eq!(after.issued(), [Some(reading())]);
    session.set_provider_for(&alias("default"), ScriptedProvider::new([])).unwrap();
    assert!(of(&child, "default").await.is_err());
}

#[tokio::test]
async fn accounts_that_come_later_are_not_there() {
    let session = SessionContext::builder().provider(Role::new(100)).build();
    let child = session.narrow(Scope::new().policy(reading())).unwrap();
    session.set_credentials_for(&alias("late"), numbered(4, Expiry::Never)).unwrap();
    session.set_service_context(serde_json::json!({"service": "s"})).unwrap();
    assert_eq!(of(&child, "late").await.unwrap_err().kind(), ErrorKind::NotConfigured);
    assert_eq!(child.accounts(), [alias("default")]);
    assert!(child.service_context().is_some(), "facts are inherited");
}

#[tokio::test]
async fn it_ends_when_its_parent_is_cleared_closed_or_dropped() {
    let ends: [fn(&SessionContext) -> Outstanding; 2] = [SessionContext::clear, SessionContext::close];
    for end in ends.map(Some).into_iter().chain([None]) {
        let session = SessionContext::builder().provider(Role::new(100)).build();
        let middle = session.with_provider(Role::new(200)).unwrap();
        let child = middle.narrow(Scope::new().policy(reading())).unwrap();
        assert_eq!(of(&child, "default").await.unwrap(), 200);
        match end {
            Some(end) => drop(end(&session)),
            None => drop(session),
        }
        assert!(child.served().is_none() && child.is_closed());
        assert_eq!(of(&child, "default").await.unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[tokio::test]
async fn an_overlay_in_the_parent_is_what_is_narrowed_from_then_on() {
    let role = Role::new(100);
    let session = SessionContext::builder().provider_for(alias("prod"), role.clone()).build();
    let middle = session.with_credentials(numbered(1, Expiry::Never)).unwrap();
    let child = middle.narrow(Scope::new().policy(reading()).accounts([alias("prod")])).unwrap();
    assert_eq!(of(&child, "prod").await.unwrap(), 100);
    middle.set_credentials_for(&alias("prod"), numbered(2, Expiry::Never)).unwrap();
    assert!(of(&child, "prod").await.unwrap_err().message().contains("by hand"));
    assert_eq!((of(&session, "prod").await.unwrap(), role.issued().len()), (101, 2));
}

#[tokio::test]
async fn narrowed_account_is_used_in_its_parents_region() {
    let region = |text: &str| text.parse::<Region>().unwrap();
    let clock = ManualClock::new();
    let named = lasting(&clock, 1, HOUR).with_region(region("eu-west-1"));
    let role = Role::new(100).first(named);
    let session = builder(&clock).provider(role).environment_region(region("eu-south-1")).build();
    let child = session.narrow(Scope::new().policy(reading())).unwrap();
    let account = child.account(&alias("default")).unwrap();
    assert_eq!(account.resolved_region(), region("eu-south-1"), "nothing was fetched yet");
    session.credentials().await.unwrap();
    assert_eq!(
        account.resolved_region(),
        region("eu-west-1"),
        "that of the credentials, though they came later"
    );
    child.credentials().await.unwrap();
    assert_eq!(account.region(), Some(region("eu-west-1")), "its own credentials name none");
}
