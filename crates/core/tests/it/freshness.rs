//! Fresh, advisory, mandatory, expired: who is served what, and who waits.

use valetkey_core::testing::Script;
use valetkey_core::{Expiry, Freshness, RefreshPolicy};

use crate::bench::*;

#[tokio::test]
async fn a_fresh_set_is_served_without_asking_again() {
    let bench = Bench::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR)]).await;
    bench.clock.advance(40 * MINUTE);
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 1);
}

#[tokio::test]
async fn in_the_advisory_window_one_caller_refreshes_and_the_others_do_not_wait() {
    let bench = Bench::blocked(|clock| vec![returns(clock, 1, HOUR), returns(clock, 2, 2 * HOUR)]);
    bench.provider.let_through(1);
    assert_eq!(bench.number().await.unwrap(), 1);
    bench.clock.advance(50 * MINUTE);
    let mut first: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(bench.number());
    assert!(poll_once(&mut first).await.is_none(), "the one that refreshes waits");
    for _ in 0..100 {
        let mut other: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(bench.number());
        assert_eq!(poll_once(&mut other).await.expect("at once").unwrap(), 1);
    }
    bench.provider.let_through(1);
    assert_eq!(first.await.unwrap(), 2, "and gets the new set");
    assert_eq!(bench.provider.call_count(), 2);
}

#[tokio::test]
async fn in_the_mandatory_window_every_caller_gets_the_new_set() {
    let bench = Bench::blocked(|clock| vec![returns(clock, 1, HOUR), returns(clock, 2, 2 * HOUR)]);
    bench.provider.let_through(1);
    bench.number().await.unwrap();
    bench.clock.advance(59 * MINUTE + 30 * SECOND);
    let callers = futures_util::future::join_all((0..50).map(|_| bench.number()));
    let (numbers, ()) = tokio::join!(callers, async {
        settle().await;
        bench.provider.let_through(1);
    });
    assert!(numbers.into_iter().all(|number| number.unwrap() == 2));
    assert_eq!(bench.provider.call_count(), 2);
}

#[tokio::test]
async fn in_the_mandatory_window_a_transient_failure_leaves_the_cached_set() {
    let bench = Bench::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    bench.clock.advance(59 * MINUTE + 30 * SECOND);
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 2);
}

#[tokio::test]
async fn an_expired_set_is_never_served_and_its_error_keeps_the_cause() {
    let bench = Bench::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    bench.clock.advance(HOUR);
    let error = bench.session.credentials().await.unwrap_err();
    assert_eq!(error.kind(), valetkey_core::ErrorKind::Expired);
    assert_eq!(source_kind(&error), Some(valetkey_core::ErrorKind::Unavailable));
    assert!(bench.session.current().is_none());
}

#[tokio::test]
async fn an_expired_set_is_replaced_before_anyone_is_served() {
    let bench = Bench::with_cached(HOUR, |clock| vec![returns(clock, 2, 3 * HOUR)]).await;
    bench.clock.advance(2 * HOUR);
    assert_eq!(bench.number().await.unwrap(), 2);
}

#[tokio::test]
async fn with_serve_expired_the_old_set_is_served_when_the_source_is_down() {
    let bench = Bench::with_policy(
        |clock| vec![returns(clock, 1, HOUR), fails_unavailable()],
        RefreshPolicy::default().serve_expired(true),
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
async fn with_serve_expired_a_permanent_failure_still_stops_the_session() {
    let bench = Bench::with_policy(
        |clock| vec![returns(clock, 1, HOUR), fails_denied()],
        RefreshPolicy::default().serve_expired(true),
    );
    bench.number().await.unwrap();
    bench.clock.advance(2 * HOUR);
    assert_eq!(bench.kind().await, valetkey_core::ErrorKind::Denied);
}

#[tokio::test]
async fn a_set_without_expiry_is_read_again_after_max_age_and_served_meanwhile() {
    let policy = RefreshPolicy::default().max_age(10 * MINUTE);
    let never = |n| Script::Answer(numbered(n, Expiry::Never));
    let bench = Bench::with_policy(|_| vec![never(1), fails_unavailable(), never(2)], policy);
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
async fn ten_minutes_before_the_end_is_advisory_for_an_hour_and_fresh_for_a_quarter() {
    for (lifetime, freshness) in [(HOUR, Freshness::Advisory), (15 * MINUTE, Freshness::Fresh)] {
        let bench = Bench::with_cached(lifetime, |_| vec![]).await;
        bench.clock.advance(lifetime - 10 * MINUTE);
        assert_eq!(bench.session.status().accounts[0].freshness, Some(freshness));
    }
}

#[tokio::test]
async fn sessions_opened_together_do_not_refresh_together() {
    let mut starts = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let bench = Bench::with_cached(HOUR, |_| vec![]).await;
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
