//! Clear, close and set while a fetch is in flight: what comes back late is dropped.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use valetkey_core::testing::{ManualClock, ScriptedProvider};
use valetkey_core::{
    AccountName, CredentialProvider, Credentials, Error, ErrorKind, Expiry, Generation, ProviderChain, Result,
};

use crate::session_fixture::*;

type Caller<'a> = Pin<Box<dyn Future<Output = Result<u64>> + Send + 'a>>;
type Refresh<'a> = Pin<Box<dyn Future<Output = Result<Generation>> + Send + 'a>>;

/// A fixture with one caller waiting for its fetch.
async fn start_fetch(fixture: &SessionFixture) -> Caller<'_> {
    let mut caller: Caller<'_> = Box::pin(fixture.number());
    assert!(poll_once(&mut caller).await.is_none());
    assert_eq!(fixture.provider.call_count(), 1);
    caller
}

fn blocked_fixture() -> SessionFixture {
    SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR)])
}

#[tokio::test]
async fn clear_or_close_during_fetch_wins_and_fails_waiters() {
    for (close, expected) in [(false, ErrorKind::NotConfigured), (true, ErrorKind::Closed)] {
        let fixture = blocked_fixture();
        let caller = start_fetch(&fixture).await;
        if close {
            fixture.session.close();
        } else {
            fixture.session.clear();
        }
        assert_eq!(caller.await.unwrap_err().kind(), expected, "without the provider's answer");
        fixture.provider.release(1);
        settle().await;
        assert_eq!(fixture.kind().await, expected);
        assert!(fixture.session.current().is_none());
    }
}

#[tokio::test]
async fn clear_racing_with_result_discards_it() {
    let fixture = blocked_fixture();
    let caller = start_fetch(&fixture).await;
    fixture.provider.release(1);
    fixture.session.clear();
    assert_eq!(caller.await.unwrap_err().kind(), ErrorKind::NotConfigured);
    assert!(fixture.session.current().is_none());
}

#[tokio::test]
async fn clear_after_result_fails_callers_still_waiting() {
    let fixture = blocked_fixture();
    let mut leader = start_fetch(&fixture).await;
    let mut follower: Caller<'_> = Box::pin(fixture.number());
    assert!(poll_once(&mut follower).await.is_none());
    fixture.provider.release(1);
    assert_eq!(poll_once(&mut leader).await.unwrap().unwrap(), 1);
    fixture.session.clear();
    assert_eq!(follower.await.unwrap_err().kind(), ErrorKind::NotConfigured);
}

#[tokio::test]
async fn clear_after_failure_fails_callers_still_waiting() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR), fails_unavailable()]);
    fixture.provider.release(1);
    assert_eq!(fixture.number().await.unwrap(), 1);
    fixture.clock.advance(HOUR - 30 * SECOND);
    let mut callers: [Caller<'_>; 2] = std::array::from_fn(|_| Box::pin(fixture.number()) as Caller<'_>);
    for caller in &mut callers {
        assert!(poll_once(caller).await.is_none());
    }
    fixture.provider.release(1);
    let [mut leader, follower] = callers;
    assert_eq!(poll_once(&mut leader).await.unwrap().unwrap(), 1, "still valid");
    fixture.session.clear();
    assert_eq!(follower.await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn clear_after_result_fails_refreshes_still_waiting() {
    let fixture = blocked_fixture();
    let mut leader = start_fetch(&fixture).await;
    let mut follower: Refresh<'_> = Box::pin(fixture.session.refresh());
    assert!(poll_once(&mut follower).await.is_none());
    fixture.provider.release(1);
    assert_eq!(poll_once(&mut leader).await.unwrap().unwrap(), 1);
    fixture.session.clear();
    assert_eq!(follower.await.unwrap_err().kind(), ErrorKind::NotConfigured);
}

#[tokio::test]
async fn set_credentials_during_fetch_wins() {
    let fixture = blocked_fixture();
    let caller = start_fetch(&fixture).await;
    fixture.session.set_credentials(numbered(9, Expiry::Never)).unwrap();
    assert_eq!(caller.await.unwrap(), 9);
    fixture.provider.release(1);
    settle().await;
    assert_eq!(fixture.number().await.unwrap(), 9);
}

#[tokio::test]
async fn clear_of_parent_cancels_fetches_of_children() {
    let fixture = blocked_fixture();
    let provider = ScriptedProvider::blocked([returns(&fixture.clock, 5, HOUR)]);
    let child = fixture.session.with_provider(provider.clone()).unwrap();
    let mut caller: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(child.credentials());
    assert!(poll_once(&mut caller).await.is_none());
    fixture.session.clear();
    assert_eq!(caller.await.unwrap_err().kind(), ErrorKind::NotConfigured);
    provider.release(1);
    settle().await;
    assert!(child.current().is_none());
}

#[tokio::test]
async fn clear_suspends_providers_until_credentials_are_set() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR)]).await;
    let (prod, default): (AccountName, _) =
        ("prod".parse().unwrap(), fixture.session.default_account().clone());
    fixture.session.clear();
    fixture.session.clear();
    assert_eq!(fixture.kind().await, ErrorKind::NotConfigured);
    assert_eq!(
        fixture.session.for_account(&default).refresh().await.unwrap_err().kind(),
        ErrorKind::NotConfigured
    );
    assert!(fixture.session.status().accounts[0].provider.is_none(), "no provider would be called");
    assert_eq!(fixture.provider.call_count(), 1);
    let stale = expiring(&fixture.clock, 8, std::time::Duration::ZERO);
    fixture.session.for_account(&prod).set_credentials(stale).unwrap_err();
    assert_eq!(fixture.kind().await, ErrorKind::NotConfigured, "expired credentials resume no account");
    fixture.session.for_account(&prod).set_credentials(numbered(9, Expiry::Never)).unwrap();
    assert_eq!(fixture.number().await.unwrap(), 2);
}

