//! `AwsClientConfig`: what every AWS client of a process shares, and no identity.

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
pub(crate) use endpoint::EndpointConfig;
#[cfg(any(feature = "sts", feature = "sdk"))]
pub(crate) use endpoint::from_sdk_region;
pub(crate) use endpoint::to_sdk_region;
use endpoint::{EndpointOnlyServiceConfig, with_endpoint_url};
use http::DisabledTokenProvider;

/// What every AWS client of a process shares: one HTTP client with its connections, the SDK's standard retries, a
/// dated behaviour version, and where the services are. Each provider has a retry quota of its own. It holds no credentials: those come from a session or from a
/// provider's source, one client at a time. Make one per process and hand it on; a clone shares the connections.
#[derive(Clone)]
pub struct AwsClientConfig(SdkConfig);

impl AwsClientConfig {
    /// A base that reads nothing from the process: no region, the public endpoints, no proxy.
    #[must_use]
    pub fn new() -> Self {
        let config = SdkConfig::builder()
            .behavior_version(behavior_version())
            .retry_config(RetryConfig::standard())
            .http_client(http::without_proxy())
            .build();
        Self::from(config)
    }

    /// A base with the process's settings: region, `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>`, retries,
    /// time-outs and proxies (never for loopback and link-local addresses), as the environment and the shared configuration files say. Its credentials are not
    /// read, and the instance metadata service is not asked. Takes some 0.1 s: once per process.
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

    /// Uses `region` wherever nobody names another.
    #[must_use]
    pub fn region(self, region: &Region) -> Self {
        Self(self.0.into_builder().region(to_sdk_region(region)).build())
    }

    /// Sends everything to `url` (a VPC endpoint, an emulator), whatever the environment says.
    #[must_use]
    pub fn endpoint_url(self, url: impl Into<String>) -> Self {
        Self(with_endpoint_url(self.0.into_builder(), url).build())
    }

    /// The shared configuration, for clients that the host signs for itself.
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

/// Takes over everything but who the client is: credentials, tokens and the identity cache are left behind, and of
/// the per-service settings only the endpoints stay. What is missing is filled in: standard retries, a dated
/// behaviour version, an HTTP client to share, and tokio's timer.
impl From<SdkConfig> for AwsClientConfig {
    fn from(config: SdkConfig) -> Self {
        let retries = config.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        let version = config.behavior_version().unwrap_or_else(behavior_version);
        let connection = config.http_client().unwrap_or_else(http::without_proxy);
        let (time, sleep) =
            (config.time_source().unwrap_or_default(), config.sleep_impl().unwrap_or_else(tokio_sleep));
        let settings = EndpointOnlyServiceConfig::new(&config);
        let mut builder = config.into_builder();
        builder
            .set_credentials_provider(None)
            .set_token_provider(None)
            .set_identity_cache(Some(no_identity_cache()));
        builder.set_retry_config(Some(retries)).set_behavior_version(Some(version));
        builder.set_http_client(Some(connection)).set_time_source(Some(time)).set_sleep_impl(Some(sleep));
        Self(builder.service_config(settings).build())
    }
}

impl fmt::Debug for AwsClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsClientConfig").field("region", &self.0.region()).finish_non_exhaustive()
    }
}

/// The behaviour version that valetkey is tested with. `latest()` would change under a dependency update.
fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

fn tokio_sleep() -> SharedAsyncSleep {
    SharedAsyncSleep::new(TokioSleep::new())
}

/// The SDK's identity cache off: it would outlive a rotation and a clearing (static keys by 15 minutes).
fn no_identity_cache() -> SharedIdentityCache {
    aws_config::identity::IdentityCache::no_cache()
}
