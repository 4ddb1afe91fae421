//! Builds the provider of one account and reports every error in its fields.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use valetkey::backends::{
    AwsClientConfig, DefaultChainProvider, EnvProvider, MemoryProvider, ProcessProvider, ProfileProvider,
    SecretsManagerProvider,
};
use valetkey::{Attribution, CredentialProvider, Error, Region, Result};

use super::accounts::region_or_default;
use super::claims::ClaimSource;
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
    /// The values of claims in the settings.
    pub(super) claims: ClaimSource<'a>,
}

pub(super) fn build_provider(
    settings: &ProviderSettings,
    context: &ProviderContext<'_>,
) -> Result<SharedProvider, Vec<Error>> {
    Ok(match settings {
        ProviderSettings::Memory(region_settings) => {
            parse_region(region_settings.region.as_deref())?;
            Arc::new(MemoryProvider::new())
        }
        ProviderSettings::Environment(region_settings) => {
            parse_region(region_settings.region.as_deref())?;
            Arc::new(EnvProvider::from_process())
        }
        ProviderSettings::AssumeRole(role) => Arc::new(role::build_assume_role(role, context)?),
        ProviderSettings::WebIdentity(role) => Arc::new(role::build_web_identity(role, context)?),
        ProviderSettings::Federation(settings) => exchange::build_federation(settings, context)?,
        ProviderSettings::SecretsManager(settings) => Arc::new(build_secrets_manager(settings, context)?),
        ProviderSettings::Process(settings) => Arc::new(build_process(settings, context)?),
        ProviderSettings::DefaultChain(region_settings) => {
            let chain = DefaultChainProvider::new().client_config(context.base);
            let region = parse_region(region_settings.region.as_deref())?;
            Arc::new(region.into_iter().fold(chain, DefaultChainProvider::region))
        }
        ProviderSettings::Profile(settings) => {
            let profile = ProfileProvider::new(&settings.name).client_config(context.base);
            let region = parse_region(settings.region.as_deref())?;
            Arc::new(region.into_iter().fold(profile, ProfileProvider::region))
        }
    })
}

fn build_secrets_manager(
    settings: &SecretSettings,
    context: &ProviderContext<'_>,
) -> Result<SecretsManagerProvider, Vec<Error>> {
    let source = Arc::clone(&context.source);
    let mut builder =
        SecretsManagerProvider::builder(settings.secret_id.as_str(), source).client_config(context.base);
    let region = parse_region(settings.region.as_deref());
    if let Some(region) = region_or_default(&region) {
        builder = builder.region(region);
    }
    if let Some(stage) = &settings.version_stage {
        builder = builder.version_stage(stage);
    }
    if let Some(id) = &settings.version_id {
        builder = builder.version_id(id);
    }
    if let Some(seconds) = settings.ttl_seconds {
        builder = builder.ttl(Duration::from_secs(seconds));
    }
    merge_errors(hints::check_secret(&settings.secret_id).and_then(|()| builder.build()), region)
}

/// Builds a process provider. The program gets the variables that every program needs, and no AWS identity.
fn build_process(
    settings: &ProcessSettings,
    context: &ProviderContext<'_>,
) -> Result<ProcessProvider, Vec<Error>> {
    let region = parse_region(settings.region.as_deref());
    let built = ProcessProvider::from_command_line(&settings.command).and_then(|mut builder| {
        if let Some(region) = region_or_default(&region) {
            builder = builder.region(region);
        }
        if let Some(seconds) = settings.timeout_seconds {
            builder = builder.timeout(Duration::from_secs(seconds));
        }
        builder.relative_to(context.folder).inherit(std::env::vars_os()).build()
    });
    // The library has separate fields for the program and its arguments; the settings have one key.
    let with_settings_key =
        |error: Error| if error.field() == Some("timeout") { error } else { error.with_field("command") };
    merge_errors(built.map_err(with_settings_key), region)
}

fn merge_errors<T>(built: Result<T>, region: Result<Option<Region>, Vec<Error>>) -> Result<T, Vec<Error>> {
    match (built, region) {
        (Ok(provider), Ok(_)) => Ok(provider),
        (built, region) => Err(region.err().into_iter().flatten().chain(built.err()).collect()),
    }
}

fn parse_region(named: Option<&str>) -> Result<Option<Region>, Vec<Error>> {
    named.map(str::parse).transpose().map_err(|error| vec![error])
}
