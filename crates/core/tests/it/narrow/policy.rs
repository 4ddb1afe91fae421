//! With a policy: sets of one's own, and never one of the parent's.

use valetkey_core::testing::{ManualClock, ScriptedProvider};
use valetkey_core::{AccessScope, ErrorKind, Expiry, OutstandingCredentials, Region, SessionContext};

use super::role::NarrowableProvider;
use super::{account_name, account_number, policy_allowing, read_policy};
use crate::session_fixture::*;

#[tokio::test]
async fn narrow_with_policy_scopes_down_each_account() {
    let (default, prod) = (NarrowableProvider::new(100), NarrowableProvider::new(200));
    let session = SessionContext::builder()
        .provider(default.clone())
        .provider_for(account_name("prod"), prod.clone())
        .region_for(account_name("prod"), Region::us_east_1())
        .build();
    assert_eq!(account_number(&session, "default").await.unwrap(), 100);
    let child = session.narrow(AccessScope::new().policy(read_policy())).unwrap();
    assert!(child.current().is_none(), "the parent's credentials never reach it");
    assert_eq!(
        (default.issued_policies().len(), prod.issued_policies().len()),
        (1, 0),
        "no provider is called before its account is used"
    );
    assert_eq!(
        (account_number(&child, "default").await.unwrap(), account_number(&child, "prod").await.unwrap()),
        (101, 200)
    );
    assert_eq!(default.issued_policies(), [None, Some(read_policy())]);
    assert_eq!(prod.issued_policies(), [Some(read_policy())]);
    assert_eq!(account_number(&child, "default").await.unwrap(), 101, "it is its own cache");
    assert_eq!(account_number(&session, "default").await.unwrap(), 100);
    assert_eq!(child.for_account(&account_name("prod")).region(), Some(Region::us_east_1()));
    child.for_account(&account_name("default")).refresh().await.unwrap();
    assert_eq!(
        (
            account_number(&child, "default").await.unwrap(),
            account_number(&session, "default").await.unwrap()
        ),
        (102, 100)
    );
}

#[tokio::test]
async fn narrow_with_policy_refuses_set_credentials() {
    let role = NarrowableProvider::new(100);
    let session = SessionContext::builder()
        .provider(role.clone())
        .provider_for(account_name("prod"), NarrowableProvider::new(200))
        .build();
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    let error = session.narrow(AccessScope::new().policy(read_policy())).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("policy")), "{error}");
    assert!(error.message().contains("`default`") && error.message().contains("set directly"), "{error}");
    assert!(error.next_step().unwrap().contains("role"), "{error}");
    let child =
        session.narrow(AccessScope::new().policy(read_policy()).accounts([account_name("prod")])).unwrap();
    assert_eq!(account_number(&child, "prod").await.unwrap(), 200);
    assert!(role.issued_policies().is_empty(), "the provider may act for another identity");
}

