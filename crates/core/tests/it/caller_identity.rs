//! The identity that AWS reports for an account: fetched once for each version of its credentials, and not returned
//! once they are gone.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use valetkey_core::{
    CallerIdentity, CallerIdentityCache, CallerIdentityProvider, Credentials, Error, ErrorKind, Result,
};

use crate::session_fixture::*;

/// Reports credentials `n` as user `n` once it has a permit; fails or panics if `error_kind` is set.
#[derive(Debug)]
struct CallerIdentityFixture {
    calls: AtomicUsize,
    permits: Semaphore,
    error_kind: Option<ErrorKind>,
}

impl CallerIdentityFixture {
    fn blocked() -> Arc<Self> {
        Arc::new(Self { calls: AtomicUsize::new(0), permits: Semaphore::new(0), error_kind: None })
    }

    fn unblocked() -> Arc<Self> {
        let sts = Self::blocked();
        sts.permits.add_permits(1_000);
        sts
    }

    fn failing(kind: ErrorKind) -> Arc<Self> {
        let gate = Semaphore::new(0);
        Arc::new(Self { calls: AtomicUsize::new(0), permits: gate, error_kind: Some(kind) })
    }

    fn call_count(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl CallerIdentityProvider for CallerIdentityFixture {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("sts")
    }

    async fn caller_identity(&self, credentials: &Credentials) -> Result<CallerIdentity> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        match self.error_kind {
            Some(ErrorKind::Internal) => panic!("the provider is set to panic"),
            Some(kind) => Err(Error::new(kind, "no")),
            None => Ok(CallerIdentity::new(
                "111111111111".parse().unwrap(),
                format!("arn:aws:iam::111111111111:user/{}", number(credentials)),
                "AIDA",
            )),
        }
    }
}

fn caller_identity_cache(fixture: &SessionFixture, sts: &Arc<CallerIdentityFixture>) -> CallerIdentityCache {
    CallerIdentityCache::new(fixture.session.account(fixture.session.default_account()).unwrap(), sts.clone())
}

async fn fetch_user(whoami: &CallerIdentityCache) -> u64 {
    let caller = whoami.get().await.unwrap();
    caller.arn().rsplit_once('/').unwrap().1.parse().unwrap()
}

async fn fetch_error_kind(whoami: &CallerIdentityCache) -> ErrorKind {
    whoami.get().await.unwrap_err().kind()
}

#[tokio::test]
async fn caller_identity_cache_concurrent_calls_share_one() {
    let (fixture, sts) =
        (SessionFixture::new(|clock| vec![returns(clock, 1, HOUR)]), CallerIdentityFixture::blocked());
    let whoami = caller_identity_cache(&fixture, &sts);
    let (users, ()) = tokio::join!(join_all((0..1_000).map(|_| fetch_user(&whoami))), async {
        settle().await;
        sts.permits.add_permits(1_000);
    });
    assert!(users.into_iter().all(|user| user == 1));
    assert_eq!(fetch_user(&whoami.clone()).await, 1, "a clone knows it too");
    assert_eq!((sts.call_count(), fixture.provider.call_count()), (1, 1));
}

#[tokio::test]
async fn caller_identity_cache_fetches_for_each_version() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR)]).await;
    let sts = CallerIdentityFixture::unblocked();
    let whoami = caller_identity_cache(&fixture, &sts);
    assert_eq!(fetch_user(&whoami).await, 1);
    fixture.session.refresh().await.unwrap();
    assert_eq!([fetch_user(&whoami).await, fetch_user(&whoami).await], [2, 2]);
    fixture.session.set_credentials(expiring(&fixture.clock, 3, HOUR)).unwrap();
    assert_eq!(fetch_user(&whoami).await, 3);
    assert_eq!(sts.call_count(), 3);
}

#[tokio::test]
async fn caller_identity_cache_discards_result_of_old_version() {
    let (fixture, sts) =
        (SessionFixture::new(|clock| vec![returns(clock, 1, HOUR)]), CallerIdentityFixture::blocked());
    let whoami = caller_identity_cache(&fixture, &sts);
    let (user, ()) = tokio::join!(fetch_user(&whoami), async {
        settle().await;
        fixture.session.set_credentials(expiring(&fixture.clock, 2, HOUR)).unwrap();
        sts.permits.add_permits(2);
    });
    assert_eq!((user, sts.call_count()), (2, 2));
}

#[tokio::test]
async fn caller_identity_cache_fails_after_clear_or_close() {
    for (end, expected) in [(false, ErrorKind::NotConfigured), (true, ErrorKind::Closed)] {
        let (fixture, sts) =
            (SessionFixture::new(|clock| vec![returns(clock, 1, HOUR)]), CallerIdentityFixture::blocked());
        let (known, asked) = (caller_identity_cache(&fixture, &sts), caller_identity_cache(&fixture, &sts));
        sts.permits.add_permits(1);
        assert_eq!(fetch_user(&known).await, 1);
        let (during, ()) = tokio::join!(fetch_error_kind(&asked), async {
            settle().await;
            if end {
                fixture.session.close()
            } else {
                fixture.session.clear()
            };
            sts.permits.add_permits(1);
        });
        assert_eq!((during, fetch_error_kind(&known).await, sts.call_count()), (expected, expected, 2));
    }
}

#[tokio::test]
async fn caller_identity_cache_error_is_shared_and_not_cached() {
    for fails in [ErrorKind::Unavailable, ErrorKind::Denied, ErrorKind::Internal] {
        let (fixture, sts) = (
            SessionFixture::new(|clock| vec![returns(clock, 1, HOUR)]),
            CallerIdentityFixture::failing(fails),
        );
        let whoami = caller_identity_cache(&fixture, &sts);
        let (kinds, ()) = tokio::join!(join_all((0..100).map(|_| fetch_error_kind(&whoami))), async {
            settle().await;
            sts.permits.add_permits(2);
        });
        assert!(kinds.into_iter().all(|kind| kind == fails));
        assert_eq!(sts.call_count(), 1);
        assert_eq!((fetch_error_kind(&whoami).await, sts.call_count()), (fails, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn caller_identity_cache_hanging_call_times_out() {
    let (fixture, sts) =
        (SessionFixture::new(|clock| vec![returns(clock, 1, HOUR)]), CallerIdentityFixture::blocked());
    let error = caller_identity_cache(&fixture, &sts).get().await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::TimedOut, Some("sts")));
}

#[tokio::test]
async fn caller_identity_cache_dropped_leader_keeps_follower() {
    let (fixture, sts) =
        (SessionFixture::new(|clock| vec![returns(clock, 1, HOUR)]), CallerIdentityFixture::blocked());
    let whoami = caller_identity_cache(&fixture, &sts);
    let mut first = Box::pin(whoami.get()) as std::pin::Pin<Box<dyn Future<Output = _> + Send + '_>>;
    assert!(poll_once(&mut first).await.is_none());
    let (user, ()) = tokio::join!(fetch_user(&whoami), async {
        settle().await;
        drop(first);
        sts.permits.add_permits(1);
    });
    assert_eq!((user, sts.call_count()), (1, 1), "the second caller continues with the same call");
}

#[tokio::test]
async fn caller_identity_cache_without_credentials_makes_no_call() {
    let (fixture, sts) = (SessionFixture::new(|_| vec![fails_denied()]), CallerIdentityFixture::unblocked());
    assert_eq!(
        (fetch_error_kind(&caller_identity_cache(&fixture, &sts)).await, sts.call_count()),
        (ErrorKind::Denied, 0)
    );
    assert!(!format!("{:?}", caller_identity_cache(&fixture, &sts)).contains("secret"));
}
