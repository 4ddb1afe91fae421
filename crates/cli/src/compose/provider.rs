//! Builds the provider of one account and reports every error in its fields.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use valetkey::backends::{
    AmbientProvider, AwsClientConfig, EnvProvider, MemoryProvider, ProcessProvider, SecretsManagerProvider,
};
use valetkey::{Attribution, CredentialProvider, Error, Region, Result};

use super::accounts::region_or_default;
use super::{exchange, hints, role};
use crate::settings::{AttributionSettings, ProcessSettings, ProviderSettings, SecretSettings};
use crate::terminal::Terminal;

pub(super) type SharedProvider = Arc<dyn CredentialProvider>;

/// The context in which an account is built.
#[derive(Clone)]
pub(super) struct ProviderContext<'a> {
    pub(super) name: &'a str,
    pub(super) base: &'a AwsClientConfig,
    /// The provider of the credentials with which the account's own are fetched.
    pub(super) source: SharedProvider,
    /// Whether the source credentials are temporary.
    pub(super) is_chained: bool,
    pub(super) attribution: Attribution,
    /// How the role session carries the attribution, unless the account overrides it.
    pub(super) attribution_mode: AttributionSettings,
    pub(super) terminal: &'a Terminal,
    /// The folder of the settings file.
    pub(super) folder: &'a Path,
}

pub(super) fn build_provider(
    settings: &ProviderSettings,
    around: &ProviderContext<'_>,
) -> Result<SharedProvider, Vec<Error>> {
    Ok(match settings {
        ProviderSettings::Memory(plain) => {
            parse_region(plain.region.as_deref())?;
            Arc::new(MemoryProvider::new())
        }
        ProviderSettings::Environment(plain) => {
            parse_region(plain.region.as_deref())?;
            Arc::new(EnvProvider::from_process())
        }
        ProviderSettings::AssumeRole(role) => Arc::new(role::build_assume_role(role, around)?),
        ProviderSettings::WebIdentity(role) => Arc::new(role::build_web_identity(role, around)?),
        ProviderSettings::Federation(wanted) => Arc::new(exchange::build_federation(wanted, around)?),
        ProviderSettings::SecretsManager(wanted) => Arc::new(build_secrets_manager(wanted, around)?),
        ProviderSettings::Process(wanted) => Arc::new(build_process(wanted, around)?),
        ProviderSettings::DefaultChain(plain) => {
            Arc::new(build_default_chain(AmbientProvider::default_chain(), plain.region.as_deref(), around)?)
        }
        ProviderSettings::Profile(wanted) => {
            let profile = AmbientProvider::profile(&wanted.name);
            Arc::new(build_default_chain(profile, wanted.region.as_deref(), around)?)
        }
    })
}

fn build_secrets_manager(
    wanted: &SecretSettings,
    around: &ProviderContext<'_>,
) -> Result<SecretsManagerProvider, Vec<Error>> {
    let source = Arc::clone(&around.source);
    let mut builder = SecretsManagerProvider::builder(wanted.secret_id.as_str(), source).base(around.base);
    let region = parse_region(wanted.region.as_deref());
    if let Some(region) = region_or_default(&region) {
        builder = builder.region(region);
    }
    if let Some(stage) = &wanted.version_stage {
        builder = builder.version_stage(stage);
    }
    if let Some(id) = &wanted.version_id {
        builder = builder.version_id(id);
    }
    if let Some(seconds) = wanted.ttl_seconds {
        builder = builder.ttl(Duration::from_secs(seconds));
    }
    merge_errors(hints::check_secret(&wanted.secret_id).and_then(|()| builder.build()), region)
}

/// Builds a process provider. The program gets the variables that every program needs, and no AWS identity.
fn build_process(
    wanted: &ProcessSettings,
    around: &ProviderContext<'_>,
) -> Result<ProcessProvider, Vec<Error>> {
    let region = parse_region(wanted.region.as_deref());
    let made = ProcessProvider::from_command_line(&wanted.command).and_then(|mut builder| {
        if let Some(region) = region_or_default(&region) {
            builder = builder.region(region);
        }
        if let Some(seconds) = wanted.timeout_seconds {
            builder = builder.timeout(Duration::from_secs(seconds));
        }
        builder.relative_to(around.folder).inherit(std::env::vars_os()).build()
    });
    // The library has separate fields for the program and its arguments; the settings have one key.
    let with_settings_key =
        |error: Error| if error.field() == Some("timeout") { error } else { error.with_field("command") };
    merge_errors(made.map_err(with_settings_key), region)
}

fn build_default_chain(
    provider: AmbientProvider,
    named: Option<&str>,
    around: &ProviderContext<'_>,
) -> Result<AmbientProvider, Vec<Error>> {
    Ok(parse_region(named)?.into_iter().fold(provider.base(around.base), AmbientProvider::region))
}

fn merge_errors<T>(made: Result<T>, region: Result<Option<Region>, Vec<Error>>) -> Result<T, Vec<Error>> {
    match (made, region) {
        (Ok(provider), Ok(_)) => Ok(provider),
        (made, region) => Err(region.err().into_iter().flatten().chain(made.err()).collect()),
    }
}

fn parse_region(named: Option<&str>) -> Result<Option<Region>, Vec<Error>> {
    named.map(str::parse).transpose().map_err(|error| vec![error])
}
