//! One account of the settings as a provider, with everything that is wrong with its fields.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use valetkey::backends::{
    AmbientProvider, EnvProvider, MemoryProvider, ProcessProvider, SdkBase, SecretsManagerProvider,
};
use valetkey::{Attribution, CredentialProvider, Error, Region, Result};

use super::accounts::or_any;
use super::{exchange, hints, role};
use crate::settings::{AttributionSettings, ProcessSettings, ProviderSettings, SecretSettings};
use crate::terminal::Terminal;

pub(super) type Provider = Arc<dyn CredentialProvider>;

/// What an account has around it while it is made.
#[derive(Clone)]
pub(super) struct Around<'a> {
    pub(super) name: &'a str,
    pub(super) base: &'a SdkBase,
    /// Whose credentials it is got with.
    pub(super) source: Provider,
    /// Whether those are temporary.
    pub(super) chained: bool,
    pub(super) who: Attribution,
    /// How that is said, unless the account says otherwise.
    pub(super) attribution: AttributionSettings,
    pub(super) terminal: &'a Terminal,
    /// Where the settings file lies.
    pub(super) folder: &'a Path,
}

pub(super) fn provider(settings: &ProviderSettings, around: &Around<'_>) -> Result<Provider, Vec<Error>> {
    Ok(match settings {
        ProviderSettings::Memory(plain) => {
            region(plain.region.as_deref())?;
            Arc::new(MemoryProvider::new())
        }
        ProviderSettings::Environment(plain) => {
            region(plain.region.as_deref())?;
            Arc::new(EnvProvider::from_process())
        }
        ProviderSettings::AssumeRole(role) => Arc::new(role::assumed(role, around)?),
        ProviderSettings::WebIdentity(role) => Arc::new(role::of_identity(role, around)?),
        ProviderSettings::Federation(wanted) => Arc::new(exchange::provider(wanted, around)?),
        ProviderSettings::SecretsManager(wanted) => Arc::new(secret(wanted, around)?),
        ProviderSettings::Process(wanted) => Arc::new(process(wanted, around)?),
        ProviderSettings::Ambient(plain) => {
            Arc::new(ambient(AmbientProvider::default_chain(), plain.region.as_deref(), around)?)
        }
        ProviderSettings::Profile(wanted) => {
            let profile = AmbientProvider::profile(&wanted.name);
            Arc::new(ambient(profile, wanted.region.as_deref(), around)?)
        }
    })
}

fn secret(wanted: &SecretSettings, around: &Around<'_>) -> Result<SecretsManagerProvider, Vec<Error>> {
    let source = Arc::clone(&around.source);
    let mut builder = SecretsManagerProvider::builder(wanted.secret_id.as_str(), source).base(around.base);
    let region = region(wanted.region.as_deref());
    if let Some(region) = or_any(&region) {
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
    both(hints::check_secret(&wanted.secret_id).and_then(|()| builder.build()), region)
}

/// The program gets what every program needs, and nobody's identity.
fn process(wanted: &ProcessSettings, around: &Around<'_>) -> Result<ProcessProvider, Vec<Error>> {
    let region = region(wanted.region.as_deref());
    let made = ProcessProvider::from_command_line(&wanted.command).and_then(|mut builder| {
        if let Some(region) = or_any(&region) {
            builder = builder.region(region);
        }
        if let Some(seconds) = wanted.timeout_seconds {
            builder = builder.timeout(Duration::from_secs(seconds));
        }
        builder.relative_to(around.folder).inherit(std::env::vars_os()).build()
    });
    // What the library calls the program and its line is one key here.
    let named =
        |error: Error| if error.field() == Some("timeout") { error } else { error.with_field("command") };
    both(made.map_err(named), region)
}

fn ambient(
    provider: AmbientProvider,
    named: Option<&str>,
    around: &Around<'_>,
) -> Result<AmbientProvider, Vec<Error>> {
    Ok(region(named)?.into_iter().fold(provider.base(around.base), AmbientProvider::region))
}

fn both<T>(made: Result<T>, region: Result<Option<Region>, Vec<Error>>) -> Result<T, Vec<Error>> {
    match (made, region) {
        (Ok(provider), Ok(_)) => Ok(provider),
        (made, region) => Err(region.err().into_iter().flatten().chain(made.err()).collect()),
    }
}

fn region(named: Option<&str>) -> Result<Option<Region>, Vec<Error>> {
    named.map(str::parse).transpose().map_err(|error| vec![error])
}
