//! Providers that fail, hang, panic, or answer with what is no use.

use std::time::Duration;

use valetkey_core::testing::Script;
use valetkey_core::{Error, ErrorKind, RefreshPolicy};

use crate::session_fixture::*;

#[tokio::test]
async fn transient_failure_uncached_is_returned_and_retried() {
    let fixture =
        SessionFixture::new(|clock| vec![fails_unavailable(), fails_unavailable(), returns(clock, 1, HOUR)]);
    assert_eq!(fixture.kind().await, ErrorKind::Unavailable);
    assert_eq!(fixture.kind().await, ErrorKind::Unavailable);
    assert_eq!(fixture.number().await.unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 3);
}

#[tokio::test]
async fn permanent_failure_unpublishes_valid_credentials() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![fails_denied()]).await;
    fixture.clock.advance(50 * MINUTE);
    assert_eq!(fixture.kind().await, ErrorKind::Denied);
    assert!(fixture.session.current().is_none());
    assert!(fixture.session.status().accounts[0].key_suffix.is_none());
}

#[tokio::test]
async fn permanent_failure_is_returned_again_for_1_to_5_s() {
    let mut ends = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let fixture = SessionFixture::new(|_| vec![fails_denied()]);
        fixture.kind().await;
        let mut waited = 0;
        while fixture.provider.call_count() == 1 {
            assert_eq!(fixture.kind().await, ErrorKind::Denied);
            fixture.clock.advance(SECOND / 4);
            waited += 1;
        }
        assert!((5..=21).contains(&waited), "{waited} quarters of a second");
        ends.insert(waited);
    }
    assert!(ends.len() > 5, "{ends:?}");
}

#[tokio::test]
async fn permanent_failure_is_retried_after_backoff() {
    let fixture = SessionFixture::new(|clock| vec![fails_denied(), returns(clock, 1, HOUR)]);
    fixture.kind().await;
    fixture.clock.advance(6 * SECOND);
    assert_eq!(fixture.number().await.unwrap(), 1);
}

#[tokio::test]
async fn fetch_error_names_provider() {
    let fixture = SessionFixture::new(|_| vec![fails_unavailable()]);
    assert_eq!(fixture.session.credentials().await.unwrap_err().provider(), Some("scripted"));
}

#[tokio::test(start_paused = true)]
async fn hanging_provider_times_out_after_20_s() {
    let fixture = SessionFixture::new(|_| vec![Script::Hang]);
    let started = tokio::time::Instant::now();
    let error = fixture.session.credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.is_transient());
    assert_eq!(error.provider(), Some("scripted"));
    assert_eq!(started.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn load_timeout_serves_cached_credentials() {
    let policy = RefreshPolicy::default().load_timeout(Duration::from_secs(3));
    let fixture = SessionFixture::with_policy(|clock| vec![returns(clock, 1, HOUR), Script::Hang], policy);
    fixture.number().await.unwrap();
    fixture.clock.advance(50 * MINUTE);
    let started = tokio::time::Instant::now();
    assert_eq!(fixture.number().await.unwrap(), 1);
    assert_eq!(started.elapsed().as_secs(), 3);
    assert_eq!(fixture.number().await.unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 2, "and the back-off holds");
}

#[tokio::test]
async fn provider_panic_is_internal_error() {
    let fixture = SessionFixture::new(|clock| vec![Script::Panic, returns(clock, 1, HOUR)]);
    let error = fixture.session.credentials().await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Internal, Some("scripted")));
    assert_eq!(fixture.number().await.unwrap(), 1);
}

#[tokio::test]
async fn provider_panic_keeps_cached_credentials() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![Script::Panic]).await;
    fixture.clock.advance(50 * MINUTE);
    for _ in 0..3 {
        assert_eq!(fixture.number().await.unwrap(), 1);
        fixture.clock.advance(SECOND / 2);
    }
    assert_eq!(fixture.provider.call_count(), 2, "a panic backs off like a transient failure");
}

#[tokio::test]
async fn expired_source_keeps_cached_credentials() {
    let fixture = SessionFixture::with_cached(HOUR, |_| {
        vec![Script::Fail(Error::new(ErrorKind::Expired, "source ran out"))]
    })
    .await;
    fixture.clock.advance(50 * MINUTE);
    assert_eq!(fixture.number().await.unwrap(), 1);
}

#[tokio::test]
async fn expired_result_is_transient_failure() {
    let stale = |clock: &_| vec![returns(clock, 1, HOUR), returns(clock, 2, 40 * MINUTE)];
    let fixture = SessionFixture::new(stale);
    fixture.number().await.unwrap();
    fixture.clock.advance(50 * MINUTE);
    assert_eq!(fixture.number().await.unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 2);
    let cold = SessionFixture::new(|clock| vec![returns(clock, 1, Duration::ZERO)]);
    let error = cold.session.credentials().await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(error.provider().is_some());
}
