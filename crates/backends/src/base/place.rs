//! `EndpointConfig`: where a provider asks: region, endpoint, and the base whose connections are used.

use aws_config::SdkConfig;
use valetkey_core::Region;

use super::{AwsClientConfig, to_sdk_region, with_endpoint_url};

/// Where to ask, as a builder was told.
#[derive(Default)]
pub(crate) struct EndpointConfig {
    pub(crate) region: Option<Region>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) base: Option<AwsClientConfig>,
}

impl EndpointConfig {
    /// The configuration of clients there; `None` when nobody said a region.
    pub(crate) fn config(self) -> Option<SdkConfig> {
        let base = self.base.unwrap_or_default();
        let mut config = base.config().to_builder();
        if let Some(region) = &self.region {
            config = config.region(to_sdk_region(region));
        }
        if let Some(url) = self.endpoint_url {
            config = with_endpoint_url(config, url);
        }
        Some(config.build()).filter(|config| config.region().is_some())
    }
}
