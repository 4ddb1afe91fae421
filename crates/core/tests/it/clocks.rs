//! Wall time that jumps.

use valetkey_core::ErrorKind;

use crate::bench::*;

#[tokio::test]
async fn clock_rewind_keeps_expired_credentials_expired() {
    let bench =
        SessionFixture::with_cached(HOUR, |clock| vec![fails_unavailable(), returns(clock, 2, 5 * HOUR)])
            .await;
    bench.clock.advance(HOUR);
    assert_eq!(bench.kind().await, ErrorKind::Expired);
    bench.clock.rewind(50 * MINUTE);
    assert!(bench.session.current().is_none());
    assert_eq!(bench.number().await.unwrap(), 2, "it is fetched anew");
}

#[tokio::test]
async fn clock_rewind_keeps_set_credentials_expired() {
    let bench = SessionFixture::new(|_| vec![]);
    bench.session.set_credentials(expiring(&bench.clock, 1, HOUR)).unwrap();
    bench.clock.advance(2 * HOUR);
    assert_eq!(bench.kind().await, ErrorKind::Expired);
    bench.clock.rewind(2 * HOUR);
    assert_eq!(bench.kind().await, ErrorKind::Expired);
}

#[tokio::test]
async fn clock_rewind_does_not_prolong_backoff() {
    let bench =
        SessionFixture::with_cached(HOUR, |clock| vec![fails_unavailable(), returns(clock, 2, 5 * HOUR)])
            .await;
    bench.clock.advance(50 * MINUTE);
    assert_eq!(bench.number().await.unwrap(), 1);
    bench.clock.rewind(MINUTE);
    assert_eq!(bench.number().await.unwrap(), 2);
}

#[tokio::test]
async fn clock_jump_past_expiry_fetches_before_serving() {
    let bench = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, 48 * HOUR)]).await;
    bench.clock.advance(24 * HOUR);
    assert_eq!(bench.number().await.unwrap(), 2);
}

#[tokio::test]
async fn clock_rewind_after_failed_refresh_keeps_expired() {
    let bench = SessionFixture::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    bench.clock.advance(2 * HOUR);
    bench.session.refresh().await.unwrap_err();
    bench.clock.rewind(2 * HOUR);
    assert!(bench.session.current().is_none());
}
