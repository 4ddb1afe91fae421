//! The instance metadata service, as a source of credentials without retries of its own.

use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::load;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_types::os_shim_internal::{Env, Fs};

use super::chain::SourceKind;

/// The name of the source in `credential_source` settings.
pub(super) const SOURCE: &str = "Ec2InstanceMetadata";

const ENDPOINT: (&str, &str) = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
const MODE: (&str, &str) = ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");

/// A client that makes one attempt.
pub(super) async fn client(
    choice: &SourceKind,
    config: &ProviderConfig,
) -> Result<imds::Client, CredentialsError> {
    let builder = imds::Client::builder().configure(config).max_attempts(1);
    let SourceKind::Profile(name) = choice else { return Ok(builder.build()) };
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

/// The source that profiles name with `credential_source`.
pub(super) fn source(client: &imds::Client, config: &ProviderConfig) -> ImdsCredentialsProvider {
    ImdsCredentialsProvider::builder().configure(config).imds_client(client.clone()).build()
}
