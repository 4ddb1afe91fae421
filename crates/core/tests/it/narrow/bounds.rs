//! A shorter lifetime: how it is reported, and what is left when it is over.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{sleep, timeout};
use valetkey_core::testing::ManualClock;
use valetkey_core::{AccessScope, Clock, CredentialProvider, ErrorKind, Expiry, SessionContext};

use super::role::NarrowableProvider;
use super::{account_name, account_number, read_policy};
use crate::session_fixture::*;

/// Half an hour, without a policy and with one.
fn half_hour_scopes() -> [AccessScope; 2] {
    let scope = AccessScope::new().lifetime(30 * MINUTE);
    [scope.clone(), scope.policy(read_policy())]
}

#[tokio::test]
async fn narrowed_credentials_expire_at_session_deadline() {
    let clock = ManualClock::new();
    for role in [NarrowableProvider::new(100), NarrowableProvider::hourly(100, &clock)] {
        let session = builder(&clock).provider(role).build();
        let own = session.credentials().await.unwrap();
        let end = Expiry::At(clock.now() + 30 * MINUTE);
        for scope in half_hour_scopes() {
            let child = session.narrow(scope).unwrap();
            let account = child.account(&account_name("default")).unwrap();
            let set = child.credentials().await.unwrap();
            assert_eq!(set.expiry(), end);
            assert_eq!(set.expose_to_sdk().expiry(), end.instant());
            assert_eq!(
                account_number(&child, "default").await.unwrap(),
                number(&set),
                "the keys are the same"
            );
            assert_eq!(
                child.for_account(&account_name("default")).credentials().await.unwrap().expiry(),
                end
            );
            assert_eq!(child.with_cached(|set| set.expiry()), Some(end));
            assert_eq!(child.cached().unwrap().expiry(), end);
            assert_eq!(child.current().unwrap().credentials.expiry(), end);
            assert_eq!(account.credentials().await.unwrap().expiry(), end);
            assert_eq!(account.cached().unwrap().expiry(), end);
            assert_eq!(account.current().unwrap().credentials.expiry(), end);
            assert_eq!(account.current().unwrap().id, child.current().unwrap().id);
            assert_eq!(account.status().unwrap().expires_at, Some(end));
        }
        assert_eq!(session.credentials().await.unwrap().expiry(), own.expiry());
    }
}

#[tokio::test]
async fn narrowed_credentials_keep_earlier_expiry() {
    let clock = ManualClock::new();
    let session = builder(&clock).build();
    session.set_credentials(expiring(&clock, 1, 10 * MINUTE)).unwrap();
    let child = session.narrow(AccessScope::new().lifetime(30 * MINUTE)).unwrap();
    assert_eq!(child.credentials().await.unwrap().expiry(), Expiry::At(clock.now() + 10 * MINUTE));
}

#[tokio::test]
async fn narrowed_session_past_deadline_stays_closed() {
    let clock = ManualClock::new();
    let session = builder(&clock).provider(NarrowableProvider::new(100)).build();
    let uses: [fn(&SessionContext) -> Option<ErrorKind>; 8] = [
        |child| Some(child.credentials().now_or_never()?.unwrap_err().kind()),
        |child| {
            Some(
                child.for_account(&account_name("default")).credentials().now_or_never()?.unwrap_err().kind(),
            )
        },
        |child| {
            Some(child.for_account(&account_name("default")).refresh().now_or_never()?.unwrap_err().kind())
        },
        |child| Some(child.account(&account_name("default")).unwrap_err().kind()),
        |child| Some(child.for_account(&account_name("default")).watch_rotations().unwrap_err().kind()),
        |child| Some(child.narrow(AccessScope::new()).unwrap_err().kind()),
        |child| Some(child.set_service_context(serde_json::json!({})).unwrap_err().kind()),
        |child| Some(child.set_credentials(numbered(1, Expiry::Never)).unwrap_err().kind()),
    ];
    for first_use in uses {
        for scope in half_hour_scopes() {
            let child = session.narrow(scope).unwrap();
            child.credentials().await.unwrap();
            child.set_service_context(serde_json::json!({"a": 1})).unwrap();
            clock.advance(30 * MINUTE);
            assert_eq!(first_use(&child), Some(ErrorKind::Closed));
            clock.rewind(20 * MINUTE);
            for use_again in uses {
                assert_eq!(use_again(&child), Some(ErrorKind::Closed));
            }
        }
    }
    let looks: [fn(&SessionContext) -> bool; 7] = [
        SessionContext::is_closed,
        |child| child.current().is_none(),
        |child| child.cached().is_none(),
        |child| child.with_cached(|_| ()).is_none(),
        |child| child.service_context().is_none(),
        |child| child.status().closed,
        |child| child.status().accounts.iter().all(|account| account.key_suffix.is_none()),
    ];
    for look in looks {
        for scope in half_hour_scopes() {
            let child = session.narrow(scope).unwrap();
            child.credentials().await.unwrap();
            child.set_service_context(serde_json::json!({"a": 1})).unwrap();
            let account = child.account(&account_name("default")).unwrap();
            clock.advance(30 * MINUTE);
            assert!(look(&child));
            assert!(account.is_closed() && account.current().is_none() && account.status().is_err());
        }
    }
    assert!(!session.is_closed());
}

