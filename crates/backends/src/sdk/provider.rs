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

/// Asks a provider of the AWS SDK at every fetch: SSO, web identity, a profile, the SDK's default chain. Give it one
/// that does not cache; the session does. Clients that `aws-config` made share the SDK's retry quotas, one for each service
/// in a process: `AmbientProvider` (feature `ambient`) has one of its own.
#[derive(Clone)]
pub struct SdkProvider {
    name: Cow<'static, str>,
    inner: SharedCredentialsProvider,
    region: Option<Region>,
}

impl SdkProvider {
    /// Asks `inner`, under a short name for logs, status and errors.
    pub fn new(name: impl Into<Cow<'static, str>>, inner: impl ProvideCredentials + 'static) -> Self {
        Self { name: name.into(), inner: SharedCredentialsProvider::new(inner), region: None }
    }

    /// Marks the credentials with `region`; the SDK's own name none.
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

/// The SDK passes on blank values: `aws_session_token =` in a profile, `"Token": ""` of a container endpoint.
fn non_blank(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

#[async_trait]
impl CredentialProvider for SdkProvider {
    fn name(&self) -> Cow<'static, str> {
        self.name.clone()
    }

    /// # Errors
    /// `NotConfigured` when the SDK's provider found none; `TimedOut`; `Invalid` when it is misconfigured or answered
    /// keys that cannot sign; the kind of the service's code when a service refused it and the SDK tells which;
    /// otherwise `Unavailable`, or `Internal` for what the SDK itself calls unexpected.
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

/// An SDK provider's failure as ours.
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

/// What a service refused, if a service did: the SDK buries the code in the causes.
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
