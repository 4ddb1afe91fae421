//! `provider_fn`: makes a provider from a function.

use std::borrow::Cow;
use std::fmt;

use async_trait::async_trait;

use crate::{CredentialProvider, Credentials, Result};

/// Returns a provider that calls `fetch` at each fetch.
///
/// `name` appears in logs, in status and in every error. `fetch` must keep the
/// [requirements](CredentialProvider#requirements-for-implementations) of a provider; an error that names no provider
/// is given this one's name. The provider cannot be [scoped down](CredentialProvider::scope_down); implement
/// [`CredentialProvider`] for one that can.
///
/// # Examples
/// ```
/// use valetkey_core::{Credentials, SessionContext, provider_fn};
/// # async fn read_store() -> String { String::new() }
///
/// let store = provider_fn("store", async || Credentials::from_json(&read_store().await, "store"));
/// let session = SessionContext::builder().provider(store).build();
/// ```
///
/// The future that `fetch` returns owns what it needs. A function that captures a client therefore clones it for each
/// fetch:
///
/// ```
/// # use valetkey_core::{Credentials, Result, SessionContext, provider_fn};
/// # #[derive(Clone)]
/// # struct Client;
/// # impl Client { async fn fetch(&self) -> Result<Credentials> { unimplemented!() } }
/// # let client = Client;
/// let store = provider_fn("store", move || {
///     let client = client.clone();
///     async move { client.fetch().await }
/// });
/// # let session = SessionContext::builder().provider(store).build();
/// ```
pub fn provider_fn<F, Fut>(name: impl Into<Cow<'static, str>>, fetch: F) -> ProviderFn<F>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<Credentials>> + Send,
{
    ProviderFn { name: name.into(), fetch }
}

/// A provider that calls a function. Created by [`provider_fn`].
///
/// # Examples
/// ```
/// # use valetkey_core::{CredentialProvider, Error, provider_fn};
/// let store = provider_fn("store", async || Err(Error::not_configured("no store")));
/// assert_eq!(store.name(), "store");
/// ```
#[derive(Clone)]
pub struct ProviderFn<F> {
    name: Cow<'static, str>,
    fetch: F,
}

#[async_trait]
impl<F, Fut> CredentialProvider for ProviderFn<F>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<Credentials>> + Send,
{
    fn name(&self) -> Cow<'static, str> {
        self.name.clone()
    }

    async fn provide(&self) -> Result<Credentials> {
        (self.fetch)().await.map_err(|error| error.with_provider(self.name()))
    }
}

impl<F> fmt::Debug for ProviderFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderFn").field("name", &self.name).finish_non_exhaustive()
    }
}
