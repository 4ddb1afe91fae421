//! An account that a child inherits, and a child that ends while a call through it is under way.

use std::future::Future;
use std::pin::Pin;

use valetkey_core::testing::ScriptedProvider;
use valetkey_core::{Alias, Credentials, ErrorKind, Expiry, Result, SessionContext};

use crate::bench::*;

fn prod() -> Alias {
    "prod".parse().unwrap()
}

/// What happens to a child while it waits for its parent's account.
async fn told_after(end: impl FnOnce(&SessionContext)) -> Result<Credentials> {
    let clock = valetkey_core::testing::ManualClock::new();
    let provider = ScriptedProvider::gated([answer(&clock, 1, HOUR)]);
    let parent = builder(&clock).provider_for(prod(), provider.clone()).build();
    let child = parent.with_credentials(numbered(10, Expiry::Never)).unwrap();
    let lent = child.account(&prod()).unwrap();
    let mut caller: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(lent.credentials());
    assert!(poll_once(&mut caller).await.is_none());
    end(&child);
    provider.let_through(1);
    let told = caller.await;
    assert_eq!(number(&parent.credentials_for(&prod()).await.unwrap()), 1, "the parent goes on");
    told
}

#[tokio::test]
async fn who_waits_for_an_inherited_account_is_given_nothing_once_the_child_was_cleared() {
    let told = told_after(SessionContext::clear).await;
    assert_eq!(told.unwrap_err().kind(), ErrorKind::NotConfigured);
}

#[tokio::test]
async fn who_waits_for_an_inherited_account_is_given_nothing_once_the_child_was_closed() {
    let told = told_after(SessionContext::close).await;
    assert_eq!(told.unwrap_err().kind(), ErrorKind::Closed);
}
