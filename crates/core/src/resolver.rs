//! `CredentialResolver`: looks up credentials by id, so that work items carry an id and never a key.

mod cached;
mod function;
mod into;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{CredentialId, Credentials, Error, ErrorKind, Result};

pub use cached::CachedResolver;
pub use function::{ResolverFn, resolver_fn};
pub use into::IntoResolver;

/// Looks up credentials by id on behalf of one session.
///
/// A host gives a resolver to a session; the resolver decides what that session may look up, and refuses all other ids
/// with [`Denied`](ErrorKind::Denied). Otherwise the requirements of [`CredentialProvider`](crate::CredentialProvider)
/// apply.
///
/// # Examples
/// ```
/// use std::borrow::Cow;
///
/// use valetkey_core::{CredentialId, CredentialResolver, Credentials, Error, ErrorKind, Result, async_trait};
///
/// /// Looks up the credentials of one team.
/// #[derive(Debug)]
/// struct TeamResolver {
///     team: String,
/// }
///
/// #[async_trait]
/// impl CredentialResolver for TeamResolver {
///     fn name(&self) -> Cow<'static, str> {
///         Cow::Borrowed("team")
///     }
///
///     async fn resolve(&self, id: &CredentialId) -> Result<Credentials> {
///         if id.as_str().split('/').next() != Some(&self.team) {
///             return Err(Error::new(ErrorKind::Denied, "the id belongs to another team").with_provider(self.name()));
///         }
///         Credentials::from_json(&read_document(id).await, self.name())
///     }
/// }
/// # async fn read_document(_: &CredentialId) -> String {
/// #     r#"{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "example"}"#.to_owned()
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> valetkey_core::Result<()> {
/// # let resolver = TeamResolver { team: "blue".to_owned() };
/// # assert!(resolver.resolve(&"blue/job-7".parse()?).await.is_ok());
/// # assert_eq!(resolver.resolve(&"red/job-7".parse()?).await.unwrap_err().kind(), ErrorKind::Denied);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait CredentialResolver: fmt::Debug + Send + Sync {
    /// Returns a short name for logs, status and errors.
    fn name(&self) -> Cow<'static, str>;

    /// Returns the credentials stored under `id`.
    ///
    /// # Errors
    /// `Denied` for an id that the session may not use, whether or not it exists, so that ids cannot be guessed.
    /// Otherwise as [`CredentialProvider::provide`](crate::CredentialProvider::provide).
    async fn resolve(&self, id: &CredentialId) -> Result<Credentials>;

    /// Drops everything that is kept between calls. Must not block. The session that owns the resolver calls this when
    /// it is cleared or closed; a child session, which only borrows the resolver, does not.
    fn clear_cache(&self) {}
}

/// A shared resolver is a resolver.
#[async_trait]
impl<T: CredentialResolver + ?Sized> CredentialResolver for Arc<T> {
    fn name(&self) -> Cow<'static, str> {
        T::name(self)
    }

    async fn resolve(&self, id: &CredentialId) -> Result<Credentials> {
        T::resolve(self, id).await
    }

    fn clear_cache(&self) {
        T::clear_cache(self);
    }
}

/// A fixed map from id to credentials, for embedded use and for tests.
///
/// # Examples
/// ```
/// # use valetkey_core::{Credentials, MapResolver, SessionContext};
/// # fn demo(credentials: Credentials) -> valetkey_core::Result<()> {
/// let resolver = MapResolver::new().with("job-7".parse()?, credentials);
/// let session = SessionContext::builder().resolver(resolver).build();
/// # Ok(())
/// # }
/// ```
///
/// An id that is not in the map is refused with [`Denied`](ErrorKind::Denied).
#[derive(Debug, Clone, Default)]
pub struct MapResolver(BTreeMap<CredentialId, Credentials>);

impl MapResolver {
    /// Creates an empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores `credentials` under `id`, and replaces those stored before.
    #[must_use]
    pub fn with(mut self, id: CredentialId, credentials: Credentials) -> Self {
        self.0.insert(id, credentials);
        self
    }
}

#[async_trait]
impl CredentialResolver for MapResolver {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("map")
    }

    async fn resolve(&self, id: &CredentialId) -> Result<Credentials> {
        self.0.get(id).cloned().ok_or_else(|| {
            Error::new(ErrorKind::Denied, "no credentials of this session are kept under that id")
                .with_provider("map")
                .with_field("provider_credential_id")
                .with_next_step("check the id of the stack job, or ask its owner to grant it to this session")
        })
    }
}
