//! Fresh, advisory, mandatory, expired: who is served what, and who waits.

use valetkey_core::testing::Script;
use valetkey_core::{Expiry, Freshness, RefreshPolicy};

use crate::bench::*;

#[tokio::test]
async fn fresh_credentials_are_served_without_fetch() {
    let bench = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR)]).await;
    bench.clock.advance(40 * MINUTE);
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 1);
}

#[tokio::test]
async fn advisory_window_one_caller_refreshes_others_are_served() {
    let bench = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR), returns(clock, 2, 2 * HOUR)]);
    bench.provider.release(1);
    assert_eq!(bench.number().await.unwrap(), 1);
    bench.clock.advance(50 * MINUTE);
    let mut first: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(bench.number());
    assert!(poll_once(&mut first).await.is_none(), "the one that refreshes waits");
    for _ in 0..100 {
        let mut other: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(bench.number());
        assert_eq!(poll_once(&mut other).await.expect("at once").unwrap(), 1);
    }
    bench.provider.release(1);
    assert_eq!(first.await.unwrap(), 2, "and gets the new credentials");
    assert_eq!(bench.provider.call_count(), 2);
}

#[tokio::test]
async fn mandatory_window_all_callers_get_new_credentials() {
    let bench = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR), returns(clock, 2, 2 * HOUR)]);
    bench.provider.release(1);
    bench.number().await.unwrap();
    bench.clock.advance(59 * MINUTE + 30 * SECOND);
    let callers = futures_util::future::join_all((0..50).map(|_| bench.number()));
    let (numbers, ()) = tokio::join!(callers, async {
        settle().await;
        bench.provider.release(1);
    });
    assert!(numbers.into_iter().all(|number| number.unwrap() == 2));
    assert_eq!(bench.provider.call_count(), 2);
}

#[tokio::test]
async fn mandatory_window_transient_failure_serves_cached() {
    let bench = SessionFixture::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    bench.clock.advance(59 * MINUTE + 30 * SECOND);
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 2);
}

#[tokio::test]
async fn expired_credentials_fail_with_cause() {
    let bench = SessionFixture::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    bench.clock.advance(HOUR);
    let error = bench.session.credentials().await.unwrap_err();
    assert_eq!(error.kind(), valetkey_core::ErrorKind::Expired);
    assert_eq!(source_kind(&error), Some(valetkey_core::ErrorKind::Unavailable));
    assert!(bench.session.current().is_none());
}

#[tokio::test]
async fn expired_credentials_are_replaced_before_serving() {
    let bench = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, 3 * HOUR)]).await;
    bench.clock.advance(2 * HOUR);
    assert_eq!(bench.number().await.unwrap(), 2);
}

#[tokio::test]
async fn serve_expired_transient_failure_serves_expired() {
    let bench = SessionFixture::with_policy(
        |clock| vec![returns(clock, 1, HOUR), fails_unavailable()],
        RefreshPolicy::default().serve_expired(),
    );
    bench.number().await.unwrap();
    bench.clock.advance(HOUR + MINUTE);
    assert_eq!(bench.number().await.unwrap(), 1);
    bench.clock.advance(299 * SECOND);
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 2, "the full back-off holds after expiry too");
    bench.clock.advance(301 * SECOND);
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 3);
}

#[tokio::test]
async fn serve_expired_permanent_failure_is_returned() {
    let bench = SessionFixture::with_policy(
        |clock| vec![returns(clock, 1, HOUR), fails_denied()],
        RefreshPolicy::default().serve_expired(),
    );
    bench.number().await.unwrap();
    bench.clock.advance(2 * HOUR);
    assert_eq!(bench.kind().await, valetkey_core::ErrorKind::Denied);
}

#[tokio::test]
async fn max_age_refetches_and_serves_cached_meanwhile() {
    let policy = RefreshPolicy::default().max_age(10 * MINUTE);
    let never = |n| Script::Answer(numbered(n, Expiry::Never));
    let bench = SessionFixture::with_policy(|_| vec![never(1), fails_unavailable(), never(2)], policy);
    assert_eq!(bench.number().await.unwrap(), 1);
    bench.clock.advance(8 * MINUTE);
    bench.number().await.unwrap();
    assert_eq!(bench.provider.call_count(), 1);
    bench.clock.advance(2 * MINUTE);
    assert_eq!(bench.number().await.unwrap(), 1, "a failure to read it again changes nothing");
    bench.clock.advance(11 * MINUTE);
    assert_eq!(bench.number().await.unwrap(), 2);
    assert_eq!(bench.provider.call_count(), 3);
}

#[tokio::test]
async fn advisory_window_depends_on_lifetime() {
    for (lifetime, freshness) in [(HOUR, Freshness::Advisory), (15 * MINUTE, Freshness::Fresh)] {
        let bench = SessionFixture::with_cached(lifetime, |_| vec![]).await;
        bench.clock.advance(lifetime - 10 * MINUTE);
        assert_eq!(bench.session.status().accounts[0].freshness, Some(freshness));
    }
}

#[tokio::test]
async fn advisory_window_is_jittered_per_session() {
    let mut starts = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let bench = SessionFixture::with_cached(HOUR, |_| vec![]).await;
        bench.clock.advance(43 * MINUTE);
        let mut waited = 0;
        while bench.session.status().accounts[0].freshness == Some(Freshness::Fresh) {
            bench.clock.advance(SECOND);
            waited += 1;
        }
        assert!((30..=120).contains(&waited), "at most a tenth of the window early: {waited} s");
        starts.insert(waited);
    }
    assert!(starts.len() > 10, "{starts:?}");
}