#[tokio::test]
async fn narrowed_account_past_deadline_is_closed() {
    let clock = ManualClock::new();
    let session = builder(&clock).provider(NarrowableProvider::new(100)).build();
    for scope in half_hour_scopes() {
        let child = session.narrow(scope).unwrap();
        let account = child.account(&account_name("default")).unwrap();
        account.credentials().await.unwrap();
        clock.advance(30 * MINUTE);
        assert!(account.cached().is_none() && account.current().is_none());
        assert_eq!(account.credentials().await.unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[tokio::test]
async fn narrowed_session_deadline_during_fetch_fails_it() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let child = fixture.session.narrow(AccessScope::new().lifetime(30 * MINUTE)).unwrap();
    let mut caller: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(child.credentials());
    assert!(poll_once(&mut caller).await.is_none());
    fixture.clock.advance(30 * MINUTE);
    fixture.provider.release(1);
    assert_eq!(caller.await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn rotation_watcher_of_narrowed_session_ends_at_deadline() {
    let clock = ManualClock::new();
    let session = builder(&clock).provider(NarrowableProvider::new(100)).build();
    for scope in half_hour_scopes() {
        let child = session.narrow(scope).unwrap();
        let mut rotations = child.for_account(&account_name("default")).watch_rotations().unwrap();
        let watcher = tokio::spawn(async move { rotations.changed().await });
        sleep(HOUR).await;
        assert!(!watcher.is_finished(), "it is the session's clock that counts");
        clock.advance(30 * MINUTE);
        let last_change = timeout(Duration::from_secs(31), watcher).await.expect("within one sleep").unwrap();
        assert_eq!(last_change, None);
        clock.rewind(10 * MINUTE);
        assert!(child.is_closed());
    }
}

#[tokio::test(start_paused = true)]
async fn keep_warm_of_parent_refreshes_narrowed_until_deadline() {
    let clock = ManualClock::new();
    let role = NarrowableProvider::hourly(100, &clock);
    let session = builder(&clock).provider(role.clone()).build();
    let child = session.narrow(AccessScope::new().policy(read_policy()).lifetime(2 * HOUR)).unwrap();
    child.credentials().await.unwrap();
    let warmer = tokio::spawn(session.keep_warm());
    clock.advance(50 * MINUTE);
    sleep(MINUTE).await;
    assert_eq!(
        role.issued_policies(),
        vec![Some(read_policy()); 2],
        "ahead of need, and only what was asked for"
    );
    assert_eq!(account_number(&child, "default").now_or_never().unwrap().unwrap(), 101);
    // The child is no longer used, but it is not dropped.
    clock.advance(75 * MINUTE);
    sleep(10 * MINUTE).await;
    assert_eq!(role.issued_policies().len(), 2, "nothing is asked for a session whose time is up");
    warmer.abort();
    assert!(child.is_closed());
}

#[tokio::test]
async fn narrowed_session_near_deadline_fetches_once() {
    let clock = ManualClock::new();
    let role = NarrowableProvider::hourly(100, &clock);
    let session = builder(&clock).provider(role.clone()).build();
    let child = session.narrow(AccessScope::new().policy(read_policy()).lifetime(10 * MINUTE)).unwrap();
    for _ in 0..9 {
        child.credentials().await.unwrap();
        clock.advance(MINUTE);
    }
    assert_eq!(
        role.issued_policies().len(),
        1,
        "the expiry that AWS reported decides when credentials are renewed"
    );
}

#[tokio::test]
async fn is_cleared_narrowed_account_follows_parent() {
    let clock = ManualClock::new();
    for scope in half_hour_scopes() {
        let session = builder(&clock).provider(NarrowableProvider::new(100)).build();
        let child = session.narrow(scope).unwrap();
        let account = child.account(&account_name("default")).unwrap();
        child.credentials().await.unwrap();
        let before = account.current().unwrap().id;
        assert!(!account.is_cleared() && !account.was_cleared_since(before) && !child.is_cleared());
        session.clear();
        assert!(account.is_cleared() && account.was_cleared_since(before) && child.is_cleared());
    }
}
