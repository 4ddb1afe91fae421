//! The bridge to the AWS SDK: a session as the configuration of SDK clients, and SDK providers as credential providers.

mod provider;

use std::collections::HashMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_runtime::client::identity::no_auth::NoAuthIdentity;
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer, Layer};
use aws_smithy_types::retry::RetryConfig;
use parking_lot::Mutex;
use valetkey_core::audit::AuditEvent;
use valetkey_core::{Error, ErrorKind, Region, Result, SessionAccount, SessionContext};

use crate::AwsClientConfig;
use crate::client_config::{from_sdk_region, new_token_bucket, retry_partition_with, to_sdk_region};

pub use self::provider::SdkProvider;
#[cfg(feature = "ambient")]
pub(crate) use provider::from_credentials_error as error_of;
#[cfg(feature = "ambient")]
pub(crate) use provider::refusal;

/// Makes a session, or one of its accounts, the configuration of any SDK client.
///
/// A client with this configuration gets credentials from the session at each request: it follows rotation,
/// `set_credentials` and `clear`, and does not keep the session open. It has no other identity. Each configuration has a
/// retry quota of its own, so that failing calls of one session do not use up the retries of another.
///
/// The region does not change after the configuration was made. It is the region of the account's credentials, or else
/// of the account, of the session, of the environment, or `us-east-1`. For the first, the credentials are fetched. An
/// account without credentials still gets a configuration, and may get credentials later.
///
/// # Examples
///
/// ```no_run
/// # use valetkey_backends::{AwsClientConfig, SdkConfigExt};
/// # async fn example(session: valetkey_core::SessionContext) -> valetkey_core::Result<()> {
/// let client_config = AwsClientConfig::from_process().await; // Once for each process.
/// let s3 = aws_sdk_s3::Client::new(&session.sdk_config_from(client_config.config()).await?);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SdkConfigExt {
    /// Returns a configuration with the settings of this process ([`AwsClientConfig::from_process`]): endpoints, timeouts,
    /// and its region if the session has none.
    ///
    /// Each call reads the settings and creates an HTTP client, which takes about 0.1 s. With many sessions, create one
    /// [`AwsClientConfig`] and use [`sdk_config_from`](Self::sdk_config_from).
    ///
    /// # Errors
    /// `Closed` after closing, and errors of the account's provider except `NotConfigured`.
    async fn sdk_config(&self) -> Result<SdkConfig>;

    /// Returns a configuration with the HTTP client, endpoints, timeouts and retries of `base`, such as
    /// [`AwsClientConfig::config`], and with its region if the session has none. Credentials, tokens and the identity cache
    /// of `base` are not used.
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

/// Returns the account's region. It fetches the credentials first, because they may have a region, and the result must not
/// depend on an earlier fetch.
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

/// Implements the SDK's `ProvideCredentials` for one account of a session.
///
/// Disable the SDK's identity cache, as [`SdkConfigExt`] does: the session is the cache, and the SDK's would keep
/// credentials after `clear`. The provider does not keep the session open. The session audits each call as a `Serve`, and
/// each refusal as a `Deny`.
///
/// # Examples
///
/// ```
/// use aws_config::identity::IdentityCache;
/// use valetkey_backends::SessionCredentialsProvider;
/// # use valetkey_core::{Result, SessionContext};
/// # fn example(session: &SessionContext) -> Result<()> {
///
/// let account = session.account(&"prod".parse()?)?;
/// let s3 = aws_sdk_s3::Config::builder()
///     .credentials_provider(SessionCredentialsProvider::new(account))
///     .identity_cache(IdentityCache::no_cache())
///     .build();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SessionCredentialsProvider(SessionAccount);

impl SessionCredentialsProvider {
    /// Creates a provider of the credentials of `account`.
    #[must_use]
    pub fn new(account: SessionAccount) -> Self {
        Self(account)
    }

    async fn sdk_credentials(&self) -> Result<Credentials, CredentialsError> {
        let result = self.0.credentials().await;
        let event = if result.is_ok() { AuditEvent::Serve } else { AuditEvent::Deny };
        self.0.audit(event, "sdk", result.as_ref().err());
        result.map(|credentials| credentials.expose_to_sdk()).map_err(into_credentials_error)
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

/// Converts an error of a session to an error of the SDK, with the original as its cause: it contains no secret.
fn into_credentials_error(error: Error) -> CredentialsError {
    match error.kind() {
        ErrorKind::NotConfigured => CredentialsError::not_loaded(error),
        ErrorKind::Invalid => CredentialsError::invalid_configuration(error),
        _ => CredentialsError::provider_error(error),
    }
}

/// Resolves the identity at each attempt, because the session is the cache.
///
/// It also carries the retry quota of the configuration, one for each service. An `SdkConfig` has no field for a retry
/// partition, but the SDK adds the properties of a resolved identity to the settings of the call, where its retry
/// strategy looks for the bucket and for the partition. Without this, all sessions of a process would share one bucket,
/// and one rate limiter of adaptive retries, for each service.
#[derive(Debug, Default)]
struct SessionIdentityCache {
    quotas: Mutex<HashMap<String, Quota>>,
}

#[derive(Debug, Clone)]
struct Quota {
    bucket: TokenBucket,
    partition: RetryPartition,
}

impl SessionIdentityCache {
    /// Returns the quota of the service that the call addresses. The first call of a service creates it.
    fn quota(&self, settings: &ConfigBag) -> Quota {
        let service = settings.load::<Metadata>().map_or("", Metadata::service);
        let mut quotas = self.quotas.lock();
        if let Some(quota) = quotas.get(service) {
            return quota.clone();
        }
        let bucket = new_token_bucket(settings.load::<RetryConfig>());
        let quota = Quota { partition: retry_partition_with(bucket.clone()), bucket };
        quotas.insert(service.to_owned(), quota.clone());
        quota
    }
}

impl Quota {
    fn layer(self) -> Layer {
        let mut layer = Layer::new("session");
        layer.store_put(self.bucket);
        layer.store_put(self.partition);
        layer
    }
}

impl ResolveCachedIdentity for SessionIdentityCache {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        settings: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        IdentityFuture::new(async move {
            let identity = resolver.resolve_identity(components, settings).await?;
            let layer = || self.quota(settings).layer();
            if let Some(credentials) = identity.data::<Credentials>() {
                return with_layer(credentials, layer());
            }
            if identity.data::<NoAuthIdentity>().is_some() {
                return unsigned(layer());
            }
            Ok(identity)
        })
    }
}

/// Returns the identity of unsigned requests, such as `AssumeRoleWithWebIdentity`, with `layer` among its properties.
fn unsigned(layer: Layer) -> Result<Identity, BoxError> {
    let identity = Identity::builder().data(NoAuthIdentity::new());
    Ok(identity.property::<FrozenLayer>(layer.freeze()).build()?)
}

/// Returns the identity that the SDK makes of `credentials`, with `layer` among its properties.
fn with_layer(credentials: &Credentials, mut layer: Layer) -> Result<Identity, BoxError> {
    let features = credentials.get_property::<Vec<AwsCredentialFeature>>();
    for feature in features.into_iter().flatten().cloned() {
        layer.store_append(feature);
    }
    let mut identity = Identity::builder().data(credentials.clone());
    if let Some(account_id) = credentials.account_id() {
        layer.store_append(AwsCredentialFeature::ResolvedAccountId);
        identity.set_property(account_id.clone());
    }
    identity.set_property::<FrozenLayer>(layer.freeze());
    identity.set_expiration(credentials.expiry());
    Ok(identity.build()?)
}
