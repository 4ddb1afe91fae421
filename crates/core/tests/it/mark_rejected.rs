//! A service refused the keys.

use valetkey_core::testing::Script;
use valetkey_core::{AccessKeyId, AccountName, Error, ErrorKind, Expiry};

use crate::session_fixture::*;

fn access_key_id(n: u64) -> AccessKeyId {
    numbered(n, Expiry::Never).access_key_id().clone()
}

fn default_account() -> AccountName {
    AccountName::default_account()
}

#[tokio::test]
async fn mark_rejected_refetches_on_next_call() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR)]).await;
    fixture.session.mark_rejected(&access_key_id(1));
    assert_eq!(fixture.number().await.unwrap(), 2);
}

#[tokio::test]
async fn mark_rejected_of_earlier_key_is_ignored() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR)]).await;
    fixture.session.mark_rejected(&access_key_id(7));
    assert_eq!(fixture.number().await.unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 1);
}

#[tokio::test]
async fn mark_rejected_does_not_bypass_backoff() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    fixture.session.mark_rejected(&access_key_id(1));
    assert_eq!(fixture.kind().await, ErrorKind::Expired);
    for _ in 0..100 {
        fixture.session.mark_rejected(&access_key_id(1));
        assert_eq!(fixture.kind().await, ErrorKind::Expired);
    }
    assert_eq!(fixture.provider.call_count(), 2);
}

#[tokio::test]
async fn mark_rejected_of_set_credentials_is_expired() {
    let fixture = SessionFixture::new(|_| vec![Script::Fail(Error::new(ErrorKind::Internal, "never asked"))]);
    fixture.session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    fixture.session.mark_rejected(&access_key_id(1));
    assert_eq!(fixture.kind().await, ErrorKind::Expired);
    assert_eq!(fixture.provider.call_count(), 0);
    fixture.session.set_credentials(numbered(2, Expiry::Never)).unwrap();
    assert_eq!(fixture.number().await.unwrap(), 2);
}

#[tokio::test]
async fn mark_rejected_through_account_refetches() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR)]).await;
    fixture.session.account(&default_account()).unwrap().mark_rejected(&access_key_id(1));
    assert_eq!(fixture.number().await.unwrap(), 2);
}
