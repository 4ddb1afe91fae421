//! The SDK's providers, put together anew for each fetch: they keep the files they have read, and a failure to read
//! them, for as long as they live.

use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::{ProvideRegion, RegionProviderChain};
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::SharedCredentialsProvider;

use crate::SdkBase;

/// Whose credentials are meant.
#[derive(Debug, Clone)]
pub(super) enum SourceKind {
    DefaultChain,
    Profile(String),
}

impl SourceKind {
    /// The region that the same settings name. The instance metadata service is not asked.
    pub(super) async fn region(&self) -> Option<Region> {
        match self {
            Self::DefaultChain => {
                let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new());
                chain.or_else(ProfileFileRegionProvider::new()).region().await
            }
            Self::Profile(name) => {
                ProfileFileRegionProvider::builder().profile_name(name).build().region().await
            }
        }
    }

    /// A provider that has read nothing yet.
    pub(super) async fn provider(&self, base: &SdkBase, region: Option<Region>) -> SharedCredentialsProvider {
        let region = region.or_else(|| base.config().region().cloned());
        let config = provider_config(base).with_region(region.clone());
        match self {
            Self::DefaultChain => {
                let chain = DefaultCredentialsChain::builder().configure(config).region(region);
                SharedCredentialsProvider::new(chain.build().await)
            }
            Self::Profile(name) => {
                let profile = ProfileFileCredentialsProvider::builder().configure(&config).profile_name(name);
                SharedCredentialsProvider::new(profile.build())
            }
        }
    }
}

/// The base's connections, retries and clocks.
fn provider_config(base: &SdkBase) -> ProviderConfig {
    let base = base.config();
    let mut config = ProviderConfig::without_region().with_behavior_version(base.behavior_version());
    if let Some(client) = base.http_client() {
        config = config.with_http_client(client);
    }
    if let Some(retries) = base.retry_config() {
        config = config.with_retry_config(retries.clone());
    }
    if let Some(timeouts) = base.timeout_config() {
        config = config.with_timeout_config(timeouts.clone());
    }
    config
}
