//! `is_cleared` and `was_cleared_since`: a clear is a state of its own, which nothing else looks like.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use valetkey_core::testing::{ManualClock, ScriptedProvider};
use valetkey_core::{
    AccessScope, AccountName, CredentialProvider, Credentials, CredentialsVersion, ErrorKind, Expiry, Result,
    SessionAccount, SessionContext, SessionPolicy,
};

use crate::session_fixture::*;

fn prod() -> AccountName {
    "prod".parse().unwrap()
}

fn default_account(session: &SessionContext) -> SessionAccount {
    session.account(session.default_account()).unwrap()
}

fn long_lived(n: u64) -> Credentials {
    numbered(n, Expiry::Never)
}

fn current_version(account: &SessionAccount) -> CredentialsVersion {
    account.current().unwrap().id
}

/// A session whose two accounts hold credentials of their providers.
async fn session_with_two_accounts(clock: &ManualClock) -> SessionContext {
    let scripted = |n| ScriptedProvider::new([returns(clock, n, HOUR), returns(clock, n + 1, HOUR)]);
    let session = builder(clock).provider(scripted(10)).provider_for(prod(), scripted(20)).build();
    session.credentials().await.unwrap();
    session.for_account(&prod()).credentials().await.unwrap();
    session
}

#[tokio::test]
async fn is_cleared_from_clear_until_credentials_are_set() {
    let session = session_with_two_accounts(&ManualClock::new()).await;
    let accounts = [default_account(&session), session.account(&prod()).unwrap()];
    assert!(!session.is_cleared() && accounts.iter().all(|account| !account.is_cleared()));
    session.clear();
    assert!(session.is_cleared() && accounts.iter().all(SessionAccount::is_cleared));
    session.for_account(&prod()).set_credentials(expiring(&ManualClock::new(), 1, HOUR)).unwrap();
    assert!(!session.is_cleared() && accounts.iter().all(|account| !account.is_cleared()));
    session.close();
    assert!(session.is_cleared() && accounts.iter().all(SessionAccount::is_cleared));
}

#[tokio::test]
async fn is_cleared_false_after_other_losses() {
    let fixture =
        SessionFixture::new(|clock| vec![returns(clock, 1, HOUR), returns(clock, 2, HOUR), fails_denied()]);
    let account = default_account(&fixture.session);
    assert!(account.current().is_none() && !account.is_cleared(), "never fetched");
    fixture.number().await.unwrap();
    let first = current_version(&account);
    fixture.session.for_account(account.account_name()).mark_rejected(long_lived(1).access_key_id());
    assert!(account.current().is_none() && !account.is_cleared(), "rejected");
    fixture.number().await.unwrap();
    fixture.session.for_account(&prod()).set_credentials(long_lived(9)).unwrap();
    assert!(account.current().is_none() && !account.is_cleared(), "invalidated by a change elsewhere");
    fixture.kind().await;
    assert!(account.current().is_none() && !account.is_cleared(), "withdrawn after a permanent failure");
    fixture.session.set_credentials(expiring(&fixture.clock, 3, MINUTE)).unwrap();
    fixture.clock.advance(HOUR);
    assert!(account.current().is_none() && !account.is_cleared(), "expired");
    assert!(!account.was_cleared_since(first) && !fixture.session.is_cleared());
}

#[tokio::test]
async fn was_cleared_since_stays_true_after_new_credentials() {
    let session = session_with_two_accounts(&ManualClock::new()).await;
    let accounts = [default_account(&session), session.account(&prod()).unwrap()];
    let before = accounts.each_ref().map(current_version);
    session.clear();
    session.set_credentials(long_lived(1)).unwrap();
    session.for_account(&prod()).credentials().await.unwrap();
    for (account, before) in accounts.iter().zip(before) {
        assert!(!account.is_cleared(), "a watcher that looks now sees credentials again");
        assert!(account.was_cleared_since(before), "what it lent before the clear must be used no more");
        assert!(!account.was_cleared_since(current_version(account)));
    }
    let renewed = current_version(&accounts[1]);
    session.for_account(&prod()).refresh().await.unwrap();
    assert!(!accounts[1].was_cleared_since(renewed), "a renewal is no clear");
}

