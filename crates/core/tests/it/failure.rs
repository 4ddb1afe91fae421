//! Providers that fail, hang, panic, or answer with what is no use.

use std::time::Duration;

use valetkey_core::testing::Script;
use valetkey_core::{Error, ErrorKind, RefreshPolicy};

use crate::bench::*;

#[tokio::test]
async fn without_anything_cached_a_transient_failure_is_raised_and_the_next_call_tries_at_once() {
    let bench = Bench::new(|clock| vec![fails_unavailable(), fails_unavailable(), returns(clock, 1, HOUR)]);
    assert_eq!(bench.kind().await, ErrorKind::Unavailable);
    assert_eq!(bench.kind().await, ErrorKind::Unavailable);
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 3);
}

#[tokio::test]
async fn a_permanent_failure_is_raised_while_the_cached_set_is_still_valid_and_withdraws_it() {
    let bench = Bench::with_cached(HOUR, |_| vec![fails_denied()]).await;
    bench.clock.advance(50 * MINUTE);
    assert_eq!(bench.kind().await, ErrorKind::Denied);
    assert!(bench.session.current().is_none());
    assert!(bench.session.status().accounts[0].key_suffix.is_none());
}

#[tokio::test]
async fn a_permanent_failure_is_remembered_for_one_to_five_seconds() {
    let mut ends = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let bench = Bench::new(|_| vec![fails_denied()]);
        bench.kind().await;
        let mut waited = 0;
        while bench.provider.call_count() == 1 {
            assert_eq!(bench.kind().await, ErrorKind::Denied);
            bench.clock.advance(SECOND / 4);
            waited += 1;
        }
        assert!((5..=21).contains(&waited), "{waited} quarters of a second");
        ends.insert(waited);
    }
    assert!(ends.len() > 5, "{ends:?}");
}

#[tokio::test]
async fn a_session_recovers_from_a_permanent_failure() {
    let bench = Bench::new(|clock| vec![fails_denied(), returns(clock, 1, HOUR)]);
    bench.kind().await;
    bench.clock.advance(6 * SECOND);
    assert_eq!(bench.number().await.unwrap(), 1);
}

#[tokio::test]
async fn every_error_names_its_provider() {
    let bench = Bench::new(|_| vec![fails_unavailable()]);
    assert_eq!(bench.session.credentials().await.unwrap_err().provider(), Some("scripted"));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_is_timed_out_after_twenty_seconds() {
    let bench = Bench::new(|_| vec![Script::Hang]);
    let started = tokio::time::Instant::now();
    let error = bench.session.credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.is_transient());
    assert_eq!(error.provider(), Some("scripted"));
    assert_eq!(started.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_time_out_is_covered_by_the_cached_set() {
    let policy = RefreshPolicy::default().load_timeout(Duration::from_secs(3));
    let bench = Bench::with_policy(|clock| vec![returns(clock, 1, HOUR), Script::Hang], policy);
    bench.number().await.unwrap();
    bench.clock.advance(50 * MINUTE);
    let started = tokio::time::Instant::now();
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(started.elapsed().as_secs(), 3);
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 2, "and the back-off holds");
}

#[tokio::test]
async fn a_panic_of_the_provider_is_an_error_of_the_call() {
    let bench = Bench::new(|clock| vec![Script::Panic, returns(clock, 1, HOUR)]);
    let error = bench.session.credentials().await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Internal, Some("scripted")));
    assert_eq!(bench.number().await.unwrap(), 1);
}

#[tokio::test]
async fn a_panic_does_not_take_a_working_set_away() {
    let bench = Bench::with_cached(HOUR, |_| vec![Script::Panic]).await;
    bench.clock.advance(50 * MINUTE);
    for _ in 0..3 {
        assert_eq!(bench.number().await.unwrap(), 1);
        bench.clock.advance(SECOND / 2);
    }
    assert_eq!(bench.provider.call_count(), 2, "a panic backs off like a transient failure");
}

#[tokio::test]
async fn a_source_that_has_run_out_does_not_take_a_working_set_away() {
    let bench =
        Bench::with_cached(HOUR, |_| vec![Script::Fail(Error::new(ErrorKind::Expired, "source ran out"))]).await;
    bench.clock.advance(50 * MINUTE);
    assert_eq!(bench.number().await.unwrap(), 1);
}

#[tokio::test]
async fn an_answer_that_has_already_expired_is_a_transient_failure() {
    let stale = |clock: &_| vec![returns(clock, 1, HOUR), returns(clock, 2, 40 * MINUTE)];
    let bench = Bench::new(stale);
    bench.number().await.unwrap();
    bench.clock.advance(50 * MINUTE);
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 2);
    let cold = Bench::new(|clock| vec![returns(clock, 1, Duration::ZERO)]);
    let error = cold.session.credentials().await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(error.provider().is_some());
}
