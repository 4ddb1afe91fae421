//! A shorter life: what is told of it, and what is left when it is over.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{sleep, timeout};
use valetkey_core::testing::ManualClock;
use valetkey_core::{Clock, CredentialProvider, ErrorKind, Expiry, Scope, SessionContext};

use super::role::Role;
use super::{alias, of, reading};
use crate::bench::*;

/// Half an hour, without a policy and with one.
fn scopes() -> [Scope; 2] {
    let scope = Scope::new().lifetime(30 * MINUTE);
    [scope.clone(), scope.policy(reading())]
}

#[tokio::test]
async fn no_set_is_said_to_outlive_the_session() {
    let clock = ManualClock::new();
    for role in [Role::new(100), Role::hourly(100, &clock)] {
        let session = builder(&clock).provider(role).build();
        let own = session.credentials().await.unwrap();
        let end = Expiry::At(clock.now() + 30 * MINUTE);
        for scope in scopes() {
            let child = session.narrow(scope).unwrap();
            let account = child.account(&alias("default")).unwrap();
            let set = child.credentials().await.unwrap();
            assert_eq!(set.expiry(), end);
            assert_eq!(set.expose_to_sdk().expiry(), end.instant());
            assert_eq!(of(&child, "default").await.unwrap(), number(&set), "the keys are the same");
            assert_eq!(child.credentials_for(&alias("default")).await.unwrap().expiry(), end);
            assert_eq!(child.lend(|set| set.expiry()), Some(end));
            assert_eq!(child.fresh().unwrap().expiry(), end);
            assert_eq!(child.served().unwrap().credentials.expiry(), end);
            assert_eq!(account.credentials().await.unwrap().expiry(), end);
            assert_eq!(account.fresh().unwrap().expiry(), end);
            assert_eq!(account.served().unwrap().credentials.expiry(), end);
            assert_eq!(account.served().unwrap().id, child.served().unwrap().id);
            assert_eq!(account.status().unwrap().expires_at, Some(end));
        }
        assert_eq!(session.credentials().await.unwrap().expiry(), own.expiry());
    }
}

#[tokio::test]
async fn a_set_that_expires_before_keeps_its_expiry() {
    let clock = ManualClock::new();
    let session = builder(&clock).build();
    session.set_credentials(lasting(&clock, 1, 10 * MINUTE)).unwrap();
    let child = session.narrow(Scope::new().lifetime(30 * MINUTE)).unwrap();
    assert_eq!(child.credentials().await.unwrap().expiry(), Expiry::At(clock.now() + 10 * MINUTE));
}

#[tokio::test]
async fn when_the_time_is_up_every_use_fails_and_a_clock_that_jumps_back_revives_nothing() {
    let clock = ManualClock::new();
    let session = builder(&clock).provider(Role::new(100)).build();
    let uses: [fn(&SessionContext) -> Option<ErrorKind>; 8] = [
        |child| Some(child.credentials().now_or_never()?.unwrap_err().kind()),
        |child| Some(child.credentials_for(&alias("default")).now_or_never()?.unwrap_err().kind()),
        |child| Some(child.refresh(&alias("default")).now_or_never()?.unwrap_err().kind()),
        |child| Some(child.account(&alias("default")).unwrap_err().kind()),
        |child| Some(child.rotations(&alias("default")).unwrap_err().kind()),
        |child| Some(child.narrow(Scope::new()).unwrap_err().kind()),
        |child| Some(child.set_service_context(serde_json::json!({})).unwrap_err().kind()),
        |child| Some(child.set_credentials(numbered(1, Expiry::Never)).unwrap_err().kind()),
    ];
    for first_use in uses {
        for scope in scopes() {
            let child = session.narrow(scope).unwrap();
            child.credentials().await.unwrap();
            child.set_service_context(serde_json::json!({"a": 1})).unwrap();
            clock.advance(30 * MINUTE);
            assert_eq!(first_use(&child), Some(ErrorKind::Closed));
            clock.jump_back(20 * MINUTE);
            for use_again in uses {
                assert_eq!(use_again(&child), Some(ErrorKind::Closed));
            }
        }
    }
    let looks: [fn(&SessionContext) -> bool; 7] = [
        SessionContext::is_closed,
        |child| child.served().is_none(),
        |child| child.fresh().is_none(),
        |child| child.lend(|_| ()).is_none(),
        |child| child.service_context().is_none(),
        |child| child.status().closed,
        |child| child.status().accounts.iter().all(|account| account.key_suffix.is_none()),
    ];
    for look in looks {
        for scope in scopes() {
            let child = session.narrow(scope).unwrap();
            child.credentials().await.unwrap();
            child.set_service_context(serde_json::json!({"a": 1})).unwrap();
            let account = child.account(&alias("default")).unwrap();
            clock.advance(30 * MINUTE);
            assert!(look(&child));
            assert!(account.is_closed() && account.served().is_none() && account.status().is_err());
        }
    }
    assert!(!session.is_closed());
}

