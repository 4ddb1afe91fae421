//! `KeyExchange`: decides what an account serves in place of credentials that are set on it.

use std::fmt;
use std::sync::Arc;

use crate::{CredentialProvider, Credentials};

/// Decides what an account serves in place of the credentials that are set on it, such as temporary credentials in
/// exchange for long-lived keys.
///
/// A key exchange belongs to the account, not to its provider, so a provider that wraps another one cannot lose it.
/// Register it with [`SessionBuilder::exchange_static_keys`](crate::SessionBuilder::exchange_static_keys) or
/// [`SessionAccount::set_key_exchange`](crate::SessionAccount::set_key_exchange). It cannot be removed, only
/// replaced by another one. A child session that sets its own credentials has a separate account, without an exchange.
///
/// No method may block.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use valetkey_core::{CredentialProvider, Credentials, KeyExchange, Result, SessionContext, provider_fn};
/// # async fn issue_temporary(keys: Credentials) -> Result<Credentials> { Ok(keys) }
///
/// /// Exchanges every key that is set on the account.
/// #[derive(Debug)]
/// struct Exchange(Arc<dyn CredentialProvider>);
///
/// impl KeyExchange for Exchange {
///     fn provider(&self) -> Arc<dyn CredentialProvider> {
///         Arc::clone(&self.0)
///     }
///
///     fn exchange_for(&self, keys: &Credentials) -> Option<Arc<dyn CredentialProvider>> {
///         let keys = keys.clone();
///         Some(Arc::new(provider_fn("exchange", move || issue_temporary(keys.clone()))))
///     }
/// }
///
/// fn open(configured: Arc<dyn CredentialProvider>, keys: Credentials) -> Result<SessionContext> {
///     let session = SessionContext::builder().exchange_static_keys(Exchange(configured)).build();
///     session.set_credentials(keys)?; // these keys are never served
///     Ok(session)
/// }
/// ```
pub trait KeyExchange: fmt::Debug + Send + Sync {
    /// Returns the provider of the account while no credentials are set on it.
    fn provider(&self) -> Arc<dyn CredentialProvider>;

    /// Returns the provider to use in place of `keys`, the credentials that are set on the account.
    ///
    /// `None`: the account serves `keys`. `Some(provider)`: `keys` are never served; the session calls the provider,
    /// which owns them, until other credentials are set or the account is cleared.
    ///
    /// Decide by the kind of the keys, such as [`has_session_token`](Credentials::has_session_token): `None` for
    /// temporary credentials, which need no exchange.
    fn exchange_for(&self, keys: &Credentials) -> Option<Arc<dyn CredentialProvider>>;
}

impl<T: KeyExchange + ?Sized> KeyExchange for Arc<T> {
    fn provider(&self) -> Arc<dyn CredentialProvider> {
        T::provider(self)
    }

    fn exchange_for(&self, keys: &Credentials) -> Option<Arc<dyn CredentialProvider>> {
        T::exchange_for(self, keys)
    }
}
