//! How long a transient failure keeps the session from asking again.

use std::collections::BTreeSet;

use valetkey_core::ErrorKind;

use crate::session_fixture::*;

/// A session in its advisory window whose source has just failed transiently.
async fn fail_with_remaining(remaining: std::time::Duration) -> SessionFixture {
    let fixture = SessionFixture::with_cached(12 * HOUR, |_| vec![fails_unavailable()]).await;
    fixture.clock.advance(12 * HOUR - remaining);
    assert_eq!(fixture.number().await.unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 2);
    fixture
}

#[tokio::test]
async fn backoff_long_serves_cached_for_300_to_600_s() {
    let mut pauses = BTreeSet::new();
    for _ in 0..60 {
        let fixture = fail_with_remaining(50 * MINUTE).await;
        let mut pause = 0;
        while fixture.provider.call_count() == 2 {
            fixture.clock.advance(SECOND);
            pause += 1;
            assert_eq!(fixture.number().await.unwrap(), 1);
        }
        assert!((300..=600).contains(&pause), "{pause}");
        pauses.insert(pause);
    }
    let (first, last) = (pauses.first().unwrap(), pauses.last().unwrap());
    assert!(*first < 360 && *last > 540, "uniform over the whole range: {pauses:?}");
}

#[tokio::test]
async fn backoff_long_ends_when_mandatory_window_opens() {
    let fixture = fail_with_remaining(2 * MINUTE).await;
    fixture.clock.advance(59 * SECOND);
    assert_eq!(fixture.number().await.unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 2);
    fixture.clock.advance(SECOND);
    assert_eq!(fixture.number().await.unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 3);
}

#[tokio::test]
async fn backoff_short_from_mandatory_retries_every_1_to_5_s() {
    let fixture = fail_with_remaining(2 * MINUTE).await;
    fixture.clock.advance(61 * SECOND);
    fixture.number().await.unwrap();
    let (mut pause, mut pauses, mut calls) = (0, BTreeSet::new(), fixture.provider.call_count());
    for tick in 0..2_000 {
        fixture.clock.advance(SECOND / 10);
        pause += 1;
        let answer = fixture.number().await;
        // 59 s are left at the start.
        assert_eq!(answer.is_ok(), tick < 589, "tick {tick}: {answer:?}");
        if fixture.provider.call_count() > calls {
            pauses.insert(pause);
            (pause, calls) = (0, fixture.provider.call_count());
        }
    }
    assert!(
        *pauses.first().unwrap() >= 10 && *pauses.last().unwrap() <= 50,
        "tenths of a second: {pauses:?}"
    );
    assert!(calls > 40, "{calls}");
}

#[tokio::test]
async fn backoff_after_expiry_returns_error_with_cause() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    fixture.clock.advance(HOUR);
    for _ in 0..3 {
        let error = fixture.session.credentials().await.unwrap_err();
        assert_eq!((error.kind(), source_kind(&error)), (ErrorKind::Expired, Some(ErrorKind::Unavailable)));
    }
    assert_eq!(fixture.provider.call_count(), 2);
}

#[tokio::test]
async fn backoff_ends_on_success() {
    let fixture =
        SessionFixture::with_cached(HOUR, |clock| vec![fails_unavailable(), returns(clock, 2, 2 * HOUR)])
            .await;
    fixture.clock.advance(50 * MINUTE);
    assert_eq!(fixture.number().await.unwrap(), 1);
    fixture.clock.advance(9 * MINUTE + 30 * SECOND);
    assert_eq!(fixture.number().await.unwrap(), 2);
    fixture.clock.advance(SECOND);
    assert_eq!(fixture.number().await.unwrap(), 2);
}
