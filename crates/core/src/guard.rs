//! `AccountGuard`: what an account serves in place of credentials that are set on it.

use std::fmt;
use std::sync::Arc;

use crate::{CredentialProvider, Credentials};

/// Stands between an account and the credentials that are set on it, such as an exchange of long-lived keys for
/// temporary ones.
///
/// A guard belongs to the account, and not to its provider: a provider that wraps another one cannot lose it. Register it
/// with [`SessionBuilder::guard_for`](crate::SessionBuilder::guard_for) or
/// [`SessionContext::set_guard_for`](crate::SessionContext::set_guard_for). There is no way to remove a guard, only to
/// replace it by another. A child session in which credentials are set for itself is another account, without a guard.
///
/// No method may block.
pub trait AccountGuard: fmt::Debug + Send + Sync {
    /// The provider of the account while no credentials are set on it.
    fn provider(&self) -> Arc<dyn CredentialProvider>;

    /// The provider to use in place of `given`, which is set on the account. With `None`, `given` is served as it is. Else
    /// it is never served itself, and the session calls the returned provider, which keeps `given`, until other
    /// credentials are set or the account is cleared.
    fn in_place_of(&self, keys: &Credentials) -> Option<Arc<dyn CredentialProvider>>;
}

impl<T: AccountGuard + ?Sized> AccountGuard for Arc<T> {
    fn provider(&self) -> Arc<dyn CredentialProvider> {
        T::provider(self)
    }

    fn in_place_of(&self, keys: &Credentials) -> Option<Arc<dyn CredentialProvider>> {
        T::in_place_of(self, keys)
    }
}
