//! `CredentialProvider`: where credentials come from, and what an implementor owes.

mod chain;
mod observed;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Credentials, Error, Result, SessionPolicy};

pub use chain::ProviderChain;
pub use observed::ObservedProvider;

/// Fetches credentials, afresh each time it is asked.
///
/// # What an implementor owes
/// 1. *Fetch, never cache.* Each [`provide`](Self::provide) asks the source anew; the session caches. (A session is
///    itself a provider, and, being the cache, the one that answers from memory.) An answer may be kept to spare the
///    transfer when the source says that it has not changed; [`forget`](Self::clear) drops it.
/// 2. *Absence is not failure.* [`NotConfigured`](crate::ErrorKind::NotConfigured) means that there is nothing to
///    ask, and only that. Whoever was asked and said no is `Denied`; half a setting is `Invalid`.
/// 3. *A usable set, whole.* What is returned has not expired, and its parts belong together.
/// 4. *Cancel safe.* The future may be dropped at any await, and be polled from any task.
/// 5. *Concurrent.* Calls may overlap; each stands alone.
/// 6. *No secret outside [`Credentials`].* Not in an error, its causes, `Debug`, or the name.
/// 7. *No retry on top of the client's own,* and no time-out: the session has one.
/// 8. *Narrow truly, or refuse.* What a [`narrowed`](Self::narrow_state) provider issues may do no more than what this one
///    issues, and no more than the policy allows. To hand out the same set would be a lie.
///
/// # What a caller may assume
/// The name is fixed for the life of the provider, fit for logs, and appears in every error. On `Err` nothing
/// changed: the same call may be made again.
///
/// `valetkey_core::testing::contract` (feature `test-util`) checks these clauses for any implementation.
#[async_trait]
pub trait CredentialProvider: fmt::Debug + Send + Sync {
    /// A short name for logs, status and errors, such as `assume-role`.
    fn name(&self) -> Cow<'static, str>;

    /// Fetches one set.
    async fn provide(&self) -> Result<Credentials>;

    /// The set in hand, when nothing needs to be decided about it: the synchronous fast path of providers that are
    /// caches. `None` says nothing but "ask [`provide`](Self::provide)"; providers that fetch keep the default.
    fn cached(&self) -> Option<Credentials> {
        None
    }

    /// Drops whatever is kept between calls. A session that is cleared or closed calls it; it must not block.
    fn clear_cache(&self) {}

    /// A provider like this one whose sets may do what both this one's may and `policy` allows. Nobody is asked yet.
    ///
    /// AWS takes a session policy where it issues credentials: with the role that is assumed, with the token of a
    /// federated user. Whoever asks it for that can narrow; whoever finds keys somewhere cannot, and keeps the default,
    /// which refuses. `GetScopedCredentials` (announced in November 2026, in no AWS SDK for Rust yet) narrows temporary
    /// credentials that are there already: `ScopedProvider` of `valetkey-backends`, which is experimental, wraps another
    /// provider and trades in each set that it gets for a scoped one.
    ///
    /// # Errors
    /// `Invalid` when this provider cannot be narrowed, or not by this policy.
    fn narrowed(&self, _policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        Err(Error::invalid("policy", "cannot be put on what this provider issues")
            .with_provider(self.name())
            .with_next_step("narrow a role that is assumed with these credentials, or federate them"))
    }
}

impl dyn CredentialProvider + '_ {
    /// The set in hand if it is fresh, without a boxed future; else what [`provide`](CredentialProvider::provide) answers.
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

    fn narrowed(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        T::narrowed(self, policy)
    }
}
