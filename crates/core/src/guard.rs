//! `AccountGuard`: decides what an account serves in place of credentials that are set on it.

use std::fmt;
use std::sync::Arc;

use crate::{CredentialProvider, Credentials};

/// Decides what an account serves in place of the credentials that are set on it, such as temporary credentials in
/// exchange for long-lived keys.
///
/// A guard belongs to the account, not to its provider, so a provider that wraps another one cannot lose it. Register
/// it with [`SessionBuilder::guard_for`](crate::SessionBuilder::guard_for) or
/// [`SessionContext::set_guard_for`](crate::SessionContext::set_guard_for). A guard cannot be removed, only replaced
/// by another guard. A child session that sets its own credentials has a separate account, without a guard.
///
/// No method may block.
pub trait AccountGuard: fmt::Debug + Send + Sync {
    /// Returns the provider of the account while no credentials are set on it.
    fn provider(&self) -> Arc<dyn CredentialProvider>;

    /// Returns the provider to use in place of `given`, the credentials that are set on the account.
    ///
    /// `None`: the account serves `given`. `Some(provider)`: `given` is never served; the session calls the provider,
    /// which keeps `given`, until other credentials are set or the account is cleared.
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
