//! `clear_cache` reaches the source of each provider, but does not clear the account of another session.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use valetkey_backends::{
    AssumeRoleProvider, FederationTokenProvider, ScopedProvider, SecretsManagerProvider, SessionTokenProvider,
};
use valetkey_core::{CredentialProvider, Credentials, Result, SessionContext};

use crate::http_fixture::HttpFixture;
use crate::{long_lived, static_source};

/// Counts the calls of `clear_cache`.
#[derive(Debug, Default)]
struct ClearCountingProvider(AtomicUsize);

#[async_trait]
impl CredentialProvider for ClearCountingProvider {
    fn name(&self) -> Cow<'static, str> {
        "forgetful".into()
    }

    async fn provide(&self) -> Result<Credentials> {
        Ok(long_lived(crate::KEY_ID))
    }

    fn clear_cache(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Every provider that has a source.
fn derived_providers(source: &Arc<dyn CredentialProvider>) -> [Arc<dyn CredentialProvider>; 5] {
    let (base, role) =
        (HttpFixture::responding(500, "").client_config(), "arn:aws:iam::222222222222:role/agent");
    let source = || Arc::clone(source);
    let federated = FederationTokenProvider::builder("alice", source());
    [
        Arc::new(
            AssumeRoleProvider::builder(role.parse().unwrap(), source())
                .client_config(&base)
                .build()
                .unwrap(),
        ),
        Arc::new(SessionTokenProvider::builder(source()).client_config(&base).build().unwrap()),
        Arc::new(federated.client_config(&base).build().unwrap()),
        Arc::new(ScopedProvider::builder(source()).client_config(&base).build().unwrap()),
        Arc::new(SecretsManagerProvider::builder("agent", source()).client_config(&base).build().unwrap()),
    ]
}

#[tokio::test]
async fn session_clear_clears_source_caches_of_provider() {
    let forgetful = Arc::new(ClearCountingProvider::default());
    let source: Arc<dyn CredentialProvider> = forgetful.clone();
    for (number, provider) in derived_providers(&source).into_iter().enumerate() {
        let outer =
            AssumeRoleProvider::builder("arn:aws:iam::222222222222:role/outer".parse().unwrap(), provider);
        let outer = outer.client_config(&HttpFixture::responding(500, "").client_config()).build().unwrap();
        SessionContext::builder().provider(outer).build().clear();
        assert!(forgetful.0.load(Ordering::SeqCst) > number, "not cleared through provider {number}");
    }
}

#[tokio::test]
async fn clear_cache_of_derived_provider_keeps_session_account() {
    let given = SessionContext::builder().provider(static_source()).build();
    given.credentials().await.unwrap();
    let account: Arc<dyn CredentialProvider> = Arc::new(given.account(given.default_account()).unwrap());
    for provider in derived_providers(&account) {
        provider.clear_cache();
        assert!(given.current().is_some());
    }
}
