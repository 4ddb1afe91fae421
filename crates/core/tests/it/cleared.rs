//! `is_cleared` and `was_cleared_since`: a clear is a state of its own, which nothing else looks like.

use valetkey_core::testing::{ManualClock, ScriptedProvider};
use valetkey_core::{
    AccountName, Credentials, CredentialsVersion, ErrorKind, Expiry, SessionAccount, SessionContext,
};

use crate::bench::*;

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
    let answers = |n| ScriptedProvider::new([returns(clock, n, HOUR), returns(clock, n + 1, HOUR)]);
    let session = builder(clock).provider(answers(10)).provider_for(prod(), answers(20)).build();
    session.credentials().await.unwrap();
    session.credentials_for(&prod()).await.unwrap();
    session
}

#[tokio::test]
async fn is_cleared_from_clear_until_credentials_are_set() {
    let session = session_with_two_accounts(&ManualClock::new()).await;
    let accounts = [default_account(&session), session.account(&prod()).unwrap()];
    assert!(!session.is_cleared() && accounts.iter().all(|account| !account.is_cleared()));
    session.clear();
    assert!(session.is_cleared() && accounts.iter().all(SessionAccount::is_cleared));
    session.set_credentials_for(&prod(), expiring(&ManualClock::new(), 1, HOUR)).unwrap();
    assert!(!session.is_cleared() && accounts.iter().all(|account| !account.is_cleared()));
    session.close();
    assert!(session.is_cleared() && accounts.iter().all(SessionAccount::is_cleared));
}

#[tokio::test]
async fn is_cleared_false_after_other_losses() {
    let bench =
        SessionFixture::new(|clock| vec![returns(clock, 1, HOUR), returns(clock, 2, HOUR), fails_denied()]);
    let account = default_account(&bench.session);
    assert!(account.current().is_none() && !account.is_cleared(), "never fetched");
    bench.number().await.unwrap();
    let first = current_version(&account);
    bench.session.mark_rejected_for(account.alias(), long_lived(1).access_key_id());
    assert!(account.current().is_none() && !account.is_cleared(), "rejected");
    bench.number().await.unwrap();
    bench.session.set_credentials_for(&prod(), long_lived(9)).unwrap();
    assert!(account.current().is_none() && !account.is_cleared(), "invalidated by a change elsewhere");
    bench.kind().await;
    assert!(account.current().is_none() && !account.is_cleared(), "withdrawn after a permanent failure");
    bench.session.set_credentials(expiring(&bench.clock, 3, MINUTE)).unwrap();
    bench.clock.advance(HOUR);
    assert!(account.current().is_none() && !account.is_cleared(), "expired");
    assert!(!account.was_cleared_since(first) && !bench.session.is_cleared());
}

#[tokio::test]
async fn was_cleared_since_stays_true_after_new_credentials() {
    let session = session_with_two_accounts(&ManualClock::new()).await;
    let accounts = [default_account(&session), session.account(&prod()).unwrap()];
    let before = accounts.each_ref().map(current_version);
    session.clear();
    session.set_credentials(long_lived(1)).unwrap();
    session.credentials_for(&prod()).await.unwrap();
    for (account, before) in accounts.iter().zip(before) {
        assert!(!account.is_cleared(), "a watcher that looks now sees credentials again");
        assert!(account.was_cleared_since(before), "what it lent before the clear must be used no more");
        assert!(!account.was_cleared_since(current_version(account)));
    }
    let renewed = current_version(&accounts[1]);
    session.refresh(&prod()).await.unwrap();
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
        child.set_credentials_for(&prod(), long_lived(3)).unwrap();
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
    child.set_credentials_for(&prod(), long_lived(2)).unwrap();
    assert!(!account.is_cleared() && !account.was_cleared_since(before));
}

#[tokio::test]
async fn is_cleared_true_for_account_added_after_clear() {
    let clock = ManualClock::new();
    let session = session_with_two_accounts(&clock).await;
    session.clear();
    let other: AccountName = "other".parse().unwrap();
    session.set_credentials_for(&other, expiring(&clock, 1, std::time::Duration::ZERO)).unwrap_err();
    assert!(session.account(&other).unwrap().is_cleared() && session.is_cleared());
    session.set_credentials_for(&other, long_lived(1)).unwrap();
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
    session.set_credentials_for(&tool, long_lived(5)).unwrap();
    session.clear();
    let default = session.default_account().clone();
    assert_eq!(session.refresh(&default).await.unwrap_err().kind(), ErrorKind::NotConfigured);
    let error = session.credentials().await.unwrap_err();
    assert!(error.next_step().unwrap().contains("refresh this account"), "{error}");
    let error = session.resume(&tool).await.unwrap_err();
    assert_eq!((error.kind(), error.next_step()), (ErrorKind::NotConfigured, Some("set credentials on it")));
    assert!(session.is_cleared(), "an account without a provider wakes none");
    session.resume(&default).await.unwrap();
    assert!(!session.is_cleared());
    session.credentials_for(&prod()).await.expect("sources of other accounts are awake too");
    assert!(session.credentials_for(&tool).await.is_err(), "what a tool set stays gone");
    session.close();
    assert_eq!(session.resume(&default).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn resume_after_clear_restores_no_set_credentials() {
    let session = session_with_two_accounts(&ManualClock::new()).await;
    session.set_credentials(long_lived(5)).unwrap();
    session.clear();
    session.resume(session.default_account()).await.unwrap();
    assert_ne!(number(&session.credentials().await.unwrap()), 5);
}
