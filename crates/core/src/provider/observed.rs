//! `ObservedProvider`: reports what another provider fetches, for providers whose credentials no account serves.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{CredentialObservers, CredentialProvider, Credentials, IntoProvider, Result, SessionPolicy};

/// Reports the credentials that its inner provider fetches to the observers of a session.
///
/// A session reports the credentials of its accounts itself. It does not see what the source of a role fetches, or the
/// long-lived keys behind a key exchange: wrap such a source so that a redactor knows its keys too.
///
/// # Examples
/// ```
/// # use valetkey_core::{CredentialObservers, IntoProvider, ObservedProvider, ProviderChain, SessionContext};
/// # fn example(
/// #     source: impl IntoProvider,
/// #     assume_role: impl Fn(ObservedProvider) -> ProviderChain,
/// # ) {
/// let observers = CredentialObservers::new();
/// let source = ObservedProvider::new(source, &observers);
/// let session = SessionContext::builder().observers(&observers).provider(assume_role(source)).build();
/// # }
/// ```
///
/// All other methods delegate to the inner provider. Its narrowed providers are observed as well.
#[derive(Debug)]
pub struct ObservedProvider {
    inner: Arc<dyn CredentialProvider>,
    observers: CredentialObservers,
}

impl ObservedProvider {
    /// Wraps `inner`.
    ///
    /// Observers that are attached to `observers` later are notified as well.
    pub fn new(inner: impl IntoProvider, observers: &CredentialObservers) -> Self {
        Self { inner: inner.into_provider(), observers: observers.clone() }
    }

    fn wrap(&self, inner: Arc<dyn CredentialProvider>) -> Arc<dyn CredentialProvider> {
        Arc::new(Self::new(inner, &self.observers))
    }
}

#[async_trait]
impl CredentialProvider for ObservedProvider {
    fn name(&self) -> Cow<'static, str> {
        self.inner.name()
    }

    /// Reports the credentials before it returns them.
    async fn provide(&self) -> Result<Credentials> {
        let credentials = self.inner.provide().await?;
        self.observers.report(&credentials);
        Ok(credentials)
    }

    fn cached(&self) -> Option<Credentials> {
        self.inner.cached()
    }

    fn clear_cache(&self) {
        self.inner.clear_cache();
    }

    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        self.inner.scope_down(policy).map(|inner| self.wrap(inner))
    }
}
