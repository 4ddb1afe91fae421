//! A provider that panics fails the calls that wait for it, and nothing else.

use futures_util::future::join_all;
use valetkey_core::{CredentialId, CredentialResolver, ErrorKind, Expiry};

use super::*;

#[tokio::test]
async fn provider_panic_fails_all_waiters_and_is_retried() {
    for window in WINDOWS {
        for polls in 1..=MOST {
            let fixture = CancellationFixture::new(window, polls).await;
            fixture.provider.set_panics(true);
            let mut herd: Vec<_> = (0..polls).map(|_| fixture.refresh()).collect();
            for one in &mut herd[1..] {
                assert!(poll_once(one).await.is_none(), "{window:?}");
            }
            for result in join_all(herd).await {
                let error = result.unwrap_err();
                assert_eq!(
                    (error.kind(), error.provider()),
                    (ErrorKind::Internal, Some("slow")),
                    "{window:?}"
                );
            }
            assert_eq!((fixture.fetch_count(), fixture.provider.under_way()), (1, 0), "{window:?}");
            fixture.provider.set_panics(false);
            fixture.refresh().await.unwrap();
            fixture.assert_fetches_anew().await;
        }
    }
}

/// A provider whose name panics.
#[derive(Debug)]
struct PanickingName;

#[async_trait]
impl CredentialProvider for PanickingName {
    fn name(&self) -> Cow<'static, str> {
        panic!("it has no name")
    }

    async fn provide(&self) -> Result<Credentials> {
        Ok(numbered(1, Expiry::Never))
    }
}

/// A provider that panics when its cache is cleared.
#[derive(Debug)]
struct PanickingClearCache;

#[async_trait]
impl CredentialProvider for PanickingClearCache {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("unforgetting")
    }

    async fn provide(&self) -> Result<Credentials> {
        Ok(numbered(1, Expiry::Never))
    }

    fn clear_cache(&self) {
        panic!("the cache cannot be cleared")
    }
}

#[tokio::test]
async fn provider_name_panic_fails_the_call() {
    let session = SessionContext::builder().provider(PanickingName).build();
    let asking = tokio::spawn({
        let session = session.clone();
        async move { session.credentials().await.map(|credentials| number(&credentials)) }
    });
    match asking.await.expect("no panic reaches the caller") {
        Ok(n) => assert_eq!(n, 1),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Internal),
    }
}

#[tokio::test]
async fn provider_clear_cache_panic_still_closes_session() {
    let session = SessionContext::builder().provider(PanickingClearCache).build();
    let child = session.with_credentials(numbered(9, Expiry::Never)).unwrap();
    session.credentials().await.unwrap();
    let ended = session.clone();
    let _panicked = std::thread::spawn(move || ended.close()).join();
    assert!(session.is_closed() && session.current().is_none());
    assert_eq!(child.credentials().await.unwrap_err().kind(), ErrorKind::Closed, "the child ends too");
}

#[tokio::test]
async fn resolver_panic_keeps_credentials() {
    #[derive(Debug)]
    struct PanickingResolver;

    #[async_trait]
    impl CredentialResolver for PanickingResolver {
        fn name(&self) -> Cow<'static, str> {
            Cow::Borrowed("panicking")
        }

        async fn resolve(&self, _: &CredentialId) -> Result<Credentials> {
            panic!("the resolver is broken")
        }
    }

    let session = SessionContext::builder().resolver(PanickingResolver).build();
    session.set_credentials(numbered(9, Expiry::Never)).unwrap();
    let adopting = session.clone();
    let task =
        tokio::spawn(
            async move { adopting.set_from_resolver(&"one".parse().unwrap(), None).await.map(drop) },
        );
    let _panicked = task.await;
    assert_eq!(number(&session.credentials().await.unwrap()), 9);
    session.set_credentials(numbered(10, Expiry::Never)).unwrap();
    assert_eq!(number(&session.credentials().await.unwrap()), 10);
}