#[tokio::test]
async fn narrow_with_policy_names_unsupported_account() {
    let session = SessionContext::builder()
        .provider(NarrowableProvider::new(100))
        .provider_for(account_name("keys"), ScriptedProvider::new([]))
        .provider_for(account_name("logs"), NarrowableProvider::with_policy(policy_allowing(r#""logs:*""#)))
        .build();
    let narrow = |account: &str| {
        session
            .narrow(
                AccessScope::new()
                    .policy(read_policy())
                    .accounts([account_name("default"), account_name(account)]),
            )
            .unwrap_err()
    };
    let error = narrow("keys");
    assert!(error.message().contains("`keys`") && error.provider() == Some("scripted"), "{error}");
    let error = narrow("logs");
    assert!(error.message().contains("`logs`") && error.message().contains("nothing"), "{error}");

    let empty = SessionContext::builder().build();
    let error = empty.narrow(AccessScope::new().policy(read_policy())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConfigured, "{error}");
}

#[tokio::test]
async fn narrow_with_policy_follows_replacement_in_parent() {
    let (before, after) = (NarrowableProvider::new(100), NarrowableProvider::new(200));
    let session = SessionContext::builder().provider(before.clone()).build();
    let child = session.narrow(AccessScope::new().policy(read_policy())).unwrap();
    let mut rotations = child.for_account(&account_name("default")).watch_rotations().unwrap();
    assert_eq!(account_number(&child, "default").await.unwrap(), 100);

    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    assert!(
        child.current().is_none(),
        "the child's credentials were of an identity that the session no longer uses"
    );
    let error = child.credentials().await.unwrap_err();
    assert!(error.message().contains("set directly") && error.message().contains("`default`"), "{error}");
    rotations.changed().await.unwrap();

    let session = SessionContext::builder().provider(before.clone()).build();
    let child = session.narrow(AccessScope::new().policy(read_policy())).unwrap();
    account_number(&child, "default").await.unwrap();
    session.for_account(&account_name("default")).set_provider(after.clone()).unwrap();
    assert_eq!(account_number(&child, "default").await.unwrap(), 200);
    assert_eq!(after.issued_policies(), [Some(read_policy())]);
    session.for_account(&account_name("default")).set_provider(ScriptedProvider::new([])).unwrap();
    assert!(account_number(&child, "default").await.is_err());
}

#[tokio::test]
async fn narrow_with_policy_excludes_later_accounts() {
    let session = SessionContext::builder().provider(NarrowableProvider::new(100)).build();
    let child = session.narrow(AccessScope::new().policy(read_policy())).unwrap();
    session.for_account(&account_name("late")).set_credentials(numbered(4, Expiry::Never)).unwrap();
    session.set_service_context(serde_json::json!({"service": "s"})).unwrap();
    assert_eq!(account_number(&child, "late").await.unwrap_err().kind(), ErrorKind::NotConfigured);
    assert_eq!(child.accounts(), [account_name("default")]);
    assert!(child.service_context().is_some(), "facts are inherited");
}

#[tokio::test]
async fn narrow_with_policy_ends_with_parent() {
    let ends: [fn(&SessionContext) -> OutstandingCredentials; 2] =
        [SessionContext::clear, SessionContext::close];
    for end in ends.map(Some).into_iter().chain([None]) {
        let session = SessionContext::builder().provider(NarrowableProvider::new(100)).build();
        let middle = session.with_provider(NarrowableProvider::new(200)).unwrap();
        let child = middle.narrow(AccessScope::new().policy(read_policy())).unwrap();
        assert_eq!(account_number(&child, "default").await.unwrap(), 200);
        match end {
            Some(end) => drop(end(&session)),
            None => drop(session),
        }
        assert!(child.current().is_none() && child.is_closed());
        assert_eq!(account_number(&child, "default").await.unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[tokio::test]
async fn narrow_with_policy_follows_override_in_parent() {
    let role = NarrowableProvider::new(100);
    let session = SessionContext::builder().provider_for(account_name("prod"), role.clone()).build();
    let middle = session.with_credentials(numbered(1, Expiry::Never)).unwrap();
    let child =
        middle.narrow(AccessScope::new().policy(read_policy()).accounts([account_name("prod")])).unwrap();
    assert_eq!(account_number(&child, "prod").await.unwrap(), 100);
    middle.for_account(&account_name("prod")).set_credentials(numbered(2, Expiry::Never)).unwrap();
    assert!(account_number(&child, "prod").await.unwrap_err().message().contains("set directly"));
    assert_eq!((account_number(&session, "prod").await.unwrap(), role.issued_policies().len()), (101, 2));
}

#[tokio::test]
async fn narrow_with_policy_uses_region_of_parent() {
    let region = |text: &str| text.parse::<Region>().unwrap();
    let clock = ManualClock::new();
    let named = expiring(&clock, 1, HOUR).with_region(region("eu-west-1"));
    let role = NarrowableProvider::new(100).with_first(named);
    let session = builder(&clock).provider(role).environment_region(region("eu-south-1")).build();
    let child = session.narrow(AccessScope::new().policy(read_policy())).unwrap();
    let account = child.account(&account_name("default")).unwrap();
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
