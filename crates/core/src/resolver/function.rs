//! `resolver_fn`: makes a resolver from a function.

use std::borrow::Cow;
use std::fmt;

use async_trait::async_trait;

use crate::{CredentialId, CredentialResolver, Credentials, Result};

/// Returns a resolver that calls `lookup` with each id that is looked up.
///
/// `name` appears in logs and in every error. `lookup` decides which ids the session may look up, and refuses all
/// others with [`Denied`](crate::ErrorKind::Denied). An error that names no provider is given the resolver's name.
///
/// # Examples
/// ```
/// use valetkey_core::{CredentialId, Credentials, Error, ErrorKind, SessionContext, resolver_fn};
/// # async fn read_job(id: &str) -> String { String::new() }
///
/// let jobs = resolver_fn("jobs", async |id: CredentialId| {
///     if !id.as_str().starts_with("job-") {
///         return Err(Error::new(ErrorKind::Denied, "this session looks up jobs only"));
///     }
///     Credentials::from_json(&read_job(id.as_str()).await, "jobs")
/// });
/// let session = SessionContext::builder().resolver(jobs).build();
/// ```
pub fn resolver_fn<F, Fut>(name: impl Into<Cow<'static, str>>, lookup: F) -> ResolverFn<F>
where
    F: Fn(CredentialId) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Credentials>> + Send,
{
    ResolverFn { name: name.into(), lookup }
}

/// A resolver that calls a function. Created by [`resolver_fn`].
///
/// # Examples
/// ```
/// # use valetkey_core::{CredentialId, CredentialResolver, Error, ErrorKind, resolver_fn};
/// let none = resolver_fn("none", async |_: CredentialId| Err(Error::new(ErrorKind::Denied, "no id is granted")));
/// assert_eq!(none.name(), "none");
/// ```
#[derive(Clone)]
pub struct ResolverFn<F> {
    name: Cow<'static, str>,
    lookup: F,
}

#[async_trait]
impl<F, Fut> CredentialResolver for ResolverFn<F>
where
    F: Fn(CredentialId) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Credentials>> + Send,
{
    fn name(&self) -> Cow<'static, str> {
        self.name.clone()
    }

    async fn resolve(&self, id: &CredentialId) -> Result<Credentials> {
        (self.lookup)(id.clone()).await.map_err(|error| error.with_provider(self.name()))
    }
}

impl<F> fmt::Debug for ResolverFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolverFn").field("name", &self.name).finish_non_exhaustive()
    }
}
