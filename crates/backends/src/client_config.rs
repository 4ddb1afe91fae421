//! `AwsClientConfig`: the configuration that all AWS clients of a process share, without an identity; endpoints; and retry
//! quotas.
//!
//! A retry quota is a token bucket of the SDK. By default the SDK shares one bucket among all clients of a service and
//! region in a process. Calls of one tenant that keep failing would then use up the retries of every other tenant. So
//! each provider and each session has a bucket of its own.

mod http;

use std::fmt;

use aws_config::meta::region::RegionProviderChain;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::identity::SharedIdentityCache;
use aws_smithy_types::retry::RetrySpec;
use aws_types::origin::Origin;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use valetkey_core::Region;

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

const ENDPOINT_URL_VARIABLE: &str = "AWS_ENDPOINT_URL";

/// The endpoint settings of a provider.
#[derive(Default)]
#[cfg(any(feature = "sts", feature = "secrets-manager"))]
pub(crate) struct EndpointConfig {
    pub(crate) region: Option<Region>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) client_config: Option<AwsClientConfig>,
}

#[cfg(any(feature = "sts", feature = "secrets-manager"))]
impl EndpointConfig {
    /// Returns the configuration of the provider's clients; `None` without a region.
    pub(crate) fn into_sdk_config(self) -> Option<SdkConfig> {
        let client_config = self.client_config.unwrap_or_default();
        let mut builder = client_config.config().to_builder();
        if let Some(region) = &self.region {
            builder = builder.region(to_sdk_region(region));
        }
        if let Some(url) = self.endpoint_url {
            builder = with_endpoint_url(builder, url);
        }
        Some(builder.build()).filter(|config| config.region().is_some())
    }
}

/// Loads endpoint URLs only. Other settings may be identities: with `AWS_BEARER_TOKEN_BEDROCK`, the Bedrock client of a
/// session would act as its host.
struct EndpointOnlyServiceConfig(SdkConfig);

impl EndpointOnlyServiceConfig {
    fn new(config: &SdkConfig) -> Self {
        Self(config.clone())
    }
}

impl LoadServiceConfig for EndpointOnlyServiceConfig {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let settings = self.0.service_config().filter(|_| key.env() == ENDPOINT_URL_VARIABLE)?;
        settings.load_config(key)
    }
}

impl fmt::Debug for EndpointOnlyServiceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointOnlyServiceConfig")
    }
}

/// Converts to a region of the SDK.
pub(crate) fn to_sdk_region(region: &Region) -> aws_config::Region {
    aws_config::Region::new(region.as_str().to_owned())
}

/// Converts from a region of the SDK; `None` if it is not valid.
#[cfg(any(feature = "sts", feature = "sdk"))]
pub(crate) fn from_sdk_region(region: &aws_config::Region) -> Option<Region> {
    region.as_ref().parse().ok()
}

/// Sets an endpoint. Because of its origin, it takes precedence over `AWS_ENDPOINT_URL_<SERVICE>`.
fn with_endpoint_url(
    mut builder: aws_types::sdk_config::Builder,
    url: impl Into<String>,
) -> aws_types::sdk_config::Builder {
    builder.insert_origin("endpoint_url", Origin::shared_config());
    builder.endpoint_url(url)
}

/// Returns a partition that shares its bucket, and the rate limiter of adaptive retries, only with its clones. The SDK
/// does not keep it in a static map, so it is freed with its provider.
#[cfg(any(feature = "sts", feature = "secrets-manager", feature = "kms"))]
pub(crate) fn new_retry_partition(retries: Option<&RetryConfig>) -> RetryPartition {
    retry_partition_with(new_token_bucket(retries))
}

/// Returns a partition with this bucket and a rate limiter of its own.
pub(crate) fn retry_partition_with(bucket: TokenBucket) -> RetryPartition {
    RetryPartition::custom("valetkey").token_bucket(bucket).build()
}

/// Returns a full bucket with the costs that the SDK uses for `retries`.
pub(crate) fn new_token_bucket(retries: Option<&RetryConfig>) -> TokenBucket {
    if is_v2_1(retries) {
        return TokenBucket::builder().retry_cost(14).throttling_retry_cost(5).timeout_retry_cost(14).build();
    }
    TokenBucket::default()
}

/// Returns whether `retries` uses version 2.1 of the retry specification of the SDKs, which has other costs.
pub(crate) fn is_v2_1(retries: Option<&RetryConfig>) -> bool {
    let spec = retries.and_then(RetryConfig::retry_spec);
    spec.is_some_and(|spec| spec.is_at_least(RetrySpec::V2_1))
}
