//! `SdkProvider`: any provider of the AWS SDK as one of ours.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::iter::successors;

use async_trait::async_trait;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_types::error::ErrorMetadata;
use valetkey_core::{
    AccessKeyId, AccountId, CredentialProvider, Credentials, Error, ErrorKind, Expiry, Region, Result,
    SecretString, SystemClock,
};

use crate::{error, validity};

/// Makes a provider of the AWS SDK a [`CredentialProvider`], which calls it at each fetch.
///
/// The SDK's provider should not cache: the session is the cache. Clients that `aws-config` made share the SDK's retry
/// quotas with the whole process; `DefaultChainProvider` and `ProfileProvider` (feature `ambient`) have their own.
///
/// # Examples
///
/// ```
/// use aws_credential_types::Credentials;
/// use valetkey_backends::SdkProvider;
/// use valetkey_core::SessionContext;
///
/// # fn main() -> valetkey_core::Result<()> {
/// // Any type that implements `ProvideCredentials`.
/// let inner = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "example");
/// let provider = SdkProvider::new("example", inner).region("eu-central-1".parse()?);
/// let session = SessionContext::builder().provider(provider).build();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SdkProvider {
    name: Cow<'static, str>,
    inner: SharedCredentialsProvider,
    region: Option<Region>,
}

impl SdkProvider {
    /// Creates a provider with a short name, which appears in logs, status and errors.
    pub fn new(name: impl Into<Cow<'static, str>>, inner: impl ProvideCredentials + 'static) -> Self {
        Self { name: name.into(), inner: SharedCredentialsProvider::new(inner), region: None }
    }

    /// Sets the region of the credentials (default: none; credentials of the SDK have no region).
    #[must_use]
    pub fn region(mut self, region: Region) -> Self {
        self.region = Some(region);
        self
    }

    async fn fetch(&self) -> Result<Credentials> {
        let keys = self.inner.provide_credentials().await.map_err(|error| from_credentials_error(&error))?;
        let id = AccessKeyId::parse("access_key_id", keys.access_key_id())?;
        let account = non_blank(keys.account_id().map(|id| id.as_str()));
        let account = account.map(|id| AccountId::parse("account_id", id)).transpose()?;
        Credentials::builder(id, SecretString::from(keys.secret_access_key()))
            .session_token(non_blank(keys.session_token()).map(SecretString::from))
            .expiry(Expiry::from(keys.expiry()))
            .account_id(account)
            .region(self.region.clone())
            .provider(self.name.clone())
            .build()
    }
}

/// Removes blank values, which the SDK passes on: `aws_session_token =` in a profile, `"Token": ""` of a container endpoint.
fn non_blank(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

#[async_trait]
impl CredentialProvider for SdkProvider {
    fn name(&self) -> Cow<'static, str> {
        self.name.clone()
    }

    /// # Errors
    /// - `NotConfigured`: the SDK's provider has no credentials.
    /// - `TimedOut`: the SDK's provider took too long.
    /// - `Invalid`: the SDK's provider is misconfigured, or its keys are malformed.
    /// - The kind of the service's error code, if a service refused the request and the SDK reports the code.
    /// - `Unavailable` for other failures, and `Internal` for those that the SDK calls unexpected.
    async fn provide(&self) -> Result<Credentials> {
        self.fetch()
            .await
            .and_then(|credentials| validity::ensure_issued_valid(credentials, &SystemClock))
            .map_err(|error: Error| error.with_provider(self.name.clone()))
    }
}

impl fmt::Debug for SdkProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkProvider").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Converts the error of a provider of the SDK.
pub(crate) fn from_credentials_error(error: &CredentialsError) -> Error {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            Error::not_configured("the AWS SDK's provider found no credentials")
                .with_next_step("configure it, or use another provider")
        }
        CredentialsError::ProviderTimedOut(_) => {
            Error::new(ErrorKind::TimedOut, "the AWS SDK's provider did not answer in time")
                .with_next_step("try again")
        }
        CredentialsError::InvalidConfiguration(_) => refusal(error).unwrap_or_else(|| {
            Error::new(ErrorKind::Invalid, "the AWS SDK's provider is misconfigured")
                .with_next_step("check its profile and its settings")
        }),
        CredentialsError::ProviderError(_) => refusal(error).unwrap_or_else(|| {
            Error::new(ErrorKind::Unavailable, "the AWS SDK's provider failed")
                .with_next_step("try again later")
        }),
        _ => Error::new(ErrorKind::Internal, "the AWS SDK's provider failed in a way it does not explain"),
    }
}

/// Returns the error of a service that refused the request, if one did. The SDK has its code among the causes.
pub(crate) fn refusal(error: &CredentialsError) -> Option<Error> {
    let causes = successors(error.source(), |cause: &&(dyn StdError + 'static)| (*cause).source());
    let mut services = causes.filter_map(|cause| cause.downcast_ref::<ErrorMetadata>());
    let error = services.find(|error| error.code().is_some())?;
    let (kind, next_step) = error::classify(error.code()?, error.message())?;
    let refused = Error::new(kind, "the AWS SDK's provider was refused by a service");
    Some(match kind {
        kind if kind.is_transient() => refused.with_next_step(next_step),
        _ => refused.with_next_step("check its credentials, its role and its settings"),
    })
}
