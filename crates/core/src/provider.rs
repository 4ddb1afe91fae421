//! `CredentialProvider`: fetches credentials from a source.

mod chain;
mod function;
mod into;
mod observed;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Credentials, Error, Result, SessionPolicy};

pub use chain::ProviderChain;
pub use function::{ProviderFn, provider_fn};
pub use into::IntoProvider;
pub use observed::ObservedProvider;

/// Fetches credentials from a source at each call.
///
/// # Requirements for implementations
/// 1. *Fetch, never cache.* Each [`provide`](Self::provide) reads the source again; the session caches. (A session is
///    itself a provider; being the cache, it returns credentials from memory.) A provider may keep a response to spare
///    the transfer when the source reports that it has not changed; [`clear_cache`](Self::clear_cache) drops it.
/// 2. *Absence is not failure.* [`NotConfigured`](crate::ErrorKind::NotConfigured) means that there is no source to
///    call, and only that. A source that refuses is `Denied`; an incomplete setting is `Invalid`.
/// 3. *Complete, valid credentials.* Returned credentials have not expired, and their parts belong together.
/// 4. *Cancel safe.* The future may be dropped at any await, and polled from any task.
/// 5. *Concurrent.* Calls may overlap and are independent of each other.
/// 6. *No secret outside [`Credentials`].* Not in an error, its causes, `Debug`, or the name.
/// 7. *No retry on top of the client's own,* and no timeout: the session has one.
/// 8. *Scope down correctly, or refuse.* Credentials of the provider that [`scope_down`](Self::scope_down) returns allow
///    no more than those of this provider, and no more than the policy. They are never the same credentials.
///
/// # Guarantees for callers
/// The name is fixed for the life of the provider, fit for logs, and appears in every error. A call that returns `Err`
/// has changed nothing and may be repeated.
///
/// `valetkey_core::testing::contract` (feature `test-util`) checks these requirements for any implementation.
///
/// # Examples
/// ```
/// use std::borrow::Cow;
///
/// use valetkey_core::{CredentialProvider, Credentials, Result, SessionContext, async_trait};
///
/// #[derive(Debug)]
/// struct StoreProvider;
///
/// #[async_trait]
/// impl CredentialProvider for StoreProvider {
///     fn name(&self) -> Cow<'static, str> {
///         Cow::Borrowed("store")
///     }
///
///     async fn provide(&self) -> Result<Credentials> {
///         let document = read_document().await;
///         Credentials::from_json(&document, self.name()).map_err(|error| error.with_provider(self.name()))
///     }
/// }
///
/// let session = SessionContext::builder().provider(StoreProvider).build();
/// # async fn read_document() -> String {
/// #     String::new()
/// # }
/// ```
#[async_trait]
pub trait CredentialProvider: fmt::Debug + Send + Sync {
    /// Returns a short name for logs, status and errors, such as `assume-role`.
    fn name(&self) -> Cow<'static, str>;

    /// Fetches credentials.
    ///
    /// # Errors
    /// `NotConfigured` if there is no source to call, `Denied` if it refuses, `InteractionRequired` if a person has to
    /// act, `Invalid` for a malformed setting or response, and `Throttled`, `TimedOut` or `Unavailable` if a later call
    /// may succeed.
    async fn provide(&self) -> Result<Credentials>;

    /// Returns credentials from memory if they can be served without further checks: the synchronous fast path of
    /// providers that are caches. `None` means only that the caller must call [`provide`](Self::provide). Providers
    /// that fetch keep the default.
    fn cached(&self) -> Option<Credentials> {
        None
    }

    /// Drops everything that is kept between calls. A session calls this when it is cleared or closed. Must not block.
    fn clear_cache(&self) {}

    /// Returns a provider like this one whose credentials allow only what both this provider's credentials and
    /// `policy` allow. Does not call the source.
    ///
    /// AWS takes a session policy where it issues credentials: when a role is assumed or a federation token is
    /// requested. Providers that issue credentials in this way can be narrowed; providers that read existing keys
    /// cannot, and keep the default, which refuses. `GetScopedCredentials` (announced in November 2026, in no AWS SDK
    /// for Rust yet) narrows existing temporary credentials: `ScopedProvider` of `valetkey-backends`, which is
    /// experimental, wraps another provider and exchanges its credentials for scoped ones.
    ///
    /// # Errors
    /// `Invalid` when this provider cannot be narrowed, or not by this policy.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{CredentialProvider, Error, ErrorKind, SessionPolicy, provider_fn};
    /// let keys = provider_fn("keys", async || Err(Error::not_configured("no keys")));
    /// let error = keys.scope_down(&SessionPolicy::read_only(["s3"])?).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Invalid); // existing keys cannot be narrowed
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    fn scope_down(&self, _policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        Err(Error::invalid("policy", "cannot be put on what this provider issues")
            .with_provider(self.name())
            .with_next_step("narrow a role that is assumed with these credentials, or federate them"))
    }
}

impl dyn CredentialProvider + '_ {
    /// Returns the provider's [`cached`](CredentialProvider::cached) credentials if there are any, without a boxed
    /// future; otherwise calls [`provide`](CredentialProvider::provide).
    ///
    /// # Errors
    /// As `provide`.
    pub async fn credentials(&self) -> Result<Credentials> {
        match self.cached() {
            Some(credentials) => Ok(credentials),
            None => self.provide().await,
        }
    }
}

/// A shared provider is a provider.
#[async_trait]
impl<T: CredentialProvider + ?Sized> CredentialProvider for Arc<T> {
    fn name(&self) -> Cow<'static, str> {
        T::name(self)
    }

    async fn provide(&self) -> Result<Credentials> {
        T::provide(self).await
    }

    fn cached(&self) -> Option<Credentials> {
        T::cached(self)
    }

    fn clear_cache(&self) {
        T::clear_cache(self);
    }

    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        T::scope_down(self, policy)
    }
}
