//! One child for each policy that tools run under.

use valetkey_core::{ErrorKind, Expiry, NarrowedSessionCache, SessionContext, SessionPolicy};

use super::role::NarrowableProvider;
use super::{account_name, account_number, policy_allowing, read_policy};
use crate::session_fixture::*;

fn write_policy() -> SessionPolicy {
    policy_allowing(r#""s3:Put*""#)
}

#[tokio::test]
async fn narrowed_session_cache_keeps_one_session_per_policy() {
    let role = NarrowableProvider::new(100);
    let session = SessionContext::builder().provider(role.clone()).build();
    let account = session.account(session.default_account()).unwrap();
    let scopes = NarrowedSessionCache::default();
    let under = |policy| scopes.get_or_narrow(&account, &policy).unwrap();
    let (first, again, other) = (under(read_policy()), under(read_policy()), under(write_policy()));
    assert_eq!(first.id(), again.id());
    assert_ne!(first.id(), other.id());
    assert_eq!(
        (account_number(&first, "default").await.unwrap(), account_number(&other, "default").await.unwrap()),
        (100, 101)
    );
    assert_eq!(account_number(&again, "default").await.unwrap(), 100, "it is not issued for each call");
    assert_eq!(role.issued_policies(), [Some(read_policy()), Some(write_policy())]);

    first.close();
    let anew = under(read_policy());
    assert_ne!(anew.id(), first.id());
    assert_eq!(account_number(&anew, "default").await.unwrap(), 102);
    assert_eq!(under(write_policy()).id(), other.id(), "the others go on");
}

#[tokio::test]
async fn narrowed_session_cache_separates_sessions_and_accounts() {
    let open = || {
        let builder = SessionContext::builder().provider(NarrowableProvider::new(100));
        builder.provider_for(account_name("prod"), NarrowableProvider::new(200)).build()
    };
    let (one, other) = (open(), open());
    let scopes = NarrowedSessionCache::default();
    let under = |session: &SessionContext, account: &str| {
        scopes.get_or_narrow(&session.account(&account_name(account)).unwrap(), &read_policy()).unwrap()
    };
    let children = [under(&one, "default"), under(&one, "prod"), under(&other, "default")];
    assert_eq!(children[1].accounts(), [account_name("prod")], "it has this account alone");
    assert_eq!(account_number(&children[1], "prod").await.unwrap(), 200);
    one.close();
    assert_eq!(children.map(|child| child.is_closed()), [true, true, false]);
}

#[tokio::test]
async fn narrowed_session_cache_keeps_no_session_open() {
    let session = SessionContext::builder().provider(NarrowableProvider::new(100)).build();
    let account = session.account(session.default_account()).unwrap();
    let scopes = NarrowedSessionCache::default();
    let child = scopes.get_or_narrow(&account, &read_policy()).unwrap();
    drop(session);
    assert!(child.is_closed());
    assert_eq!(scopes.get_or_narrow(&account, &read_policy()).unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn narrowed_session_cache_does_not_keep_refusals() {
    let session = SessionContext::builder().provider(NarrowableProvider::new(100)).build();
    let account = session.account(session.default_account()).unwrap();
    let scopes = NarrowedSessionCache::default();
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    let error = scopes.get_or_narrow(&account, &read_policy()).unwrap_err();
    assert!(error.message().contains("set directly") && error.next_step().is_some(), "{error}");
    session.clear();
    assert_eq!(scopes.get_or_narrow(&account, &read_policy()).unwrap_err().kind(), ErrorKind::NotConfigured);
    session.for_account(&account_name("default")).set_provider(NarrowableProvider::new(300)).unwrap();
    let child = scopes.get_or_narrow(&account, &read_policy()).unwrap();
    assert_eq!(account_number(&child, "default").await.unwrap(), 300);
}

#[tokio::test]
async fn narrowed_session_cache_evicts_least_recently_used() {
    let session = SessionContext::builder().provider(NarrowableProvider::new(100)).build();
    let account = session.account(session.default_account()).unwrap();
    let scopes = NarrowedSessionCache::default();
    let under =
        |n: usize| scopes.get_or_narrow(&account, &policy_allowing(&format!(r#""s3:Get{n}""#))).unwrap();
    let (first, second) = (under(0).id(), under(1));
    for n in 2..32 {
        under(n);
    }
    assert_eq!(under(0).id(), first, "asked for again");
    under(32);
    assert_eq!(under(0).id(), first);
    assert!(account_number(&second, "default").await.is_ok(), "a call under way is not cut off");
    assert_ne!(under(1).id(), second.id());
    assert_eq!(format!("{scopes:?}"), "NarrowedSessionCache { len: 32, .. }");
}

#[tokio::test]
async fn narrowed_session_cache_ends_removed_sessions_at_once() {
    let session = SessionContext::builder().provider(NarrowableProvider::new(100)).build();
    let account = session.account(session.default_account()).unwrap();
    let cache = NarrowedSessionCache::default();
    let narrowed_account = |n: usize| {
        let policy = policy_allowing(&format!(r#""s3:Get{n}""#));
        let child = cache.get_or_narrow(&account, &policy).unwrap();
        child.account(child.default_account()).unwrap()
    };
    let children: Vec<_> = (0..33).map(narrowed_account).collect();
    assert!(children[0].is_closed(), "evicted");
    assert_eq!(children.iter().filter(|child| child.is_closed()).count(), 1);
    drop(cache);
    assert!(children.iter().all(|child| child.is_closed()), "the cache was dropped");
}

#[tokio::test]
async fn narrowed_session_cache_keeps_no_credentials_of_evicted() {
    let provider = NarrowableProvider::new(100);
    let session = SessionContext::builder().provider(provider).build();
    let account = session.account(session.default_account()).unwrap();
    let cache = NarrowedSessionCache::default();
    let in_use = cache.get_or_narrow(&account, &read_policy()).unwrap();
    for n in 0..40 {
        cache.get_or_narrow(&account, &policy_allowing(&format!(r#""s3:Get{n}""#))).unwrap();
    }
    assert_eq!(account_number(&in_use, "default").await.unwrap(), 100, "a call in flight goes on");
    let narrowed = in_use.account(in_use.default_account()).unwrap();
    drop(in_use);
    assert!(narrowed.is_closed(), "it ends with the last call that uses it");
}
