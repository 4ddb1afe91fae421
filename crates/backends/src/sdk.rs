//! The bridge to the AWS SDK, both ways: its providers as ours, a session as its configuration.

mod identity;
mod provider;

pub use provider::SdkProvider;
#[cfg(feature = "ambient")]
pub(crate) use provider::{from_credentials_error as error_of, refusal};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use valetkey_core::audit::AuditEvent;
use valetkey_core::{Error, ErrorKind, Region, Result, SessionAccount, SessionContext};

use crate::AwsClientConfig;
use crate::client_config::{from_sdk_region, to_sdk_region};
use identity::SessionIdentityCache;

/// A session, or one account of it, as an [`SdkConfig`]: `aws_sdk_s3::Client::new(&session.sdk_config().await?)`.
///
/// A client made from it asks the session at every request: it follows rotation, `set_credentials` and clearing
/// without being made again, and holds no handle that would keep the session open. Nobody else's identity is in it.
/// Each configuration has a retry quota of its own, so that failing calls of one session do not use up the retries of
/// another.
/// The region is fixed when the configuration is made: that of the account's credentials, else the account's own,
/// else the session's, else the environment's, else `us-east-1`. To know the first, the credentials are fetched; an account that has none yet may still get a
/// configuration, and be given credentials later.
///
/// ```no_run
/// # use valetkey_backends::{AwsClientConfig, SdkConfigExt};
/// # async fn example(session: valetkey_core::SessionContext) -> valetkey_core::Result<()> {
/// let base = AwsClientConfig::from_process().await; // once per process
/// let s3 = aws_sdk_s3::Client::new(&session.sdk_config_from(base.config()).await?);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SdkConfigExt {
    /// The configuration, over the process's settings ([`AwsClientConfig::from_process`]): `AWS_ENDPOINT_URL*`, time-outs and
    /// the like, and its region where the session knows none. Reads them anew and opens an HTTP client of its own, which takes some 0.1 s: with
    /// many sessions, make one base and use [`sdk_config_from`](Self::sdk_config_from).
    ///
    /// # Errors
    /// `Closed` after closing; what the account's provider failed with, unless it is merely not configured.
    async fn sdk_config(&self) -> Result<SdkConfig>;

    /// The configuration, over `base` (such as [`AwsClientConfig::config`]): its HTTP client, endpoints, time-outs and
    /// retries. Credentials, tokens and the identity cache of `base` are left behind. Its region counts when the
    /// session knows none.
    ///
    /// # Errors
    /// As [`sdk_config`](Self::sdk_config).
    async fn sdk_config_from(&self, base: &SdkConfig) -> Result<SdkConfig>;
}

#[async_trait]
impl SdkConfigExt for SessionAccount {
    async fn sdk_config(&self) -> Result<SdkConfig> {
        self.sdk_config_from(AwsClientConfig::from_process().await.config()).await
    }

    async fn sdk_config_from(&self, base: &SdkConfig) -> Result<SdkConfig> {
        let region = account_region(self).await?.or_else(|| from_sdk_region(base.region()?));
        let region = region.unwrap_or_else(Region::us_east_1);
        Ok(build_sdk_config(self, AwsClientConfig::from(base.clone()), &region))
    }
}

#[async_trait]
impl SdkConfigExt for SessionContext {
    async fn sdk_config(&self) -> Result<SdkConfig> {
        self.account(self.default_account())?.sdk_config().await
    }

    async fn sdk_config_from(&self, base: &SdkConfig) -> Result<SdkConfig> {
        self.account(self.default_account())?.sdk_config_from(base).await
    }
}

/// The account's region. Credentials are fetched first: they may bring a region, and the answer must not depend on
/// whether somebody happened to ask before.
async fn account_region(account: &SessionAccount) -> Result<Option<Region>> {
    match account.credentials().await {
        Err(error) if error.kind() != ErrorKind::NotConfigured => Err(error),
        _ => Ok(account.region().or_else(|| account.environment_region())),
    }
}

fn build_sdk_config(account: &SessionAccount, base: AwsClientConfig, region: &Region) -> SdkConfig {
    let credentials = SharedCredentialsProvider::new(SessionCredentialsProvider::new(account.clone()));
    let builder = base.config().to_builder();
    builder
        .region(to_sdk_region(region))
        .credentials_provider(credentials)
        .identity_cache(SessionIdentityCache::default())
        .build()
}

/// One account of a session as the AWS SDK's `ProvideCredentials`. Use it with the identity cache off, as
/// [`SdkConfigExt`](super::SdkConfigExt) does: the session is the cache, and the SDK's would outlive a clearing.
/// It does not keep the session open. Each set that is handed out is a `Serve` in the session's
/// audit trail, each refusal a `Deny`.
#[derive(Debug, Clone)]
pub struct SessionCredentialsProvider(SessionAccount);

impl SessionCredentialsProvider {
    /// Answers as `account`.
    #[must_use]
    pub fn new(account: SessionAccount) -> Self {
        Self(account)
    }

    async fn sdk_credentials(&self) -> Result<aws_credential_types::Credentials, CredentialsError> {
        let answer = self.0.credentials().await;
        let event = if answer.is_ok() { AuditEvent::Serve } else { AuditEvent::Deny };
        self.0.audit(event, "sdk", answer.as_ref().err());
        answer.map(|credentials| credentials.expose_to_sdk()).map_err(into_credentials_error)
    }
}

impl ProvideCredentials for SessionCredentialsProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.sdk_credentials())
    }
}

/// A session's failure as the SDK's. Ours holds no secret, so it goes along as the cause.
fn into_credentials_error(error: Error) -> CredentialsError {
    match error.kind() {
        ErrorKind::NotConfigured => CredentialsError::not_loaded(error),
        ErrorKind::Invalid => CredentialsError::invalid_configuration(error),
        _ => CredentialsError::provider_error(error),
    }
}
