//! `Credentials`: one set of keys, opaque, cheap to clone, wiped when the last clone is dropped.

mod builder;
mod document;
mod held;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::Guard;

use crate::session::Issued;
use crate::{AccessKeyId, AccountId, Expiry, Region};

pub use builder::CredentialsBuilder;
pub(crate) use held::CredentialsInner;
use held::{CredentialsData, RegionOrigin};

/// An access key, its secret, and what belongs to them.
///
/// A clone is one reference count. What a session answers is cheaper still: it is held where the session holds it, and
/// counted only when the session goes on to another. Of the sets that a thread took, eight at a time are held in this way,
/// and further ones counted at once; so whoever keeps many for long keeps clones of them.
///
/// There is no `Display`, `Serialize`, `PartialEq` or `Default`, and `Debug` shows the last four characters of the key id
/// only. The secret parts are read through methods whose names begin with `expose_`, so that every place that reads one
/// can be found. They are held by `aws-credential-types`, which wipes them when the last clone is gone; copies made by
/// whoever exposes them are the reader's own.
// Two words, of which the `Arc` is never null: an `Option` of them, too, is passed in registers.
pub struct Credentials(Guard<Arc<CredentialsInner>>);

/// What [`Credentials`] must never become, each proved by code that does not compile:
///
/// ```
/// fn may<T: Clone + std::fmt::Debug + Send + Sync>() {}
/// may::<valetkey_core::Credentials>();
/// ```
/// ```compile_fail,E0277
/// fn may<T: std::fmt::Display>() {}
/// may::<valetkey_core::Credentials>();
/// ```
/// ```compile_fail,E0277
/// fn may<T: serde::Serialize>() {}
/// may::<valetkey_core::Credentials>();
/// ```
/// ```compile_fail,E0277
/// fn may<T: PartialEq>() {}
/// may::<valetkey_core::Credentials>();
/// ```
/// ```compile_fail,E0277
/// fn may<T: Default>() {}
/// may::<valetkey_core::Credentials>();
/// ```
impl Credentials {
    /// The access key id. Show only [`AccessKeyId::last_four`].
    #[must_use]
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.data().access_key_id
    }

    /// When this set stops working.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        Expiry::from(self.data().keys.expiry())
    }

    /// Whether a session token belongs to the set, which makes it temporary.
    #[must_use]
    pub fn has_session_token(&self) -> bool {
        self.data().keys.session_token().is_some()
    }

    /// The account the keys belong to, as far as the provider said.
    #[must_use]
    pub fn account_id(&self) -> Option<&AccountId> {
        self.data().account_id.as_ref()
    }

    /// The region that belongs to the keys. A session uses them in the region that
    /// [`resolved_region`](crate::SessionAccount::resolved_region) returns.
    #[must_use]
    pub fn region(&self) -> Option<&Region> {
        match &self.data().region {
            Some(RegionOrigin::Credentials(region)) => Some(region),
            Some(RegionOrigin::Environment(_)) | None => None,
        }
    }

    /// The region that the provider's environment names, such as `AWS_REGION` or a shared client configuration. It
    /// counts only where the credentials, the account and the session name none.
    #[must_use]
    pub fn environment_region(&self) -> Option<&Region> {
        match &self.data().region {
            Some(RegionOrigin::Environment(region)) => Some(region),
            Some(RegionOrigin::Credentials(_)) | None => None,
        }
    }

    /// After how long the source is worth asking again, whatever the expiry; the session's policy, unless said.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.data().max_age
    }

    /// The name of the provider that made the set.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.data().provider
    }

    /// The secret access key. Never log, return to a model, or store it.
    #[must_use]
    pub fn expose_secret_access_key(&self) -> &str {
        self.data().keys.secret_access_key()
    }

    /// The session token, if the set is temporary. Never log, return to a model, or store it.
    #[must_use]
    pub fn expose_session_token(&self) -> Option<&str> {
        self.data().keys.session_token()
    }

    /// The same set as the AWS SDK's type, sharing the secret rather than copying it. Its `Debug` prints the key id.
    #[must_use]
    pub fn expose_to_sdk(&self) -> aws_credential_types::Credentials {
        self.data().keys.clone()
    }

    /// The same keys with another region.
    #[must_use]
    pub fn with_region(&self, region: Region) -> Self {
        self.map_data(|parts| parts.region = Some(RegionOrigin::Credentials(region)))
    }

    /// The same keys with this [`environment_region`](Self::environment_region), unless they have a region of their own.
    #[must_use]
    pub fn with_environment_region(&self, region: Region) -> Self {
        match self.region() {
            Some(_) => self.clone(),
            None => self.map_data(|parts| parts.region = Some(RegionOrigin::Environment(region))),
        }
    }

    /// The same keys with another [`max_age`](Self::max_age).
    #[must_use]
    pub fn with_max_age(&self, age: impl Into<Option<Duration>>) -> Self {
        self.map_data(|parts| parts.max_age = age.into())
    }

    fn map_data(&self, apply: impl FnOnce(&mut CredentialsData)) -> Self {
        let mut parts = self.data().clone();
        apply(&mut parts);
        Self::new(parts)
    }

    /// The same keys, said to expire at `until` unless they do before. The secrets are copied.
    pub(crate) fn capped_at(self, max_expires_at: SystemTime) -> Self {
        if self.data().keys.expiry().is_some_and(|expires_at| expires_at <= max_expires_at) {
            return self;
        }
        self.map_data(|parts| *parts.keys.expiry_mut() = Some(max_expires_at))
    }

    /// Whether whoever holds one has no use for the other. Both are ours: nobody can probe one with the other, so the
    /// comparison need not take constant time.
    pub(crate) fn has_same_values(&self, other: &Self) -> bool {
        let (left, right) = (self.data(), other.data());
        left.access_key_id == right.access_key_id
            && left.keys.secret_access_key() == right.keys.secret_access_key()
            && left.keys.session_token() == right.keys.session_token()
            && left.keys.expiry() == right.keys.expiry()
            && (&left.account_id, &left.region) == (&right.account_id, &right.region)
    }

    /// Whether it is the one that `other` is a clone of.
    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The same set as a session holds it.
    pub(crate) fn to_inner(&self, issued: Issued) -> Arc<CredentialsInner> {
        Arc::new(CredentialsInner { data: self.data().clone(), metadata: issued })
    }

    /// How the session that it is from came by it.
    #[inline]
    pub(crate) fn metadata(&self) -> &Issued {
        &self.0.metadata
    }

    /// Not counted as long as it is held where it was read.
    #[inline]
    pub(crate) fn from_guard(held: Guard<Arc<CredentialsInner>>) -> Self {
        Self(held)
    }

    pub(crate) fn from_arc(held: Arc<CredentialsInner>) -> Self {
        Self(Guard::from_inner(held))
    }

    fn new(parts: CredentialsData) -> Self {
        Self::from_arc(Arc::new(CredentialsInner { data: parts, metadata: Issued::placeholder() }))
    }

    fn data(&self) -> &CredentialsData {
        &self.0.data
    }
}

impl Clone for Credentials {
    fn clone(&self) -> Self {
        Self::from_arc(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.data().access_key_id)
            .field("provider", &self.data().provider)
            .field("expiry", &self.expiry())
            .field("account_id", &self.data().account_id)
            .field("region", &self.region().or(self.environment_region()))
            .finish_non_exhaustive()
    }
}
