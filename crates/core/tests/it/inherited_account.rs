//! An account that a child inherits, and a child that ends while a call through it is under way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use valetkey_core::testing::{ManualClock, Script, ScriptedProvider, VirtualClock};
use valetkey_core::{
    AccessScope, AccountName, Credentials, ErrorKind, Expiry, OutstandingCredentials, Result, SessionContext,
};

use crate::session_fixture::*;

fn prod() -> AccountName {
    "prod".parse().unwrap()
}

/// What happens to a child while it waits for its parent's account.
async fn result_after(end: impl FnOnce(&SessionContext) -> OutstandingCredentials) -> Result<Credentials> {
    let clock = ManualClock::new();
    let provider = ScriptedProvider::blocked([returns(&clock, 1, HOUR)]);
    let parent = builder(&clock).provider_for(prod(), provider.clone()).build();
    let child = parent.with_credentials(numbered(10, Expiry::Never)).unwrap();
    let lent = child.account(&prod()).unwrap();
    let mut caller: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(lent.credentials());
    assert!(poll_once(&mut caller).await.is_none());
    end(&child);
    let result = poll_once(&mut caller).await.expect("an answer while the parent's provider is still busy");
    drop(caller);
    provider.release(1);
    assert_eq!(number(&parent.for_account(&prod()).credentials().await.unwrap()), 1, "the parent goes on");
    result
}

#[tokio::test]
async fn inherited_account_wait_fails_when_child_is_cleared() {
    let result = result_after(SessionContext::clear).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::NotConfigured);
}

#[tokio::test]
async fn inherited_account_wait_fails_when_child_is_closed() {
    let result = result_after(SessionContext::close).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn narrowed_account_wait_fails_at_deadline() {
    let provider = ScriptedProvider::new([Script::Hang]);
    let parent = SessionContext::builder().clock(Arc::new(VirtualClock::new())).provider(provider).build();
    let view = parent.narrow(AccessScope::new().lifetime(10 * SECOND)).unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(view.credentials().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(began.elapsed(), 10 * SECOND, "the provider is given up after 20 s");
}
