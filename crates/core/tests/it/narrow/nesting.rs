//! Narrowing what is narrowed: only ever less.

use valetkey_core::testing::ManualClock;
use valetkey_core::{AccessScope, Expiry, SessionContext};

use super::role::NarrowableProvider;
use super::{account_name, account_number, policy_allowing, read_policy};
use crate::session_fixture::*;

#[tokio::test]
async fn narrow_twice_intersects_policies() {
    let role = NarrowableProvider::with_policy(policy_allowing(r#"["s3:Get*","s3:List*","ecs:*"]"#));
    let session = SessionContext::builder().provider(role.clone()).build();
    let child = session.narrow(AccessScope::new().policy(policy_allowing(r#"["s3:*","logs:*"]"#))).unwrap();
    let grandchild =
        child.narrow(AccessScope::new().policy(policy_allowing(r#"["s3:GetObject","ecs:*"]"#))).unwrap();
    assert_eq!(account_number(&grandchild, "default").await.unwrap(), 100);
    assert_eq!(account_number(&child, "default").await.unwrap(), 101);
    assert_eq!(
        role.issued_policies(),
        [Some(policy_allowing(r#""s3:GetObject""#)), Some(policy_allowing(r#"["s3:Get*","s3:List*"]"#))]
    );
    let error = child.narrow(AccessScope::new().policy(policy_allowing(r#""ecs:*""#))).unwrap_err();
    assert!(error.message().contains("nothing"), "{error}");
}

#[tokio::test]
async fn narrow_view_of_policy_child_shares_its_credentials() {
    let role = NarrowableProvider::new(100);
    let session = SessionContext::builder().provider(role.clone()).build();
    let child = session.narrow(AccessScope::new().policy(read_policy())).unwrap();
    let view = child.narrow(AccessScope::new()).unwrap();
    assert_eq!(account_number(&view, "default").await.unwrap(), 100);
    assert_eq!(account_number(&child, "default").await.unwrap(), 100);
    assert_eq!(role.issued_policies(), [Some(read_policy())]);
    child.clear();
    assert!(view.is_closed());
}

#[tokio::test]
async fn narrow_view_with_policy_scopes_down_parent_provider() {
    let role = NarrowableProvider::new(100);
    let session = SessionContext::builder().provider(role.clone()).build();
    let view = session.narrow(AccessScope::new()).unwrap();
    let child = view.narrow(AccessScope::new().policy(read_policy())).unwrap();
    assert_eq!(account_number(&child, "default").await.unwrap(), 100);
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    assert!(account_number(&child, "default").await.is_err());
    assert_eq!(role.issued_policies(), [Some(read_policy())]);
}

#[tokio::test]
async fn narrow_twice_cannot_regain_accounts() {
    let session = SessionContext::builder()
        .provider(NarrowableProvider::new(100))
        .provider_for(account_name("prod"), NarrowableProvider::new(200))
        .provider_for(account_name("dev"), NarrowableProvider::new(300))
        .build();
    for policy in [None, Some(read_policy())] {
        let scope = AccessScope::new().accounts([account_name("prod"), account_name("dev")]);
        let scope = policy.into_iter().fold(scope, AccessScope::policy);
        let child = session.narrow(scope).unwrap();
        assert!(child.narrow(AccessScope::new().accounts([account_name("default")])).is_err());
        let grandchild = child.narrow(AccessScope::new().accounts([account_name("dev")])).unwrap();
        assert_eq!(grandchild.accounts(), [account_name("dev")]);
        assert!(
            account_number(&grandchild, "prod").await.is_err()
                && account_number(&grandchild, "dev").await.unwrap() >= 300
        );
        let all = child.narrow(AccessScope::new()).unwrap();
        session.for_account(&account_name("late")).set_credentials(numbered(4, Expiry::Never)).unwrap();
        assert_eq!(all.accounts(), [account_name("prod"), account_name("dev")]);
    }
}

#[tokio::test]
async fn narrow_twice_cannot_extend_deadline() {
    let clock = ManualClock::new();
    let session = builder(&clock).provider(NarrowableProvider::new(100)).build();
    let child = session.narrow(AccessScope::new().lifetime(HOUR)).unwrap();
    let longer = child.narrow(AccessScope::new().lifetime(2 * HOUR)).unwrap();
    let none = child.narrow(AccessScope::new().policy(read_policy())).unwrap();
    let shorter = child.narrow(AccessScope::new().lifetime(MINUTE)).unwrap();
    clock.advance(MINUTE);
    assert!(shorter.is_closed() && !longer.is_closed() && !none.is_closed());
    assert_eq!(longer.credentials().await.unwrap().expiry(), child.credentials().await.unwrap().expiry());
    clock.advance(HOUR);
    assert!(longer.is_closed() && none.is_closed());
}
