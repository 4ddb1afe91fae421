//! `provider_fn` and `resolver_fn`: functions as providers and resolvers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use valetkey_core::testing::contract;
use valetkey_core::{
    CredentialId, CredentialProvider, CredentialResolver, Error, ErrorKind, Expiry, Result, SessionContext,
    provider_fn, resolver_fn,
};

use crate::session_fixture::*;

fn unnamed_error() -> Error {
    Error::new(ErrorKind::Unavailable, "down")
}

#[tokio::test]
async fn provider_fn_satisfies_contract() {
    let serving = provider_fn("store", async || Ok(numbered(1, Expiry::Never)));
    assert_eq!(contract::faults(&serving, &["secret-1"]).await, Vec::<String>::new());
    let failing = provider_fn("store", async || Err(unnamed_error()));
    assert_eq!(contract::faults(&failing, &["secret-1"]).await, Vec::<String>::new());
}

#[tokio::test]
async fn provider_fn_is_called_at_each_fetch() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let provider = provider_fn("store", move || {
        let call = counted.fetch_add(1, Ordering::SeqCst);
        async move { Ok(numbered(call as u64, Expiry::Never)) }
    });
    let session = SessionContext::builder().provider(provider).build();
    assert_eq!(number(&session.credentials().await.unwrap()), 0);
    assert_eq!(number(&session.credentials().await.unwrap()), 0, "the session caches");
    session.account(session.default_account()).unwrap().refresh().await.unwrap();
    assert_eq!(number(&session.credentials().await.unwrap()), 1);
}

#[tokio::test]
async fn provider_fn_error_keeps_innermost_provider_name() {
    let named = provider_fn("outer", async || Err(unnamed_error().with_provider("inner")));
    assert_eq!(named.provide().await.unwrap_err().provider(), Some("inner"));
}

#[tokio::test]
async fn resolver_fn_looks_up_ids_of_session() {
    let resolver = resolver_fn("jobs", async |id: CredentialId| -> Result<_> {
        match id.as_str() {
            "job-7" => Ok(numbered(7, Expiry::Never)),
            _ => Err(Error::new(ErrorKind::Denied, "not of this session")),
        }
    });
    assert_eq!(resolver.name(), "jobs");
    let session = SessionContext::builder().resolver(resolver).build();
    session.set_from_resolver(&"job-7".parse().unwrap(), None).await.unwrap();
    assert_eq!(number(&session.credentials().await.unwrap()), 7);
    let error = session.set_from_resolver(&"job-8".parse().unwrap(), None).await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Denied, Some("jobs")));
}
