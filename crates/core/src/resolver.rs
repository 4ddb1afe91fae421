//! `CredentialResolver`: from a credential id to credentials, so that work items name an id and never a key.

mod cached;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{CredentialId, Credentials, Error, ErrorKind, Result};

pub use cached::CachedResolver;

/// Looks credentials up by id on behalf of one session.
///
/// A resolver is handed to a session by its host and decides what that session may look up: an id that is not the
/// session's to use is refused with [`Denied`](ErrorKind::Denied). Otherwise it owes what a
/// [`CredentialProvider`](crate::CredentialProvider) owes.
#[async_trait]
pub trait CredentialResolver: fmt::Debug + Send + Sync {
    /// A short name for logs, status and errors.
    fn name(&self) -> Cow<'static, str>;

    /// The credentials kept under `id`.
    async fn resolve(&self, id: &CredentialId) -> Result<Credentials>;

    /// Drops whatever is kept between calls. The session that it was handed to calls it when it is cleared or closed
    /// (a child session, which only borrows it, does not); it must not block.
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
#[derive(Debug, Clone, Default)]
pub struct MapResolver(BTreeMap<CredentialId, Credentials>);

impl MapResolver {
    /// A map that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps `credentials` under `id`, in place of what was there.
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
