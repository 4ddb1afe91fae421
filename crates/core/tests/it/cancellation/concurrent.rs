//! What else awaits: adopting, keeping warm, following rotations, a scope.

use std::sync::mpsc;

use valetkey_core::{CredentialId, CredentialResolver, ErrorKind, Expiry, SessionAccount};

use super::*;

/// Finds set 1 at the last of so many polls.
#[derive(Debug)]
struct SlowResolver(usize);

#[async_trait]
impl CredentialResolver for SlowResolver {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("slow")
    }

    async fn resolve(&self, _: &CredentialId) -> Result<Credentials> {
        for _ in 1..self.0 {
            tokio::task::yield_now().await;
        }
        Ok(numbered(1, Expiry::Never))
    }
}

#[tokio::test]
async fn set_from_resolver_cancelled_changes_nothing() {
    for polls in 1..=MOST {
        for after in 0..polls {
            let session = SessionContext::builder().resolver(SlowResolver(polls)).build();
            let kept = session.set_credentials(numbered(9, Expiry::Never)).unwrap();
            let id: CredentialId = "one".parse().unwrap();
            let mut adoption: Waiting<'_, _> = Box::pin(session.set_from_resolver(&id, None));
            assert!(poll(&mut adoption, after).await.is_none());
            drop(adoption);
            assert_eq!(number(&session.credentials().await.unwrap()), 9);
            assert_eq!(session.watch_rotations().unwrap().current(), kept);
            session.set_from_resolver(&id, None).await.unwrap();
            assert_eq!(number(&session.credentials().await.unwrap()), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keep_warm_cancelled_hands_fetch_to_waiting_caller() {
    for polls in 2..=MOST {
        for after in 1..polls {
            let fixture = CancellationFixture::new(RefreshWindow::Mandatory, polls).await;
            let mut warmer: Waiting<'_, ()> = Box::pin(fixture.session.keep_warm());
            assert!(poll(&mut warmer, after).await.is_none());
            let mut caller = fixture.get();
            if let Some(done) = poll_once(&mut caller).await {
                done.unwrap();
            } else {
                drop(warmer);
                assert_eq!(caller.await.unwrap(), 2);
            }
            assert_eq!(fixture.fetch_count(), 1, "left after {after} of {polls} polls");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keep_warm_cancelled_leaves_refresh_to_callers() {
    for polls in 1..=MOST {
        for after in 0..=polls {
            let case = format!("left after {after} of {polls} polls");
            let fixture = CancellationFixture::new(RefreshWindow::Advisory, polls).await;
            let mut warmer: Waiting<'_, ()> = Box::pin(fixture.session.keep_warm());
            assert!(poll(&mut warmer, after).await.is_none(), "{case}: it goes on until the session ends");
            drop(warmer);
            assert_eq!(fixture.provider.under_way(), 0, "{case}");
            fixture.assert_fetches_anew().await;
            assert!(fixture.fetch_count() <= 2, "{case}");
        }
    }
}

#[tokio::test]
async fn rotation_watcher_cancelled_wait_keeps_change() {
    let fixture = CancellationFixture::new(RefreshWindow::Cold, 1).await;
    let mut rotations = fixture.session.watch_rotations().unwrap();
    for generation in 1..5 {
        for _ in 0..3 {
            assert!(rotations.changed().now_or_never().is_none(), "polled once, and left");
        }
        fixture.session.refresh().await.unwrap();
        drop(rotations.changed());
        assert_eq!(rotations.changed().await.unwrap().get(), generation);
    }
    let mut inherited = fixture.session.with_credentials(numbered(9, Expiry::Never)).unwrap();
    let prod: AccountName = "prod".parse().unwrap();
    fixture.session.for_account(&prod).set_credentials(numbered(5, Expiry::Never)).unwrap();
    let mut rotations = inherited.for_account(&prod).watch_rotations().unwrap();
    assert!(rotations.changed().now_or_never().is_none());
    inherited.for_account(&prod).set_credentials(numbered(6, Expiry::Never)).unwrap();
    drop(rotations.changed());
    assert!(
        rotations.changed().now_or_never().flatten().is_some(),
        "the child has an account of its own now"
    );
    assert!(rotations.changed().now_or_never().is_none());
    inherited.close();
    drop(rotations.changed());
    assert_eq!(rotations.changed().await, None);
    inherited = fixture.session.clone();
    assert!(!inherited.is_closed());
}

#[tokio::test]
async fn scope_cancelled_closes_session_and_ends_fetch() {
    for polls in 1..=MOST {
        for after in 1..=polls {
            let case = format!("left after {after} of {polls} polls");
            let clock = ManualClock::new();
            let provider = SlowProvider::new(&clock);
            provider.set_polls_per_call(polls);
            let (sender, receiver) = mpsc::channel();
            let mut scope: Waiting<'_, ()> =
                Box::pin(SessionContext::scope(builder(&clock).provider(provider.clone()), {
                    async move |session: SessionContext| {
                        sender.send(session.account(&default()).unwrap()).unwrap();
                        session.credentials().await.unwrap();
                        std::future::pending().await
                    }
                }));
            assert!(poll(&mut scope, after).await.is_none());
            let lent: SessionAccount = receiver.recv().unwrap();
            assert!(!lent.is_closed(), "{case}");
            drop(scope);
            assert_eq!(provider.under_way(), 0, "{case}");
            assert_eq!(lent.credentials().await.unwrap_err().kind(), ErrorKind::Closed, "{case}");
        }
    }
}

#[tokio::test]
async fn scope_never_polled_opens_no_session() {
    let (sender, receiver) = mpsc::channel();
    let work = async move |session: SessionContext| sender.send(session).unwrap();
    drop(SessionContext::scope(SessionContext::builder(), work));
    assert!(receiver.recv().is_err());
}
