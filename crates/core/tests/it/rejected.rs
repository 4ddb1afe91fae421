//! A service refused the keys.

use valetkey_core::testing::Script;
use valetkey_core::{AccessKeyId, AccountName, Error, ErrorKind, Expiry};

use crate::bench::*;

fn access_key_id(n: u64) -> AccessKeyId {
    numbered(n, Expiry::Never).access_key_id().clone()
}

fn default_account() -> AccountName {
    AccountName::default_account()
}

#[tokio::test]
async fn mark_rejected_refetches_on_next_call() {
    let bench = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR)]).await;
    bench.session.mark_rejected(&access_key_id(1));
    assert_eq!(bench.number().await.unwrap(), 2);
}

#[tokio::test]
async fn mark_rejected_of_earlier_key_is_ignored() {
    let bench = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR)]).await;
    bench.session.mark_rejected(&access_key_id(7));
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 1);
}

#[tokio::test]
async fn mark_rejected_does_not_bypass_backoff() {
    let bench = SessionFixture::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    bench.session.mark_rejected(&access_key_id(1));
    assert_eq!(bench.kind().await, ErrorKind::Expired);
    for _ in 0..100 {
        bench.session.mark_rejected(&access_key_id(1));
        assert_eq!(bench.kind().await, ErrorKind::Expired);
    }
    assert_eq!(bench.provider.call_count(), 2);
}

#[tokio::test]
async fn mark_rejected_of_set_credentials_is_expired() {
    let bench = SessionFixture::new(|_| vec![Script::Fail(Error::new(ErrorKind::Internal, "never asked"))]);
    bench.session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    bench.session.mark_rejected(&access_key_id(1));
    assert_eq!(bench.kind().await, ErrorKind::Expired);
    assert_eq!(bench.provider.call_count(), 0);
    bench.session.set_credentials(numbered(2, Expiry::Never)).unwrap();
    assert_eq!(bench.number().await.unwrap(), 2);
}

#[tokio::test]
async fn mark_rejected_through_account_refetches() {
    let bench = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR)]).await;
    bench.session.account(&default_account()).unwrap().mark_rejected(&access_key_id(1));
    assert_eq!(bench.number().await.unwrap(), 2);
}
