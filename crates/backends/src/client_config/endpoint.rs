//! Endpoints: the region and the URL of a provider's service, and the endpoint settings of a process.

use std::fmt;

use aws_config::SdkConfig;
use aws_types::origin::Origin;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use valetkey_core::Region;

const ENDPOINT_URL_VARIABLE: &str = "AWS_ENDPOINT_URL";

/// The endpoint settings of a provider.
#[derive(Default)]
#[cfg(any(feature = "sts", feature = "secrets-manager"))]
pub(crate) struct EndpointConfig {
    pub(crate) region: Option<Region>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) client_config: Option<super::AwsClientConfig>,
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
pub(super) fn with_endpoint_url(
    mut builder: aws_types::sdk_config::Builder,
    url: impl Into<String>,
) -> aws_types::sdk_config::Builder {
    builder.insert_origin("endpoint_url", Origin::shared_config());
    builder.endpoint_url(url)
}
