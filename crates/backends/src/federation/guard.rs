//! `FederationGuard`: the exchange of every long-lived key of an account, also of those that are set on it.

use std::sync::Arc;

use valetkey_core::{CredentialProvider, Credentials, KeyExchange};

use super::FederationProvider;

/// Exchanges the long-lived keys of an account, however they came in; made by
/// [`FederationBuilder::build_guard`](super::FederationBuilder::build_guard).
#[derive(Debug, Clone)]
pub struct FederationGuard(Arc<FederationProvider>);

impl FederationGuard {
    pub(super) fn new(exchange: FederationProvider) -> Self {
        Self(Arc::new(exchange))
    }
}

impl KeyExchange for FederationGuard {
    fn provider(&self) -> Arc<dyn CredentialProvider> {
        Arc::clone(&self.0) as _
    }

    /// Temporary credentials pass.
    fn exchange_for(&self, given: &Credentials) -> Option<Arc<dyn CredentialProvider>> {
        self.0.exchange_for(given)
    }
}
