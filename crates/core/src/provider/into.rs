//! `IntoProvider`: what a function accepts when it takes a provider.

use std::any::Any;
use std::sync::Arc;

use crate::CredentialProvider;

/// Converts a value into a shared provider.
///
/// Every function that takes a provider takes `impl IntoProvider`, so that a provider, an `Arc` of a provider and an
/// `Arc<dyn CredentialProvider>` are all accepted. The trait is implemented for every [`CredentialProvider`]; there is
/// no need to implement it.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use valetkey_core::{CredentialProvider, ProviderChain, SessionContext};
///
/// fn sessions(shared: Arc<dyn CredentialProvider>, chain: ProviderChain) -> [SessionContext; 2] {
///     let of_shared = SessionContext::builder().provider(shared).build();
///     let of_chain = SessionContext::builder().provider(chain).build();
///     [of_shared, of_chain]
/// }
/// ```
pub trait IntoProvider {
    /// Returns the provider behind a shared pointer. An `Arc<dyn CredentialProvider>` is returned as it is.
    fn into_provider(self) -> Arc<dyn CredentialProvider>;
}

impl<P: CredentialProvider + 'static> IntoProvider for P {
    fn into_provider(self) -> Arc<dyn CredentialProvider> {
        // An `Arc<dyn CredentialProvider>` is a provider too. A second `Arc` around it would cost an allocation here,
        // and a boxed future more at every fetch.
        match (&self as &dyn Any).downcast_ref::<Arc<dyn CredentialProvider>>() {
            Some(shared) => Arc::clone(shared),
            None => Arc::new(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProviderChain;
    use crate::testing::ScriptedProvider;

    #[test]
    fn into_provider_of_shared_provider_returns_same_allocation() {
        let shared: Arc<dyn CredentialProvider> = Arc::new(ScriptedProvider::new([]));
        assert!(Arc::ptr_eq(&shared, &Arc::clone(&shared).into_provider()));
    }

    #[test]
    fn into_provider_accepts_owned_and_concrete_shared_providers() {
        assert_eq!(ScriptedProvider::new([]).into_provider().name(), "scripted");
        assert_eq!(Arc::new(ProviderChain::new(ScriptedProvider::new([]))).into_provider().name(), "chain");
    }
}
