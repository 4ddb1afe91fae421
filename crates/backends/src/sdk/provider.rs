//! `SdkProvider`: any provider of the AWS SDK as one of ours.

use std::borrow::Cow;
use std::fmt;

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use valetkey_core::{
    AccessKeyId, AccountId, CredentialProvider, Credentials, Error, Expiry, Region, Result, SecretString,
    SystemClock,
};

use super::error;
use crate::expired;

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
        let keys =
            self.inner.provide_credentials().await.map_err(|error| error::from_credentials_error(&error))?;
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
            .and_then(|credentials| expired::ensure_issued_valid(credentials, &SystemClock))
            .map_err(|error: Error| error.with_provider(self.name.clone()))
    }
}

impl fmt::Debug for SdkProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkProvider").field("name", &self.name).finish_non_exhaustive()
    }
}
