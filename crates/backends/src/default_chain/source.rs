//! The SDK's providers, put together anew for each attempt at a fetch: they keep the files they have read, and a failure to read
//! them, for as long as they live.

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::region::{ProvideRegion, RegionProviderChain};
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider, load};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::{Region, imds};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_types::os_shim_internal::{Env, Fs};

use super::requests::Requests;
use crate::AwsClientConfig;

/// The source of the credentials.
#[derive(Debug, Clone)]
pub(super) enum SourceKind {
    DefaultChain,
    Profile(String),
}

impl SourceKind {
    /// Returns the region in the same settings. The instance metadata service is not called.
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

    /// Creates a new provider, which has read nothing yet, and calls it once.
    pub(super) async fn fetch(
        &self,
        client_config: &AwsClientConfig,
        region: Option<Region>,
        requests: &Requests,
    ) -> Result<Credentials, CredentialsError> {
        let region = region.or_else(|| client_config.config().region().cloned());
        let config = provider_config(client_config, requests).with_region(region.clone());
        let client = instance_client(self, &config).await?;
        let source = instance_source(&client, &config);
        match self {
            Self::DefaultChain => {
                let chain = DefaultCredentialsChain::builder().configure(config).region(region);
                let chain = chain.imds_client(client).with_custom_credential_source(INSTANCE_SOURCE, source);
                chain.build().await.provide_credentials().await
            }
            Self::Profile(name) => {
                let profile = ProfileFileCredentialsProvider::builder().configure(&config).profile_name(name);
                let profile = profile.with_custom_provider(INSTANCE_SOURCE, source);
                profile.build().provide_credentials().await
            }
        }
    }
}

/// Starts an attempt with the connections, timeouts and clock of the client configuration. Each request is observed, and
/// none is retried. The configuration has no sleep implementation, because the container provider retries if it has one;
/// clients that need one for their timeouts use that of tokio.
fn provider_config(client_config: &AwsClientConfig, requests: &Requests) -> ProviderConfig {
    let sdk_config = client_config.config();
    let (clock, skew) = (sdk_config.time_source().unwrap_or_default(), requests.begin_attempt());
    let mut config = ProviderConfig::empty()
        .with_behavior_version(sdk_config.behavior_version())
        .with_retry_config(RetryConfig::disabled())
        .with_time_source(skew.correct(clock.clone()));
    if let Some(client) = sdk_config.http_client() {
        config = config.with_http_client(requests.observing(client, clock));
    }
    if let Some(timeouts) = sdk_config.timeout_config() {
        config = config.with_timeout_config(timeouts.clone());
    }
    config
}

/// The name of the instance metadata service in `credential_source` settings.
const INSTANCE_SOURCE: &str = "Ec2InstanceMetadata";

const ENDPOINT: (&str, &str) = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
const MODE: (&str, &str) = ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");

/// Creates a client of the instance metadata service that makes one attempt.
async fn instance_client(
    source_kind: &SourceKind,
    config: &ProviderConfig,
) -> Result<imds::Client, CredentialsError> {
    let builder = imds::Client::builder().configure(config).max_attempts(1);
    let SourceKind::Profile(name) = source_kind else { return Ok(builder.build()) };
    // `config` cannot name a profile, and the client looks for its endpoint in the profile that is active otherwise.
    let env = Env::real();
    let profiles = load(&Fs::real(), &env, &Default::default(), Some(name.clone().into())).await.ok();
    let setting = |(variable, key): (&str, &str)| {
        let from_profile = || profiles.as_ref()?.get(key).map(str::to_owned);
        env.get(variable).ok().or_else(from_profile)
    };
    if let Some(url) = setting(ENDPOINT) {
        return Ok(builder.endpoint(url).map_err(CredentialsError::invalid_configuration)?.build());
    }
    let Some(mode) = setting(MODE) else { return Ok(builder.build()) };
    let mode = mode.parse().map_err(|error: imds::client::error::InvalidEndpointMode| {
        CredentialsError::invalid_configuration(error)
    })?;
    Ok(builder.endpoint_mode(mode).build())
}

/// Creates the source that profiles name with `credential_source`.
fn instance_source(client: &imds::Client, config: &ProviderConfig) -> ImdsCredentialsProvider {
    ImdsCredentialsProvider::builder().configure(config).imds_client(client.clone()).build()
}
