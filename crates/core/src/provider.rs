//! `CredentialProvider`: where credentials come from, and what an implementor owes.

mod chain;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Credentials, Result};

pub use chain::ProviderChain;

/// Fetches credentials, afresh each time it is asked.
///
/// # What an implementor owes
/// 1. *Fetch, never cache.* Each [`provide`](Self::provide) asks the source anew; the session caches. (A session is
///    itself a provider, and, being the cache, the one that answers from memory.)
/// 2. *Absence is not failure.* [`NotConfigured`](crate::ErrorKind::NotConfigured) means that there is nothing to
///    ask, and only that. Whoever was asked and said no is `Denied`; half a setting is `Invalid`.
/// 3. *A usable set, whole.* What is returned has not expired, and its parts belong together.
/// 4. *Cancel safe.* The future may be dropped at any await, and be polled from any task.
/// 5. *Concurrent.* Calls may overlap; each stands alone.
/// 6. *No secret outside [`Credentials`].* Not in an error, its causes, `Debug`, or the name.
/// 7. *No retry on top of the client's own,* and no time-out: the session has one.
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

    /// What can be had without asking anybody: the fast path of providers that are caches. Others keep the default.
    fn cached(&self) -> Option<Credentials> {
        None
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
}