#[tokio::test]
async fn is_cleared_inherited_follows_child_and_parent() {
    for parent_clears in [false, true] {
        let parent = session_with_two_accounts(&ManualClock::new()).await;
        let child = parent.with_credentials(long_lived(1)).unwrap();
        let (inherited, own) = (child.account(&prod()).unwrap(), default_account(&child));
        let before = current_version(&inherited);
        assert!(!inherited.is_cleared() && !inherited.was_cleared_since(before));
        if parent_clears {
            parent.clear()
        } else {
            child.clear()
        };
        assert!(inherited.is_cleared() && inherited.was_cleared_since(before) && own.is_cleared());
        assert_eq!(parent.account(&prod()).unwrap().is_cleared(), parent_clears);
        child.set_credentials(long_lived(2)).unwrap();
        assert!(inherited.is_cleared() && !own.is_cleared(), "nothing serves the inherited account any more");
        child.for_account(&prod()).set_credentials(long_lived(3)).unwrap();
        assert!(!inherited.is_cleared() && inherited.was_cleared_since(before));
        assert!(!inherited.was_cleared_since(current_version(&inherited)));
    }
}

#[tokio::test]
async fn is_cleared_false_when_child_overrides_account() {
    let parent = session_with_two_accounts(&ManualClock::new()).await;
    let child = parent.with_credentials(long_lived(1)).unwrap();
    let account = child.account(&prod()).unwrap();
    let before = current_version(&account);
    child.for_account(&prod()).set_credentials(long_lived(2)).unwrap();
    assert!(!account.is_cleared() && !account.was_cleared_since(before));
}

#[tokio::test]
async fn is_cleared_true_for_account_added_after_clear() {
    let clock = ManualClock::new();
    let session = session_with_two_accounts(&clock).await;
    session.clear();
    let other: AccountName = "other".parse().unwrap();
    session.for_account(&other).set_credentials(expiring(&clock, 1, std::time::Duration::ZERO)).unwrap_err();
    assert!(session.account(&other).unwrap().is_cleared() && session.is_cleared());
    session.for_account(&other).set_credentials(long_lived(1)).unwrap();
    assert!(!session.account(&other).unwrap().is_cleared());
}

#[tokio::test]
async fn is_cleared_true_for_account_of_dropped_session() {
    let session = session_with_two_accounts(&ManualClock::new()).await;
    let account = default_account(&session);
    let before = current_version(&account);
    drop(session);
    assert!(account.is_cleared() && account.was_cleared_since(before));
}

/// Repeated, since the watcher runs on another thread and can wake up before the change is complete.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_cleared_is_visible_to_woken_watcher() {
    for round in 0..200 {
        let session = SessionContext::builder().build();
        session.set_credentials(long_lived(1)).unwrap();
        for cleared in [true, false] {
            let account = default_account(&session);
            let mut rotations = account.watch_rotations().unwrap();
            let watcher = tokio::spawn(async move {
                rotations.changed().await.unwrap();
                account.is_cleared()
            });
            tokio::task::yield_now().await;
            if cleared {
                session.clear();
            } else {
                session.set_credentials(long_lived(2)).unwrap();
            }
            assert_eq!(watcher.await.unwrap(), cleared, "round {round}");
        }
    }
}