#[tokio::test]
async fn clear_resets_backoff() {
    let fixture = SessionFixture::new(|_| vec![fails_denied()]);
    fixture.kind().await;
    fixture.session.clear();
    fixture.session.set_credentials(numbered(2, Expiry::Never)).unwrap();
    assert_eq!(fixture.number().await.unwrap(), 2);
    fixture.session.clear();
    let provider = ScriptedProvider::new([returns(&fixture.clock, 3, HOUR)]);
    fixture.session.set_provider(provider).unwrap();
    assert_eq!(fixture.number().await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn clear_stops_keep_warm_from_fetching() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR)]).await;
    let warmer = tokio::spawn(fixture.session.keep_warm());
    fixture.session.clear();
    fixture.clock.advance(2 * HOUR);
    tokio::time::sleep(HOUR).await;
    assert_eq!(fixture.provider.call_count(), 1);
    assert!(fixture.session.current().is_none());
    warmer.abort();
}

#[tokio::test]
async fn closed_session_refuses_every_call() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![]).await;
    let (session, alias) = (fixture.session.clone(), fixture.session.default_account().clone());
    let lent = session.account(&alias).unwrap();
    fixture.session.close();
    let closed = [
        session.credentials().await.map(drop),
        session.for_account(&alias).credentials().await.map(drop),
        session.set_credentials(numbered(2, Expiry::Never)).map(drop),
        session.for_account(&"new".parse().unwrap()).set_credentials(numbered(2, Expiry::Never)).map(drop),
        session.for_account(&alias).set_provider(fixture.provider.clone()),
        session.for_account(&alias).refresh().await.map(drop),
        session.account(&alias).map(drop),
        session.for_account(&alias).watch_rotations().map(drop),
        session.set_service_context(serde_json::json!({})),
        session.with_credentials(numbered(3, Expiry::Never)).map(drop),
        session.with_provider(fixture.provider.clone()).map(drop),
        session.set_from_resolver(&"id".parse().unwrap(), None).await.map(drop),
        lent.credentials().await.map(drop),
        lent.status().map(drop),
        lent.watch_rotations().map(drop),
    ];
    for (place, answer) in closed.into_iter().enumerate() {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Closed, "place {place}");
    }
    assert!(session.status().closed && session.service_context().is_none() && session.is_closed());
    session.clear();
    session.close();
}

#[tokio::test]
async fn clear_and_close_clear_cache_of_every_provider() {
    let (default, deploy) = (ClearCountingProvider::default(), ClearCountingProvider::default());
    let chain = ProviderChain::new(Arc::new(deploy.clone()));
    let session = builder(&ManualClock::new())
        .provider(default.clone())
        .provider_for("deploy".parse().unwrap(), chain)
        .build();
    session.clear();
    assert_eq!((default.clear_count(), deploy.clear_count()), (1, 1));
    session.close();
    session.close();
    assert_eq!((default.clear_count(), deploy.clear_count()), (2, 2));
}

/// Counts the calls to `clear_cache`.
#[derive(Debug, Clone, Default)]
struct ClearCountingProvider(Arc<AtomicUsize>);

impl ClearCountingProvider {
    fn clear_count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl CredentialProvider for ClearCountingProvider {
    fn name(&self) -> Cow<'static, str> {
        "forgetful".into()
    }

    async fn provide(&self) -> Result<Credentials> {
        Err(Error::not_configured("nothing here"))
    }

    fn clear_cache(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
