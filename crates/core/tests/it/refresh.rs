//! `refresh()`: a fetch that was asked for.

use valetkey_core::{ErrorKind, Expiry, SessionContext};

use crate::session_fixture::*;

#[tokio::test]
async fn refresh_always_fetches_and_returns_generation() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR)]).await;
    assert_eq!(fixture.session.refresh().await.unwrap().get(), 2);
    assert_eq!(fixture.number().await.unwrap(), 2);
    assert_eq!(fixture.provider.call_count(), 2);
}

#[tokio::test]
async fn refresh_concurrent_calls_share_one_fetch() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let refreshes = futures_util::future::join_all((0..100).map(|_| fixture.session.refresh()));
    let (generations, number, ()) = tokio::join!(refreshes, fixture.number(), async {
        settle().await;
        fixture.provider.release(100);
    });
    assert!(generations.into_iter().all(|generation| generation.unwrap().get() == 1));
    assert_eq!(number.unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 1);
}

#[tokio::test]
async fn refresh_transient_failure_keeps_credentials() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    assert_eq!(fixture.session.refresh().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(fixture.number().await.unwrap(), 1);
}

#[tokio::test]
async fn refresh_permanent_failure_unpublishes_and_backs_off() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![fails_denied()]).await;
    for _ in 0..5 {
        assert_eq!(fixture.session.refresh().await.unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(fixture.kind().await, ErrorKind::Denied);
    }
    assert_eq!(fixture.provider.call_count(), 2);
}

#[tokio::test]
async fn refresh_of_set_credentials_is_not_configured() {
    let session = SessionContext::builder().build();
    assert_eq!(session.refresh().await.unwrap_err().kind(), ErrorKind::NotConfigured);
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    assert_eq!(session.refresh().await.unwrap_err().kind(), ErrorKind::NotConfigured);
    assert_eq!(number(&session.credentials().await.unwrap()), 1);
}
