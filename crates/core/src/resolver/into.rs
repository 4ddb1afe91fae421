//! `IntoResolver`: what a function accepts when it takes a resolver.

use std::any::Any;
use std::sync::Arc;

use crate::CredentialResolver;

/// Converts a value into a shared resolver: the counterpart of [`IntoProvider`](crate::IntoProvider), implemented for
/// every [`CredentialResolver`].
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use valetkey_core::{CredentialResolver, IntoResolver, MapResolver, SessionContext};
///
/// let shared: Arc<dyn CredentialResolver> = MapResolver::new().into_resolver();
/// let sessions = [shared.clone(), shared].map(|resolver| SessionContext::builder().resolver(resolver).build());
/// assert_eq!(sessions.len(), 2);
/// ```
pub trait IntoResolver {
    /// Returns the resolver behind a shared pointer. An `Arc<dyn CredentialResolver>` is returned as it is.
    fn into_resolver(self) -> Arc<dyn CredentialResolver>;
}

impl<R: CredentialResolver + 'static> IntoResolver for R {
    fn into_resolver(self) -> Arc<dyn CredentialResolver> {
        match (&self as &dyn Any).downcast_ref::<Arc<dyn CredentialResolver>>() {
            Some(shared) => Arc::clone(shared),
            None => Arc::new(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MapResolver;

    #[test]
    fn into_resolver_of_shared_resolver_returns_same_allocation() {
        let shared: Arc<dyn CredentialResolver> = Arc::new(MapResolver::new());
        assert!(Arc::ptr_eq(&shared, &Arc::clone(&shared).into_resolver()));
    }
}
