//! Many threads at once: what was cleared stays cleared, what is served is whole.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use valetkey_core::{CredentialProvider, Credentials, ErrorKind, Expiry, Result, SessionContext};

use crate::session_fixture::*;

/// Returns the next credentials each time, after a few yields.
#[derive(Debug, Default)]
struct CountingProvider(AtomicU64);

#[async_trait]
impl CredentialProvider for CountingProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("counting")
    }

    async fn provide(&self) -> Result<Credentials> {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        Ok(numbered(self.0.fetch_add(1, Ordering::SeqCst), Expiry::Never))
    }
}

/// Refreshes and fetches until `stop` is set; errors do not matter here.
fn spawn_noise(session: &SessionContext, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<()>> {
    let ask = |session: SessionContext, stop: Arc<AtomicBool>| async move {
        while !stop.load(Ordering::SeqCst) {
            let _any = session.refresh().await;
            let _any = session.credentials().await;
            tokio::task::yield_now().await;
        }
    };
    (0..4).map(|_| tokio::spawn(ask(session.clone(), Arc::clone(stop)))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clear_under_load_serves_nothing() {
    let session = SessionContext::builder().build();
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = spawn_noise(&session, &stop);
    for round in 0..500 {
        session.set_provider(CountingProvider::default()).unwrap();
        let child = session.with_provider(CountingProvider::default()).unwrap();
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        session.clear();
        for _ in 0..5 {
            assert!(session.current().is_none(), "round {round}");
            assert!(child.current().is_none(), "round {round}");
            assert_eq!(session.credentials().await.unwrap_err().kind(), ErrorKind::NotConfigured);
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn set_credentials_under_load_are_served() {
    let session = SessionContext::builder().build();
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = spawn_noise(&session, &stop);
    for round in 1_000_000..1_000_300 {
        session.clear();
        session.set_provider(CountingProvider::default()).unwrap();
        tokio::task::yield_now().await;
        session.set_credentials(numbered(round, Expiry::Never)).unwrap();
        for _ in 0..5 {
            assert_eq!(number(&session.credentials().await.unwrap()), round);
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn close_of_parent_closes_children_created_concurrently() {
    for _ in 0..300 {
        let parent = SessionContext::builder().build();
        let first = parent.with_credentials(numbered(0, Expiry::Never)).unwrap();
        let maker = parent.clone();
        let task = tokio::spawn(async move {
            let later = (1..20).filter_map(|n| maker.with_credentials(numbered(n, Expiry::Never)).ok());
            let made: Vec<_> = std::iter::once(first).chain(later).collect();
            (maker, made)
        });
        tokio::task::yield_now().await;
        parent.close();
        let (_maker, children) = task.await.unwrap();
        assert!(children.iter().all(|child| child.is_closed() && child.current().is_none()));
    }
}
