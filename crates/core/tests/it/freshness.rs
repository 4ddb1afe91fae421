//! Fresh, advisory, mandatory, expired: who is served what, and who waits.

use valetkey_core::testing::Script;
use valetkey_core::{Expiry, Freshness, RefreshPolicy};

use crate::session_fixture::*;

#[tokio::test]
async fn fresh_credentials_are_served_without_fetch() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR)]).await;
    fixture.clock.advance(40 * MINUTE);
    assert_eq!(fixture.number().await.unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 1);
}

#[tokio::test]
async fn advisory_window_one_caller_refreshes_others_are_served() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR), returns(clock, 2, 2 * HOUR)]);
    fixture.provider.release(1);
    assert_eq!(fixture.number().await.unwrap(), 1);
    fixture.clock.advance(50 * MINUTE);
    let mut first: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(fixture.number());
    assert!(poll_once(&mut first).await.is_none(), "the one that refreshes waits");
    for _ in 0..100 {
        let mut other: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(fixture.number());
        assert_eq!(poll_once(&mut other).await.expect("at once").unwrap(), 1);
    }
    fixture.provider.release(1);
    assert_eq!(first.await.unwrap(), 2, "and gets the new credentials");
    assert_eq!(fixture.provider.call_count(), 2);
}

#[tokio::test]
async fn mandatory_window_all_callers_get_new_credentials() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR), returns(clock, 2, 2 * HOUR)]);
    fixture.provider.release(1);
    fixture.number().await.unwrap();
    fixture.clock.advance(59 * MINUTE + 30 * SECOND);
    let callers = futures_util::future::join_all((0..50).map(|_| fixture.number()));
    let (numbers, ()) = tokio::join!(callers, async {
        settle().await;
        fixture.provider.release(1);
    });
    assert!(numbers.into_iter().all(|number| number.unwrap() == 2));
    assert_eq!(fixture.provider.call_count(), 2);
}

#[tokio::test]
async fn mandatory_window_transient_failure_serves_cached() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    fixture.clock.advance(59 * MINUTE + 30 * SECOND);
    assert_eq!(fixture.number().await.unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 2);
}

#[tokio::test]
async fn expired_credentials_fail_with_cause() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    fixture.clock.advance(HOUR);
    let error = fixture.session.credentials().await.unwrap_err();
    assert_eq!(error.kind(), valetkey_core::ErrorKind::Expired);
    assert_eq!(source_kind(&error), Some(valetkey_core::ErrorKind::Unavailable));
    assert!(fixture.session.current().is_none());
}

#[tokio::test]
async fn expired_credentials_are_replaced_before_serving() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, 3 * HOUR)]).await;
    fixture.clock.advance(2 * HOUR);
    assert_eq!(fixture.number().await.unwrap(), 2);
}

#[tokio::test]
async fn serve_expired_transient_failure_serves_expired() {
    let fixture = SessionFixture::with_policy(
        |clock| vec![returns(clock, 1, HOUR), fails_unavailable()],
        RefreshPolicy::default().serve_expired(),
    );
    fixture.number().await.unwrap();
    fixture.clock.advance(HOUR + MINUTE);
    assert_eq!(fixture.number().await.unwrap(), 1);
    fixture.clock.advance(299 * SECOND);
    assert_eq!(fixture.number().await.unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 2, "the full back-off holds after expiry too");
    fixture.clock.advance(301 * SECOND);
    assert_eq!(fixture.number().await.unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 3);
}

#[tokio::test]
async fn serve_expired_permanent_failure_is_returned() {
    let fixture = SessionFixture::with_policy(
        |clock| vec![returns(clock, 1, HOUR), fails_denied()],
        RefreshPolicy::default().serve_expired(),
    );
    fixture.number().await.unwrap();
    fixture.clock.advance(2 * HOUR);
    assert_eq!(fixture.kind().await, valetkey_core::ErrorKind::Denied);
}

#[tokio::test]
async fn max_age_refetches_and_serves_cached_meanwhile() {
    let policy = RefreshPolicy::default().max_age(10 * MINUTE);
    let never = |n| Script::Answer(numbered(n, Expiry::Never));
    let fixture = SessionFixture::with_policy(|_| vec![never(1), fails_unavailable(), never(2)], policy);
    assert_eq!(fixture.number().await.unwrap(), 1);
    fixture.clock.advance(8 * MINUTE);
    fixture.number().await.unwrap();
    assert_eq!(fixture.provider.call_count(), 1);
    fixture.clock.advance(2 * MINUTE);
    assert_eq!(fixture.number().await.unwrap(), 1, "a failure to read it again changes nothing");
    fixture.clock.advance(11 * MINUTE);
    assert_eq!(fixture.number().await.unwrap(), 2);
    assert_eq!(fixture.provider.call_count(), 3);
}

#[tokio::test]
async fn advisory_window_depends_on_lifetime() {
    for (lifetime, freshness) in [(HOUR, Freshness::Advisory), (15 * MINUTE, Freshness::Fresh)] {
        let fixture = SessionFixture::with_cached(lifetime, |_| vec![]).await;
        fixture.clock.advance(lifetime - 10 * MINUTE);
        assert_eq!(fixture.session.status().accounts[0].freshness, Some(freshness));
    }
}

#[tokio::test]
async fn advisory_window_is_jittered_per_session() {
    let mut starts = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let fixture = SessionFixture::with_cached(HOUR, |_| vec![]).await;
        fixture.clock.advance(43 * MINUTE);
        let mut waited = 0;
        while fixture.session.status().accounts[0].freshness == Some(Freshness::Fresh) {
            fixture.clock.advance(SECOND);
            waited += 1;
        }
        assert!((30..=120).contains(&waited), "at most a tenth of the window early: {waited} s");
        starts.insert(waited);
    }
    assert!(starts.len() > 10, "{starts:?}");
}
