//! `EndpointOnlyServiceConfig`: of the per-service settings of a process, those that say where, none that say who.

use std::fmt;

use aws_config::SdkConfig;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

const ENDPOINT: &str = "AWS_ENDPOINT_URL";

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
        let settings = self.0.service_config().filter(|_| key.env() == ENDPOINT)?;
        settings.load_config(key)
    }
}

impl fmt::Debug for EndpointOnlyServiceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SettingsOnly")
    }
}