#[tokio::test]
async fn what_was_lent_notices_the_end_by_itself() {
    let clock = ManualClock::new();
    let session = builder(&clock).provider(Role::new(100)).build();
    for scope in scopes() {
        let child = session.narrow(scope).unwrap();
        let account = child.account(&alias("default")).unwrap();
        account.credentials().await.unwrap();
        clock.advance(30 * MINUTE);
        assert!(account.fresh().is_none() && account.served().is_none());
        assert_eq!(account.credentials().await.unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[tokio::test]
async fn a_fetch_that_outlasts_the_session_is_not_answered() {
    let bench = Bench::gated(|clock| vec![answer(clock, 1, HOUR)]);
    let child = bench.session.narrow(Scope::new().lifetime(30 * MINUTE)).unwrap();
    let mut caller: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(child.credentials());
    assert!(poll_once(&mut caller).await.is_none());
    bench.clock.advance(30 * MINUTE);
    bench.provider.let_through(1);
    assert_eq!(caller.await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_rotations_is_told_the_end_when_it_comes() {
    let clock = ManualClock::new();
    let session = builder(&clock).provider(Role::new(100)).build();
    for scope in scopes() {
        let child = session.narrow(scope).unwrap();
        let mut rotations = child.rotations(&alias("default")).unwrap();
        let watcher = tokio::spawn(async move { rotations.changed().await });
        sleep(HOUR).await;
        assert!(!watcher.is_finished(), "it is the session's clock that counts");
        clock.advance(30 * MINUTE);
        let told = timeout(Duration::from_secs(31), watcher).await.expect("within one sleep").unwrap();
        assert_eq!(told, None);
        clock.jump_back(10 * MINUTE);
        assert!(child.is_closed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_is_kept_warm_keeps_its_narrowed_children_warm_until_their_end() {
    let clock = ManualClock::new();
    let role = Role::hourly(100, &clock);
    let session = builder(&clock).provider(role.clone()).build();
    let child = session.narrow(Scope::new().policy(reading()).lifetime(2 * HOUR)).unwrap();
    child.credentials().await.unwrap();
    let warmer = tokio::spawn(session.keep_warm());
    clock.advance(50 * MINUTE);
    sleep(MINUTE).await;
    assert_eq!(role.issued(), vec![Some(reading()); 2], "ahead of need, and only what was asked for");
    assert_eq!(of(&child, "default").now_or_never().unwrap().unwrap(), 101);
    // Nobody uses the child any more, nor drops it.
    clock.advance(75 * MINUTE);
    sleep(10 * MINUTE).await;
    assert_eq!(role.issued().len(), 2, "nothing is asked for a session whose time is up");
    warmer.abort();
    assert!(child.is_closed());
}

#[tokio::test]
async fn a_set_in_its_last_minutes_is_not_fetched_again_and_again() {
    let clock = ManualClock::new();
    let role = Role::hourly(100, &clock);
    let session = builder(&clock).provider(role.clone()).build();
    let child = session.narrow(Scope::new().policy(reading()).lifetime(10 * MINUTE)).unwrap();
    for _ in 0..9 {
        child.credentials().await.unwrap();
        clock.advance(MINUTE);
    }
    assert_eq!(role.issued().len(), 1, "what AWS said of the set decides when it is renewed");
}

#[tokio::test]
async fn narrowed_account_is_cleared_with_its_parent() {
    let clock = ManualClock::new();
    for scope in scopes() {
        let session = builder(&clock).provider(Role::new(100)).build();
        let child = session.narrow(scope).unwrap();
        let account = child.account(&alias("default")).unwrap();
        child.credentials().await.unwrap();
        let before = account.served().unwrap().id;
        assert!(!account.is_cleared() && !account.was_cleared_since(before) && !child.is_cleared());
        session.clear();
        assert!(account.is_cleared() && account.was_cleared_since(before) && child.is_cleared());
    }
}
