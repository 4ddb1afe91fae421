//! `ProviderChain`: uses the first provider that is configured.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{CredentialProvider, Credentials, Error, ErrorKind, IntoProvider, Result, SessionPolicy};

/// Tries providers in order, and uses the first one that is configured.
///
/// Only `NotConfigured` falls through to the next provider. Any other error stops the chain: when a role is refused,
/// the chain must not continue with credentials of a different identity, such as the host's.
///
/// A chain remembers nothing: each fetch begins with the first provider.
///
/// # Examples
/// ```
/// use valetkey_core::{CredentialProvider, Credentials, Error, ProviderChain, provider_fn};
/// # const TEXT: &str = r#"{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "example"}"#;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> valetkey_core::Result<()> {
///
/// let profile = provider_fn("profile", async || Err(Error::not_configured("no profile is named")));
/// let store = provider_fn("store", async || Credentials::from_json(TEXT, "store"));
/// let chain = ProviderChain::new(profile).or_else(store);
/// assert_eq!(chain.provide().await?.provider(), "store");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ProviderChain {
    providers: Vec<Arc<dyn CredentialProvider>>,
}

impl ProviderChain {
    /// Creates a chain that begins with `provider`.
    pub fn new(provider: impl IntoProvider) -> Self {
        Self { providers: vec![provider.into_provider()] }
    }

    /// Adds `provider`, which is called when all providers before it are not configured.
    #[must_use]
    pub fn or_else(mut self, provider: impl IntoProvider) -> Self {
        self.providers.push(provider.into_provider());
        self
    }
}

#[async_trait]
impl CredentialProvider for ProviderChain {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("chain")
    }

    /// Returns the first result that is not `NotConfigured`.
    ///
    /// # Errors
    /// The first error of another kind, which names its provider; or `NotConfigured`, with a list of all providers.
    async fn provide(&self) -> Result<Credentials> {
        for provider in &self.providers {
            match provider.credentials().await {
                Err(error) if error.kind() == ErrorKind::NotConfigured => {}
                answer => return answer.map_err(|error| error.with_provider(provider.name())),
            }
        }
        let asked: Vec<_> = self.providers.iter().map(|provider| provider.name()).collect();
        Err(Error::not_configured(format!("none of these providers is configured: {}", asked.join(", ")))
            .with_provider(self.name())
            .with_next_step("configure one of them, or set credentials on the session"))
    }

    fn clear_cache(&self) {
        self.providers.iter().for_each(|provider| provider.clear_cache());
    }

    /// Returns a chain of the same providers, each narrowed.
    ///
    /// # Errors
    /// The error of the first provider that cannot be narrowed. Leaving it out would replace its credentials by those
    /// of another provider.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let narrowed = |provider: &Arc<dyn CredentialProvider>| {
            provider.scope_down(policy).map_err(|error| error.with_provider(provider.name()))
        };
        Ok(Arc::new(Self { providers: self.providers.iter().map(narrowed).collect::<Result<_>>()? }))
    }
}
