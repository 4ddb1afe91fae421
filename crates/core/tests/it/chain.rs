//! Chains: only *not configured* falls through.

use valetkey_core::testing::{Script, ScriptedProvider};
use valetkey_core::{CredentialProvider, Error, ErrorKind, Expiry, ProviderChain};

use crate::session_fixture::*;

fn failing(kind: ErrorKind) -> ScriptedProvider {
    ScriptedProvider::new([Script::Fail(Error::new(kind, "scripted failure"))])
}

fn returning(n: u64) -> ScriptedProvider {
    ScriptedProvider::new([Script::Answer(numbered(n, Expiry::Never))])
}

#[tokio::test]
async fn provider_chain_returns_first_configured() {
    let last = returning(2);
    let chain =
        ProviderChain::new(failing(ErrorKind::NotConfigured)).or_else(returning(1)).or_else(last.clone());
    assert_eq!(number(&chain.provide().await.unwrap()), 1);
    assert_eq!(last.call_count(), 0);
}

#[tokio::test]
async fn provider_chain_stops_at_other_errors() {
    for kind in [
        ErrorKind::Denied,
        ErrorKind::InteractionRequired,
        ErrorKind::Invalid,
        ErrorKind::Expired,
        ErrorKind::Throttled,
        ErrorKind::TimedOut,
        ErrorKind::Unavailable,
        ErrorKind::Closed,
        ErrorKind::Internal,
    ] {
        let host = returning(1);
        let chain = ProviderChain::new(failing(kind)).or_else(host.clone());
        let error = chain.provide().await.unwrap_err();
        assert_eq!((error.kind(), error.provider()), (kind, Some("scripted")));
        assert_eq!(host.call_count(), 0, "the host's credentials were not touched after {kind:?}");
    }
}

#[tokio::test]
async fn provider_chain_none_configured_lists_providers() {
    let chain =
        ProviderChain::new(failing(ErrorKind::NotConfigured)).or_else(failing(ErrorKind::NotConfigured));
    let error = chain.provide().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConfigured);
    assert!(error.message().ends_with("scripted, scripted"), "{error}");
}

#[tokio::test]
async fn provider_chain_nests() {
    let inner = ProviderChain::new(failing(ErrorKind::NotConfigured));
    let chain = ProviderChain::new(inner).or_else(returning(3));
    assert_eq!(number(&chain.provide().await.unwrap()), 3);
}
