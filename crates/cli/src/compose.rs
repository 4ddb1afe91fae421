//! From settings to a session: every provider, checked before anything runs.

mod accounts;

use std::fs::OpenOptions;
use std::str::FromStr;
use std::sync::Arc;

use valetkey::audit::{AuditSink, JsonLines};
use valetkey::backends::{SdkBase, SecretsManagerResolver};
use valetkey::mcp::McpConfig;
use valetkey::{Alias, Error, Region, SessionContext};

use crate::settings::{Fault, ResolverSettings, Settings};
use accounts::Accounts;

/// Makes the session that the settings describe, or says everything that is wrong with them.
pub(crate) fn session(settings: &Settings, base: &SdkBase) -> Result<SessionContext, Vec<Fault>> {
    let mut faults = Vec::new();
    let accounts = Accounts::new(settings, base, &mut faults);
    let mut builder = SessionContext::builder().default_account(accounts.default_alias());
    let wanted = &settings.session;
    let usual: Option<Region> = base.config().region().and_then(|region| region.as_ref().parse().ok());
    if let Some(region) = parsed(settings, "region", wanted.region.as_deref(), &mut faults).or(usual) {
        builder = builder.region(region);
    }
    if let Some(principal) = parsed(settings, "principal", wanted.principal.as_deref(), &mut faults) {
        builder = builder.principal(principal);
    }
    if let Some(resolver) = resolver(settings, base, &accounts, &mut faults) {
        builder = builder.resolver(resolver);
    }
    if let Some(sink) = audit(settings, &mut faults) {
        builder = builder.audit(sink);
    }
    let session = accounts.regions(builder).build();
    accounts.fill(&session, &mut faults);
    if faults.is_empty() { Ok(session) } else { Err(faults) }
}

fn parsed<T: FromStr<Err = Error>>(
    settings: &Settings,
    key: &'static str,
    text: Option<&str>,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    text?
        .parse()
        .map_err(|error: Error| faults.push(settings.fault("session", Some(key), error.to_string())))
        .ok()
}

/// Says of each server how it gets credentials, and of which account.
pub(crate) fn servers(settings: &Settings, config: &mut McpConfig) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, wanted) in &settings.servers {
        let section = format!("servers.{name}");
        let broken = config.faults.iter().any(|fault| fault.server == *name);
        let Some(server) = config.servers.get_mut(name) else {
            if !broken {
                faults.push(settings.fault(&section, None, "is not a server of the `mcpServers` file"));
            }
            continue;
        };
        if let Some(delivery) = wanted.credentials {
            server.delivery = delivery;
        }
        if let Some(account) = &wanted.account {
            match account.parse::<Alias>() {
                Ok(alias) if settings.accounts.contains_key(account) => server.account = Some(alias),
                Ok(_) => faults.push(settings.fault(&section, Some("account"), "is not one of the accounts")),
                Err(error) => faults.push(settings.fault(&section, Some("account"), error.to_string())),
            }
        }
    }
    faults
}

fn resolver(
    settings: &Settings,
    base: &SdkBase,
    accounts: &Accounts<'_>,
    faults: &mut Vec<Fault>,
) -> Option<SecretsManagerResolver> {
    let ResolverSettings::SecretsManager { prefix, source, region } = settings.resolver.as_ref()?;
    let source = accounts.standing_alone(source, "resolver", faults)?;
    let mut builder = SecretsManagerResolver::builder(prefix.as_str(), source).base(base);
    if let Some(region) = region {
        match region.parse() {
            Ok(region) => builder = builder.region(region),
            Err(error) => faults.push(settings.fault("resolver", Some("region"), error.to_string())),
        }
    }
    builder
        .build()
        .map_err(|error| faults.push(settings.fault("resolver", error.field(), error.to_string())))
        .ok()
}

fn audit(settings: &Settings, faults: &mut Vec<Fault>) -> Option<Arc<dyn AuditSink>> {
    let file = &settings.audit.as_ref()?.file;
    match OpenOptions::new().create(true).append(true).open(file) {
        Ok(file) => Some(Arc::new(JsonLines::new(file))),
        Err(error) => {
            faults.push(settings.fault("audit", Some("file"), format!("cannot be written: {error}")));
            None
        }
    }
}
