//! How long a transient failure keeps the session from asking again.

use std::collections::BTreeSet;

use valetkey_core::ErrorKind;

use crate::bench::*;

/// A session in its advisory window whose source has just failed transiently.
async fn failed_with_time_left(remaining: std::time::Duration) -> Bench {
    let bench = Bench::with_cached(12 * HOUR, |_| vec![fails_unavailable()]).await;
    bench.clock.advance(12 * HOUR - remaining);
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 2);
    bench
}

#[tokio::test]
async fn the_cached_set_is_served_and_nobody_asks_for_300_to_600_seconds() {
    let mut pauses = BTreeSet::new();
    for _ in 0..60 {
        let bench = failed_with_time_left(50 * MINUTE).await;
        let mut pause = 0;
        while bench.provider.call_count() == 2 {
            bench.clock.advance(SECOND);
            pause += 1;
            assert_eq!(bench.number().await.unwrap(), 1);
        }
        assert!((300..=600).contains(&pause), "{pause}");
        pauses.insert(pause);
    }
    let (first, last) = (pauses.first().unwrap(), pauses.last().unwrap());
    assert!(*first < 360 && *last > 540, "uniform over the whole range: {pauses:?}");
}

#[tokio::test]
async fn the_pause_is_cut_short_when_the_mandatory_window_opens() {
    let bench = failed_with_time_left(2 * MINUTE).await;
    bench.clock.advance(59 * SECOND);
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 2);
    bench.clock.advance(SECOND);
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 3);
}

#[tokio::test]
async fn inside_the_mandatory_window_and_after_expiry_one_attempt_is_made_per_one_to_five_seconds() {
    let bench = failed_with_time_left(2 * MINUTE).await;
    bench.clock.advance(61 * SECOND);
    bench.number().await.unwrap();
    let (mut pause, mut pauses, mut calls) = (0, BTreeSet::new(), bench.provider.call_count());
    for tick in 0..2_000 {
        bench.clock.advance(SECOND / 10);
        pause += 1;
        let answer = bench.number().await;
        // 59 s are left at the start.
        assert_eq!(answer.is_ok(), tick < 589, "tick {tick}: {answer:?}");
        if bench.provider.call_count() > calls {
            pauses.insert(pause);
            (pause, calls) = (0, bench.provider.call_count());
        }
    }
    assert!(
        *pauses.first().unwrap() >= 10 && *pauses.last().unwrap() <= 50,
        "tenths of a second: {pauses:?}"
    );
    assert!(calls > 40, "{calls}");
}

#[tokio::test]
async fn between_attempts_after_expiry_the_error_is_remembered_with_its_cause() {
    let bench = Bench::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    bench.clock.advance(HOUR);
    for _ in 0..3 {
        let error = bench.session.credentials().await.unwrap_err();
        assert_eq!((error.kind(), source_kind(&error)), (ErrorKind::Expired, Some(ErrorKind::Unavailable)));
    }
    assert_eq!(bench.provider.call_count(), 2);
}

#[tokio::test]
async fn a_success_ends_the_back_off() {
    let bench = Bench::with_cached(HOUR, |clock| vec![fails_unavailable(), returns(clock, 2, 2 * HOUR)]).await;
    bench.clock.advance(50 * MINUTE);
    assert_eq!(bench.number().await.unwrap(), 1);
    bench.clock.advance(9 * MINUTE + 30 * SECOND);
    assert_eq!(bench.number().await.unwrap(), 2);
    bench.clock.advance(SECOND);
    assert_eq!(bench.number().await.unwrap(), 2);
}
