//! `AwsClientConfig`: the configuration that all AWS clients of a process share, without an identity.

mod endpoint;
mod http;
#[cfg(any(feature = "sts", feature = "secrets-manager", feature = "sdk"))]
pub(crate) mod retry_quota;

use std::fmt;

use aws_config::meta::region::RegionProviderChain;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::identity::SharedIdentityCache;
use valetkey_core::Region;

#[cfg(any(feature = "sts", feature = "secrets-manager"))]
pub(crate) use self::endpoint::EndpointConfig;
#[cfg(any(feature = "sts", feature = "sdk"))]
pub(crate) use self::endpoint::from_sdk_region;
pub(crate) use self::endpoint::to_sdk_region;
use self::endpoint::{EndpointOnlyServiceConfig, with_endpoint_url};
use self::http::DisabledTokenProvider;

/// The configuration that all AWS clients of a process share: one HTTP client with its connections, the endpoints of the
/// services, the region, timeouts, the SDK's standard retries and a fixed behavior version.
///
/// It has no credentials: each client gets them from a session or from the source of a provider. Create one for each
/// process and pass it to all providers; clones share the connections. Each provider has a retry quota of its own.
///
/// # Examples
///
/// ```
/// use valetkey_backends::{AssumeRoleProvider, AwsClientConfig, EnvProvider};
///
/// # fn main() -> valetkey_core::Result<()> {
/// // `AwsClientConfig::from_process().await` also reads the settings of the process.
/// let client_config = AwsClientConfig::new().region(&"eu-central-1".parse()?);
/// let role = "arn:aws:iam::111111111111:role/agent".parse()?;
/// let provider = AssumeRoleProvider::builder(role, EnvProvider::from_process())
///     .client_config(&client_config)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AwsClientConfig(SdkConfig);

impl AwsClientConfig {
    /// Creates a configuration that reads nothing from the process: no region, the public endpoints, no proxy.
    #[must_use]
    pub fn new() -> Self {
        let config = SdkConfig::builder()
            .behavior_version(behavior_version())
            .retry_config(RetryConfig::standard())
            .http_client(http::without_proxy())
            .build();
        Self::from(config)
    }

    /// Creates a configuration from the environment and the shared configuration files of the process: the region,
    /// `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>`, retries, timeouts, and the proxies, which are never used for
    /// loopback and link-local addresses.
    ///
    /// It reads no credentials and does not call the instance metadata service. It takes about 0.1 s, so call it once
    /// for each process.
    pub async fn from_process() -> Self {
        let region =
            RegionProviderChain::first_try(aws_config::environment::EnvironmentVariableRegionProvider::new())
                .or_else(aws_config::profile::ProfileFileRegionProvider::new());
        let loader = aws_config::defaults(behavior_version())
            .http_client(http::with_proxy())
            .region(region)
            .no_credentials()
            .token_provider(DisabledTokenProvider);
        Self::from(loader.load().await)
    }

    /// Sets the region of clients for which no other region is set.
    #[must_use]
    pub fn region(self, region: &Region) -> Self {
        Self(self.0.into_builder().region(to_sdk_region(region)).build())
    }

    /// Sends all requests to `url`, such as a VPC endpoint or an emulator. It takes precedence over the environment.
    ///
    /// # Examples
    ///
    /// ```
    /// use valetkey_backends::AwsClientConfig;
    ///
    /// # fn main() -> valetkey_core::Result<()> {
    /// let client_config = AwsClientConfig::new().region(&"us-east-1".parse()?).endpoint_url("http://localhost:5000");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn endpoint_url(self, url: impl Into<String>) -> Self {
        Self(with_endpoint_url(self.0.into_builder(), url).build())
    }

    /// Returns the SDK's configuration, for clients with credentials of their own.
    #[must_use]
    pub fn config(&self) -> &SdkConfig {
        &self.0
    }
}

impl Default for AwsClientConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes over everything except the identity: credentials, tokens and the identity cache are dropped, and of the settings
/// for single services only the endpoints are kept. Missing parts get defaults: standard retries, a fixed behavior
/// version, a shared HTTP client, and the timer of tokio.
impl From<SdkConfig> for AwsClientConfig {
    fn from(config: SdkConfig) -> Self {
        let retries = config.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        let version = config.behavior_version().unwrap_or_else(behavior_version);
        let http_client = config.http_client().unwrap_or_else(http::without_proxy);
        let (time, sleep) =
            (config.time_source().unwrap_or_default(), config.sleep_impl().unwrap_or_else(tokio_sleep));
        let service_config = EndpointOnlyServiceConfig::new(&config);
        let mut builder = config.into_builder();
        builder
            .set_credentials_provider(None)
            .set_token_provider(None)
            .set_identity_cache(Some(no_identity_cache()));
        builder.set_retry_config(Some(retries)).set_behavior_version(Some(version));
        builder.set_http_client(Some(http_client)).set_time_source(Some(time)).set_sleep_impl(Some(sleep));
        Self(builder.service_config(service_config).build())
    }
}

impl fmt::Debug for AwsClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsClientConfig").field("region", &self.0.region()).finish_non_exhaustive()
    }
}

/// The behavior version that valetkey is tested with. `latest()` would change with a dependency update.
fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

fn tokio_sleep() -> SharedAsyncSleep {
    SharedAsyncSleep::new(TokioSleep::new())
}

/// Disables the SDK's identity cache: it would keep credentials after a rotation and after `clear` (static keys for
/// 15 minutes).
fn no_identity_cache() -> SharedIdentityCache {
    aws_config::identity::IdentityCache::no_cache()
}
