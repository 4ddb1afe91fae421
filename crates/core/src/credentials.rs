//! `Credentials`: an access key with its secret, opaque, cheap to clone, cleared when the last clone is dropped.

mod builder;
mod json;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::Guard;

use crate::cache::{IssueMetadata, Sentinel};
use crate::{AccessKeyId, AccountId, Expiry, Region};

pub use builder::CredentialsBuilder;

/// Holds an access key, its secret, and the data that belongs to them.
///
/// A clone costs one reference count. Credentials that a session returns are cheaper still: they are borrowed from the
/// cell in which the session stores them, and counted only when the session replaces them. Each thread can borrow
/// eight at a time in this way; further ones are counted at once. Code that keeps many credentials for a long time
/// should keep clones.
///
/// There is no `Display`, `Serialize`, `PartialEq` or `Default`, and `Debug` shows only the last four characters of
/// the key id. The secret parts are read through methods whose names begin with `expose_`, so that every place that
/// reads a secret can be found. They are held by `aws-credential-types`, which clears them when the last clone is
/// dropped; copies made by the reader of a secret are the reader's responsibility.
///
/// # Examples
/// ```
/// # use valetkey_core::{AccessKeyId, Credentials, Expiry, SecretString};
/// let id = AccessKeyId::parse("access_key_id", "test")?;
/// let credentials = Credentials::builder(id, SecretString::from("example")).build()?;
/// assert_eq!(credentials.expiry(), Expiry::Never);
/// assert!(!credentials.has_session_token());
/// # Ok::<_, valetkey_core::Error>(())
/// ```
// Two words, of which the `Arc` is never null, so that an `Option` of this type is also passed in registers.
pub struct Credentials(Guard<Arc<CredentialsInner>>);

/// The value behind [`Credentials`]: the parts, and how a session obtained them. The parts do not change once they are
/// shared.
///
/// One allocation, because a session swaps the whole value with one atomic store: a reader never sees the keys of one
/// issue with the metadata of another.
pub(crate) struct CredentialsInner {
    data: CredentialsData,
    metadata: IssueMetadata,
}

/// The parts that the builder collects. The account id and the expiry are also in `keys`, where the AWS SDK reads them.
#[derive(Clone)]
struct CredentialsData {
    /// Holds the secrets, and clears them when the last clone is dropped.
    keys: aws_credential_types::Credentials,
    /// The id in its checked type: `keys` holds it as plain text, whose `Debug` shows it whole.
    access_key_id: AccessKeyId,
    account_id: Option<AccountId>,
    region: Option<RegionOrigin>,
    provider: Cow<'static, str>,
    max_age: Option<Duration>,
}

/// A region and its precedence.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RegionOrigin {
    /// Belongs to the keys.
    Credentials(Region),
    /// Specified by the environment in which the provider fetched the keys.
    Environment(Region),
}

/// The empty value: credentials that were issued to no session and are never served. All other values in a cell were
/// issued to its session.
impl Sentinel for CredentialsInner {
    fn sentinel() -> Arc<Self> {
        let parts = CredentialsData {
            keys: aws_credential_types::Credentials::new("", "", None, None, "nothing"),
            access_key_id: AccessKeyId::placeholder(),
            account_id: None,
            region: None,
            provider: Cow::Borrowed("nothing"),
            max_age: None,
        };
        Arc::new(Self { data: parts, metadata: IssueMetadata::placeholder() })
    }

    fn is_sentinel(&self) -> bool {
        self.metadata.is_placeholder()
    }
}