#[tokio::test]
async fn resume_after_clear_restores_configured_providers() {
    let clock = ManualClock::new();
    let session = session_with_two_accounts(&clock).await;
    let tool: AccountName = "tool".parse().unwrap();
    session.for_account(&tool).set_credentials(long_lived(5)).unwrap();
    session.clear();
    let default = session.default_account().clone();
    assert_eq!(session.for_account(&default).refresh().await.unwrap_err().kind(), ErrorKind::NotConfigured);
    let error = session.credentials().await.unwrap_err();
    assert!(error.next_step().unwrap().contains("refresh this account"), "{error}");
    let error = session.for_account(&tool).resume().await.unwrap_err();
    assert_eq!((error.kind(), error.next_step()), (ErrorKind::NotConfigured, Some("set credentials on it")));
    assert!(session.is_cleared(), "an account without a provider wakes none");
    session.for_account(&default).resume().await.unwrap();
    assert!(!session.is_cleared());
    session.for_account(&prod()).credentials().await.expect("sources of other accounts are awake too");
    assert!(session.for_account(&tool).credentials().await.is_err(), "what a tool set stays gone");
    session.close();
    assert_eq!(session.for_account(&default).resume().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn resume_after_clear_does_not_restore_set_credentials() {
    let session = session_with_two_accounts(&ManualClock::new()).await;
    session.set_credentials(long_lived(5)).unwrap();
    session.clear();
    session.resume().await.unwrap();
    assert_ne!(number(&session.credentials().await.unwrap()), 5);
}

#[tokio::test]
async fn account_clear_suspends_only_that_account() {
    let session = session_with_two_accounts(&ManualClock::new()).await;
    let [default, prod] = [default_account(&session), session.account(&prod()).unwrap()];
    assert!(matches!(prod.clear().unwrap(), Some(Expiry::At(_))), "copies work until they expire");
    assert!(prod.is_cleared() && !default.is_cleared() && !session.is_cleared());
    assert_eq!(prod.credentials().await.unwrap_err().kind(), ErrorKind::NotConfigured);
    assert!(default.current().is_none(), "it may have been derived from what was cleared");
    assert_eq!(number(&default.credentials().await.unwrap()), 11);

    session.set_credentials(long_lived(1)).unwrap();
    assert!(prod.is_cleared(), "setting another account does not resume this one");
    prod.set_credentials(long_lived(2)).unwrap();
    assert!(!prod.is_cleared());
    assert_eq!(prod.clear().unwrap(), Some(Expiry::Never), "the long-lived keys still work");
}

#[tokio::test]
async fn resume_of_account_cleared_alone_resumes_no_other() {
    let session = session_with_two_accounts(&ManualClock::new()).await;
    let [default, prod] = [default_account(&session), session.account(&prod()).unwrap()];
    session.clear();
    prod.clear().unwrap();
    prod.resume().await.unwrap();
    assert!(!prod.is_cleared() && default.is_cleared());
}

#[tokio::test]
async fn account_clear_survives_session_clear_and_resume() {
    let session = session_with_two_accounts(&ManualClock::new()).await;
    let [default, prod] = [default_account(&session), session.account(&prod()).unwrap()];
    prod.clear().unwrap();
    session.clear();
    default.resume().await.unwrap();
    assert!(!default.is_cleared() && prod.is_cleared());
    prod.resume().await.unwrap();
    assert!(!prod.is_cleared());
}

#[tokio::test]
async fn account_clear_closes_sessions_narrowed_from_it() {
    let session = session_with_two_accounts(&ManualClock::new()).await;
    let view = session.narrow(AccessScope::new().accounts([prod()])).unwrap();
    let narrowable = session.for_account(&"role".parse().unwrap());
    narrowable.set_provider(NarrowableFixture).unwrap();
    let narrowed = narrowable.narrow(SessionPolicy::read_only(["s3"]).unwrap()).unwrap();
    session.account(&prod()).unwrap().clear().unwrap();
    assert!(!view.is_closed() && view.account(&prod()).unwrap().is_cleared());
    assert!(!narrowed.is_closed(), "it has another account");
    assert_eq!(view.account(&prod()).unwrap().clear().unwrap_err().kind(), ErrorKind::Denied);
    narrowable.clear().unwrap();
    assert!(narrowed.is_closed());
}

#[tokio::test]
async fn account_clear_in_child_leaves_parent_untouched() {
    let session = session_with_two_accounts(&ManualClock::new()).await;
    let child = session.with_credentials(long_lived(1)).unwrap();
    let inherited = child.account(&prod()).unwrap();
    let before = current_version(&inherited);
    assert!(inherited.clear().unwrap().is_some());
    assert!(inherited.is_cleared() && inherited.was_cleared_since(before));
    assert_eq!(inherited.credentials().await.unwrap_err().kind(), ErrorKind::NotConfigured);
    assert!(session.account(&prod()).unwrap().current().is_some());
    assert!(child.current().is_some(), "its own credentials were set");
}

/// A provider that can be scoped down.
#[derive(Debug)]
struct NarrowableFixture;

#[async_trait]
impl CredentialProvider for NarrowableFixture {
    fn name(&self) -> Cow<'static, str> {
        "narrowable".into()
    }

    async fn provide(&self) -> Result<Credentials> {
        Ok(long_lived(7))
    }

    fn scope_down(&self, _policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        Ok(Arc::new(Self))
    }
}
