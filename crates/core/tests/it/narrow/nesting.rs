//! Narrowing what is narrowed: only ever less.

use valetkey_core::testing::ManualClock;
use valetkey_core::{Expiry, Scope, SessionContext};

use super::role::Role;
use super::{alias, allowing, of, reading};
use crate::bench::*;

#[tokio::test]
async fn policies_add_up_to_what_all_of_them_allow() {
    let role = Role::within(allowing(r#"["s3:Get*","s3:List*","ecs:*"]"#));
    let session = SessionContext::builder().provider(role.clone()).build();
    let child = session.narrow(Scope::new().policy(allowing(r#"["s3:*","logs:*"]"#))).unwrap();
    let grandchild = child.narrow(Scope::new().policy(allowing(r#"["s3:GetObject","ecs:*"]"#))).unwrap();
    assert_eq!(of(&grandchild, "default").await.unwrap(), 100);
    assert_eq!(of(&child, "default").await.unwrap(), 101);
    assert_eq!(
        role.issued(),
        [Some(allowing(r#""s3:GetObject""#)), Some(allowing(r#"["s3:Get*","s3:List*"]"#))]
    );
    let error = child.narrow(Scope::new().policy(allowing(r#""ecs:*""#))).unwrap_err();
    assert!(error.message().contains("nothing"), "{error}");
}

#[tokio::test]
async fn a_view_of_a_policys_child_shows_that_childs_sets() {
    let role = Role::new(100);
    let session = SessionContext::builder().provider(role.clone()).build();
    let child = session.narrow(Scope::new().policy(reading())).unwrap();
    let view = child.narrow(Scope::new()).unwrap();
    assert_eq!(of(&view, "default").await.unwrap(), 100);
    assert_eq!(of(&child, "default").await.unwrap(), 100);
    assert_eq!(role.issued(), [Some(reading())]);
    child.clear();
    assert!(view.is_closed());
}

#[tokio::test]
async fn a_policys_child_of_a_view_is_narrowed_from_what_the_view_shows() {
    let role = Role::new(100);
    let session = SessionContext::builder().provider(role.clone()).build();
    let view = session.narrow(Scope::new()).unwrap();
    let child = view.narrow(Scope::new().policy(reading())).unwrap();
    assert_eq!(of(&child, "default").await.unwrap(), 100);
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    assert!(of(&child, "default").await.is_err());
    assert_eq!(role.issued(), [Some(reading())]);
}

#[tokio::test]
async fn accounts_that_the_parent_does_not_see_are_not_to_be_had() {
    let session = SessionContext::builder()
        .provider(Role::new(100))
        .provider_for(alias("prod"), Role::new(200))
        .provider_for(alias("dev"), Role::new(300))
        .build();
    for policy in [None, Some(reading())] {
        let scope = Scope::new().accounts([alias("prod"), alias("dev")]);
        let scope = policy.into_iter().fold(scope, Scope::policy);
        let child = session.narrow(scope).unwrap();
        assert!(child.narrow(Scope::new().accounts([alias("default")])).is_err());
        let grandchild = child.narrow(Scope::new().accounts([alias("dev")])).unwrap();
        assert_eq!(grandchild.accounts(), [alias("dev")]);
        assert!(of(&grandchild, "prod").await.is_err() && of(&grandchild, "dev").await.unwrap() >= 300);
        let all = child.narrow(Scope::new()).unwrap();
        session.set_credentials_for(&alias("late"), numbered(4, Expiry::Never)).unwrap();
        assert_eq!(all.accounts(), [alias("prod"), alias("dev")]);
    }
}

#[tokio::test]
async fn nobody_outlives_who_it_was_narrowed_from() {
    let clock = ManualClock::new();
    let session = builder(&clock).provider(Role::new(100)).build();
    let child = session.narrow(Scope::new().lifetime(HOUR)).unwrap();
    let longer = child.narrow(Scope::new().lifetime(2 * HOUR)).unwrap();
    let none = child.narrow(Scope::new().policy(reading())).unwrap();
    let shorter = child.narrow(Scope::new().lifetime(MINUTE)).unwrap();
    clock.advance(MINUTE);
    assert!(shorter.is_closed() && !longer.is_closed() && !none.is_closed());
    assert_eq!(longer.credentials().await.unwrap().expiry(), child.credentials().await.unwrap().expiry());
    clock.advance(HOUR);
    assert!(longer.is_closed() && none.is_closed());
}
