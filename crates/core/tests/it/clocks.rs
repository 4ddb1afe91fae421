//! Wall time that jumps.

use valetkey_core::ErrorKind;

use crate::session_fixture::*;

#[tokio::test]
async fn clock_rewind_keeps_expired_credentials_expired() {
    let fixture =
        SessionFixture::with_cached(HOUR, |clock| vec![fails_unavailable(), returns(clock, 2, 5 * HOUR)])
            .await;
    fixture.clock.advance(HOUR);
    assert_eq!(fixture.kind().await, ErrorKind::Expired);
    fixture.clock.rewind(50 * MINUTE);
    assert!(fixture.session.current().is_none());
    assert_eq!(fixture.number().await.unwrap(), 2, "it is fetched anew");
}

#[tokio::test]
async fn clock_rewind_keeps_set_credentials_expired() {
    let fixture = SessionFixture::new(|_| vec![]);
    fixture.session.set_credentials(expiring(&fixture.clock, 1, HOUR)).unwrap();
    fixture.clock.advance(2 * HOUR);
    assert_eq!(fixture.kind().await, ErrorKind::Expired);
    fixture.clock.rewind(2 * HOUR);
    assert_eq!(fixture.kind().await, ErrorKind::Expired);
}

#[tokio::test]
async fn clock_rewind_does_not_prolong_backoff() {
    let fixture =
        SessionFixture::with_cached(HOUR, |clock| vec![fails_unavailable(), returns(clock, 2, 5 * HOUR)])
            .await;
    fixture.clock.advance(50 * MINUTE);
    assert_eq!(fixture.number().await.unwrap(), 1);
    fixture.clock.rewind(MINUTE);
    assert_eq!(fixture.number().await.unwrap(), 2);
}

#[tokio::test]
async fn clock_jump_past_expiry_fetches_before_serving() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, 48 * HOUR)]).await;
    fixture.clock.advance(24 * HOUR);
    assert_eq!(fixture.number().await.unwrap(), 2);
}

#[tokio::test]
async fn clock_rewind_after_failed_refresh_keeps_expired() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    fixture.clock.advance(2 * HOUR);
    fixture.session.refresh().await.unwrap_err();
    fixture.clock.rewind(2 * HOUR);
    assert!(fixture.session.current().is_none());
}
