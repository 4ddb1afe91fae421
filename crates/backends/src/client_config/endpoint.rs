//! Endpoints: the region and URL that a provider calls, and the endpoint settings that a process configures.

use std::fmt;

use aws_config::SdkConfig;
use aws_types::origin::Origin;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use valetkey_core::Region;

/// Where to ask, as a builder was told.
#[derive(Default)]
#[cfg(any(feature = "sts", feature = "secrets-manager"))]
pub(crate) struct EndpointConfig {
    pub(crate) region: Option<Region>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) base: Option<super::AwsClientConfig>,
}

#[cfg(any(feature = "sts", feature = "secrets-manager"))]
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

const ENDPOINT_URL_VARIABLE: &str = "AWS_ENDPOINT_URL";

/// Lets endpoints through. Other keys may be identities: `AWS_BEARER_TOKEN_BEDROCK` would make a session's Bedrock
/// client act as its host.
pub(super) struct EndpointOnlyServiceConfig(SdkConfig);

impl EndpointOnlyServiceConfig {
    pub(super) fn new(config: &SdkConfig) -> Self {
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

/// Our region as the SDK's.
pub(crate) fn to_sdk_region(region: &Region) -> aws_config::Region {
    aws_config::Region::new(region.as_str().to_owned())
}

/// The SDK's region as ours, if it looks like one.
#[cfg(any(feature = "sts", feature = "sdk"))]
pub(crate) fn from_sdk_region(region: &aws_config::Region) -> Option<Region> {
    region.as_ref().parse().ok()
}

/// An endpoint that was named in code wins over `AWS_ENDPOINT_URL_<SERVICE>`, because of its origin.
pub(super) fn with_endpoint_url(
    mut builder: aws_types::sdk_config::Builder,
    url: impl Into<String>,
) -> aws_types::sdk_config::Builder {
    builder.insert_origin("endpoint_url", Origin::shared_config());
    builder.endpoint_url(url)
}
