//! `ProviderChain`: the first provider that is configured answers, for better or worse.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{CredentialProvider, Credentials, Error, ErrorKind, Result, SessionPolicy};

/// Providers asked in order.
///
/// Only *not configured* falls through. Any other failure stops the chain: a role that was refused is never replaced
/// by somebody else's credentials, least of all the host's.
#[derive(Debug, Clone)]
pub struct ProviderChain {
    providers: Vec<Arc<dyn CredentialProvider>>,
}

impl ProviderChain {
    /// A chain that begins with `provider`.
    pub fn new(provider: impl CredentialProvider + 'static) -> Self {
        Self { providers: vec![Arc::new(provider)] }
    }

    /// Asks `provider` when all before it are not configured.
    #[must_use]
    pub fn or_else(mut self, provider: impl CredentialProvider + 'static) -> Self {
        self.providers.push(Arc::new(provider));
        self
    }
}

#[async_trait]
impl CredentialProvider for ProviderChain {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("chain")
    }

    /// The first answer that is not *not configured*.
    ///
    /// # Errors
    /// The first failure of another kind, naming its provider; or `NotConfigured`, listing every provider asked.
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

    /// A chain of the same providers, each narrowed.
    ///
    /// # Errors
    /// What the first provider says that cannot be narrowed: left out, it would be replaced by another's credentials.
    fn narrowed(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let narrowed = |provider: &Arc<dyn CredentialProvider>| {
            provider.narrowed(policy).map_err(|error| error.with_provider(provider.name()))
        };
        Ok(Arc::new(Self { providers: self.providers.iter().map(narrowed).collect::<Result<_>>()? }))
    }
}