/// Traits that [`Credentials`] must never implement. Each example proves it by code that does not compile:
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
    /// Returns the access key id. Show only its [`AccessKeyId::last_four`].
    #[must_use]
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.data().access_key_id
    }

    /// Returns when these credentials stop working.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        Expiry::from(self.data().keys.expiry())
    }

    /// Returns whether the credentials have a session token, which makes them temporary.
    #[must_use]
    pub fn has_session_token(&self) -> bool {
        self.data().keys.session_token().is_some()
    }

    /// Returns the AWS account that the keys belong to, if the provider reported it.
    ///
    /// `None` means unknown; a [`CallerIdentityProvider`](crate::CallerIdentityProvider) looks it up.
    #[must_use]
    pub fn account_id(&self) -> Option<&AccountId> {
        self.data().account_id.as_ref()
    }

    /// Returns the region that belongs to the keys. A session uses them in the region that
    /// [`resolved_region`](crate::SessionAccount::resolved_region) returns.
    #[must_use]
    pub fn region(&self) -> Option<&Region> {
        match &self.data().region {
            Some(RegionOrigin::Credentials(region)) => Some(region),
            Some(RegionOrigin::Environment(_)) | None => None,
        }
    }

    /// Returns the region that the provider's environment specifies, such as `AWS_REGION` or a shared client
    /// configuration. It applies only if neither the credentials nor the account nor the session specify a region.
    ///
    /// `None` if the credentials have a region of their own, which takes precedence.
    #[must_use]
    pub fn environment_region(&self) -> Option<&Region> {
        match &self.data().region {
            Some(RegionOrigin::Environment(region)) => Some(region),
            Some(RegionOrigin::Credentials(_)) | None => None,
        }
    }

    /// Returns the age after which the source should be read again, regardless of the expiry (default: the session's
    /// policy).
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.data().max_age
    }

    /// Returns the name of the provider that issued the credentials.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.data().provider
    }

    /// Returns the secret access key. Never log it, store it, or return it to a model.
    #[must_use]
    pub fn expose_secret_access_key(&self) -> &str {
        self.data().keys.secret_access_key()
    }

    /// Returns the session token if the credentials are temporary. Never log it, store it, or return it to a model.
    #[must_use]
    pub fn expose_session_token(&self) -> Option<&str> {
        self.data().keys.session_token()
    }

    /// Returns the credentials as the AWS SDK's type, which shares the secret and does not copy it. Its `Debug` prints
    /// the key id.
    ///
    /// The SDK's type has the expiry, and does not refresh: give a client that outlives the credentials a provider
    /// instead.
    #[must_use]
    pub fn expose_to_sdk(&self) -> aws_credential_types::Credentials {
        self.data().keys.clone()
    }

    /// Returns the same keys with another region.
    ///
    /// The secrets are shared, not copied. Clones that were made before keep their region.
    #[must_use]
    pub fn with_region(&self, region: Region) -> Self {
        self.map_data(|parts| parts.region = Some(RegionOrigin::Credentials(region)))
    }

    /// Returns the same keys with this [`environment_region`](Self::environment_region), unless they have a region of
    /// their own.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::Credentials;
    /// # let text = r#"{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "example"}"#;
    /// # let credentials = Credentials::from_json(text, "file")?;
    /// let credentials = credentials.with_environment_region("eu-west-1".parse()?);
    /// assert_eq!(credentials.environment_region().map(|region| region.as_str()), Some("eu-west-1"));
    /// let pinned = credentials.with_region("us-west-2".parse()?).with_environment_region("eu-west-1".parse()?);
    /// assert_eq!(pinned.environment_region(), None);
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    #[must_use]
    pub fn with_environment_region(&self, region: Region) -> Self {
        match self.region() {
            Some(_) => self.clone(),
            None => self.map_data(|parts| parts.region = Some(RegionOrigin::Environment(region))),
        }
    }

    /// Returns the same keys with another [`max_age`](Self::max_age).
    #[must_use]
    pub fn with_max_age(&self, age: impl Into<Option<Duration>>) -> Self {
        self.map_data(|parts| parts.max_age = age.into())
    }

    /// Returns credentials with changed parts, under no session: the copy has the metadata of newly built credentials.
    fn map_data(&self, apply: impl FnOnce(&mut CredentialsData)) -> Self {
        let mut parts = self.data().clone();
        apply(&mut parts);
        Self::new(parts)
    }

    /// Returns the same keys with an expiry of `until` or earlier. Copies the secrets if the expiry changes.
    pub(crate) fn capped_at(self, max_expires_at: SystemTime) -> Self {
        if self.data().keys.expiry().is_some_and(|expires_at| expires_at <= max_expires_at) {
            return self;
        }
        self.map_data(|parts| *parts.keys.expiry_mut() = Some(max_expires_at))
    }

    /// Returns whether both hold the same values. Neither side is attacker-controlled, so the comparison need not be
    /// constant-time.
    ///
    /// The provider and the maximum age are not compared: they do not change what the keys can do.
    #[must_use]
    pub fn has_same_values(&self, other: &Self) -> bool {
        let (left, right) = (self.data(), other.data());
        left.access_key_id == right.access_key_id
            && left.keys.secret_access_key() == right.keys.secret_access_key()
            && left.keys.session_token() == right.keys.session_token()
            && left.keys.expiry() == right.keys.expiry()
            && (&left.account_id, &left.region) == (&right.account_id, &right.region)
    }

    /// Returns whether both are clones of the same value.
    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the same credentials in the form in which a session stores them.
    pub(crate) fn to_inner(&self, issued: IssueMetadata) -> Arc<CredentialsInner> {
        Arc::new(CredentialsInner { data: self.data().clone(), metadata: issued })
    }

    /// Returns how the session that returned these credentials obtained them.
    #[inline]
    pub(crate) fn metadata(&self) -> &IssueMetadata {
        &self.0.metadata
    }

    /// Wraps borrowed credentials, which are not counted while the cell that they were read from still holds them.
    #[inline]
    pub(crate) fn from_guard(held: Guard<Arc<CredentialsInner>>) -> Self {
        Self(held)
    }

    /// Wraps counted credentials.
    pub(crate) fn from_arc(held: Arc<CredentialsInner>) -> Self {
        Self(Guard::from_inner(held))
    }

    fn new(parts: CredentialsData) -> Self {
        Self::from_arc(Arc::new(CredentialsInner { data: parts, metadata: IssueMetadata::placeholder() }))
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
