//! Builds a session from settings. Every provider is checked before anything runs.

mod access;
mod accounts;
mod audit;
mod claims;
mod exchange;
mod hints;
mod policies;
mod principals;
mod provider;
mod requests;
mod role;
mod scopes;
mod tool_resolver;
mod validate;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use valetkey::audit::AuditSink;
use valetkey::backends::{AwsClientConfig, SecretsManagerBuilder, SecretsManagerResolver};
use valetkey::mcp::McpConfig;
use valetkey::mcp::child::Launcher;
use valetkey::{
    AccountName, CredentialObservers, Error, RefreshPolicy, Region, SessionBuilder, SessionContext,
};

use crate::settings::{
    AccountSettings, Diagnostic, ProviderSettings, ResolverSettings, SecretResolverSettings, Settings,
    did_you_mean,
};
use crate::terminal::Terminal;
pub(crate) use access::{ConfiguredAccess, refuse_access_with_store};
use accounts::{AccountBuilder, region_or_default};
pub(crate) use audit::open_sink;
pub(crate) use claims::{ClaimSource, is_decided_by_caller, used_claims};
pub(crate) use policies::ConfiguredPolicies;
pub(crate) use scopes::{check_scopes, narrow_to_scope};
pub(crate) use tool_resolver::with_tool_resolver;

/// How long a fetch waits for a person to read and type an MFA code.
const MFA_TIMEOUT: Duration = Duration::from_secs(120);

/// Whether the session is built for use or only for validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuildMode {
    /// The session is used.
    Run,
    /// The settings are only validated: no file is created or changed.
    CheckOnly,
}

/// What a session is built from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionInputs<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) base: &'a AwsClientConfig,
    pub(crate) terminal: &'a Terminal,
    /// Receives the credentials that no account of the session publishes.
    pub(crate) observers: &'a CredentialObservers,
    /// The values of claims in the settings.
    pub(crate) claims: ClaimSource<'a>,
}

/// Builds the session that the settings describe. It must only be used if no error was reported.
pub(crate) fn build_session(
    settings: &Settings,
    base: &AwsClientConfig,
    terminal: &Terminal,
    mode: BuildMode,
    diagnostics: &mut Vec<Diagnostic>,
) -> SessionContext {
    let claims = match mode {
        BuildMode::Run => ClaimSource::Absent,
        BuildMode::CheckOnly => ClaimSource::Placeholder,
    };
    let inputs = SessionInputs { settings, base, terminal, observers: &CredentialObservers::new(), claims };
    let audit = open_sink(settings, mode, diagnostics);
    let session = inputs.session_builder(mode, audit, diagnostics).build();
    inputs.set_providers(&session, diagnostics);
    session
}

/// Builds the session that a gateway serves, whose resolver may run one of the servers of `config`.
pub(crate) fn build_serving_session(
    settings: &Settings,
    base: &AwsClientConfig,
    (config, launcher): (&McpConfig, &Launcher),
    audit: Arc<dyn AuditSink>,
    diagnostics: &mut Vec<Diagnostic>,
) -> SessionContext {
    let (terminal, observers) = (&Terminal::new(), &CredentialObservers::new());
    let inputs = SessionInputs { settings, base, terminal, observers, claims: ClaimSource::Absent };
    let builder = inputs.session_builder(BuildMode::Run, Some(audit), diagnostics);
    let session = with_tool_resolver(builder, &inputs, config, launcher).build();
    inputs.set_providers(&session, diagnostics);
    session
}

impl SessionInputs<'_> {
    /// Describes the session. Once it is built, [`set_providers`](Self::set_providers) completes it.
    pub(crate) fn session_builder(
        &self,
        mode: BuildMode,
        audit: Option<Arc<dyn AuditSink>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> SessionBuilder {
        let (settings, session_settings) = (self.settings, &self.settings.session);
        principals::check_principals(settings, mode, diagnostics);
        let environment_region: Option<Region> =
            self.base.config().region().and_then(|region| region.as_ref().parse().ok());
        let region: Option<Region> =
            parse_or_report(settings, session_settings.region.as_deref(), diagnostics);
        let base = &self.base_in_region();
        let accounts = self.accounts(base, diagnostics);
        let mut builder = SessionContext::builder()
            .observers(self.observers)
            .default_account(accounts.default_account_name());
        builder = region.into_iter().fold(builder, SessionBuilder::region);
        builder = environment_region.into_iter().fold(builder, SessionBuilder::environment_region);
        if let Some(allowed) = accounts.allowed_accounts() {
            builder = builder.allowed_accounts(allowed);
        }
        if let Some(principal) = parse_or_report(settings, session_settings.principal.as_deref(), diagnostics)
        {
            builder = builder.principal(principal);
        }
        if let Some(resolver) = build_resolver(settings, base, &accounts, diagnostics) {
            builder = builder.resolver(resolver);
        }
        builder = audit.into_iter().fold(builder, SessionBuilder::audit);
        if let Some(timeout) = load_timeout(settings) {
            builder = builder.refresh_policy(RefreshPolicy::default().load_timeout(timeout));
        }
        accounts.apply_regions(builder)
    }

    /// Sets the provider of each account, and reports invalid ones.
    pub(crate) fn set_providers(&self, session: &SessionContext, diagnostics: &mut Vec<Diagnostic>) {
        // The builder has reported the errors in the order of the accounts.
        self.accounts(&self.base_in_region(), &mut Vec::new()).set_providers(session, diagnostics);
    }

    /// Returns the base configuration in the session's region, which session-level AWS calls use. An invalid region is
    /// reported elsewhere.
    fn base_in_region(&self) -> AwsClientConfig {
        let region = self.settings.session.region.as_deref();
        let region = region.map(|region| region.parse().unwrap_or_else(|_: Error| Region::us_east_1()));
        region.iter().fold(self.base.clone(), AwsClientConfig::region)
    }

    fn accounts<'b>(
        &'b self,
        base: &'b AwsClientConfig,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> AccountBuilder<'b> {
        AccountBuilder::new(self, base, diagnostics)
    }
}

/// Returns the fetch timeout if an account needs more than the default, for an MFA prompt or a slow program.
fn load_timeout(settings: &Settings) -> Option<Duration> {
    let usual = RefreshPolicy::default().load_timeout;
    let accounts = || settings.accounts.values();
    let person = accounts().any(AccountSettings::requires_mfa).then_some(MFA_TIMEOUT);
    let programs =
        accounts().filter_map(|account| account.process_timeout()?.checked_add(Duration::from_secs(1)));
    programs.chain(person).max().filter(|timeout| *timeout > usual)
}

fn parse_or_report<T: FromStr<Err = Error>>(
    settings: &Settings,
    text: Option<&str>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<T> {
    text?.parse().map_err(|error| diagnostics.push(settings.to_diagnostic(&["session"], &error))).ok()
}

/// Sets the credential delivery, the account and the usable tools of each server. Without a file of servers only the
/// accounts are checked.
pub(crate) fn apply_server_settings(
    settings: &Settings,
    mut config: Option<&mut McpConfig>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for (name, server_settings) in &settings.servers {
        let section = ["servers", name];
        let of_session =
            |account: &str| (!settings.allows_for_any_principal(account)).then_some(accounts::NOT_ALLOWED);
        let of_principal =
            |account: &str| (!settings.allows(account)).then_some(accounts::NOT_ALLOWED_FOR_PRINCIPAL);
        let account = named_account(
            settings,
            ["servers", name, "account"],
            server_settings.account.as_deref(),
            |account| of_session(account).or_else(|| of_principal(account)),
            diagnostics,
        );
        // Lists are the same for every principal.
        let list_account = named_account(
            settings,
            ["servers", name, "list_account"],
            server_settings.list_account.as_deref(),
            of_session,
            diagnostics,
        );
        let requests = requests::build_rules(settings, name, diagnostics);
        let region = server_settings.region.as_deref().map(str::parse).transpose();
        let region =
            region.map_err(|error: Error| diagnostics.push(settings.to_diagnostic(&section, &error)));
        let Some(config) = config.as_deref_mut() else { continue };
        if let Some(server) = config.servers.get_mut(name) {
            server.delivery = server_settings.credentials.unwrap_or(server.delivery);
            server.requests = requests;
            server.signing_service = server_settings.service.clone().or(server.signing_service.take());
            server.signing_region = region.ok().flatten().or(server.signing_region.take());
            server.home = server_settings.home.unwrap_or(server.home);
            server.prefix = server_settings.prefix.unwrap_or(server.prefix);
            server.idle_timeout =
                server_settings.idle_seconds.map(Duration::from_secs).or(server.idle_timeout);
            server.account = account.or(server.account.take());
            server.list_account = list_account.or(server.list_account.take());
            server.tools.deny.extend_from_slice(&server_settings.tools.deny);
            if let Some(allowed) = &server_settings.tools.allow {
                server.tools.restrict_to(allowed.clone());
            }
            if let Err(error) = server.check() {
                diagnostics.push(settings.to_diagnostic(&section, &error));
            }
        } else if !config.errors.iter().chain(&config.warnings).any(|warning| warning.server == *name) {
            // A broken or disabled server has already been reported.
            diagnostics.push(settings.diagnostic(&section, unknown_server_message(name, config)));
        }
    }
    tool_resolver::hide_resolver_tool(settings, config, diagnostics);
}

/// Returns the account of the settings that `path` names. `refusal` returns why the server may not have it.
fn named_account(
    settings: &Settings,
    path: [&str; 3],
    account: Option<&str>,
    refusal: impl Fn(&str) -> Option<&'static str>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<AccountName> {
    let account = account?;
    let message = match (account.parse(), refusal(account)) {
        (Ok(name), None) if settings.contains_account(account) => return Some(name),
        (Ok(_), Some(refusal)) => refusal.to_owned(),
        _ => settings.unknown_account_message(account),
    };
    diagnostics.push(settings.diagnostic(&path, message));
    None
}

fn unknown_server_message(name: &str, config: &McpConfig) -> String {
    let names: Vec<&str> = config.servers.keys().map(String::as_str).collect();
    format!("is not a server of the `mcpServers` file; add it there{}", did_you_mean(name, &names))
}

fn build_resolver(
    settings: &Settings,
    base: &AwsClientConfig,
    accounts: &AccountBuilder<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<SecretsManagerResolver> {
    let section = ["resolver"];
    let Some(ResolverSettings::SecretsManager(SecretResolverSettings { prefix, source, region })) =
        &settings.resolver
    else {
        return None;
    };
    let source = accounts.detached_provider(source, diagnostics);
    let mut builder = SecretsManagerResolver::builder(prefix.as_str(), source).client_config(base);
    let region = region.as_deref().map(str::parse).transpose();
    builder = region_or_default(&region).into_iter().fold(builder, SecretsManagerBuilder::region);
    diagnostics.extend(region.err().map(|error| settings.to_diagnostic(&section, &error)));
    builder.build().map_err(|error| diagnostics.push(settings.to_diagnostic(&section, &error))).ok()
}

/// Returns the accounts whose credentials come from the settings, so that no tool may set others. Tools may set the
/// credentials of a `memory` account, of an account that exchanges the keys set on it, and of an `environment` account
/// that is not the source of another account.
pub(crate) fn configured_accounts(settings: &Settings) -> impl Iterator<Item = AccountName> {
    let is_source = |name: &str| settings.accounts.values().any(|account| account.source() == Some(name));
    settings.accounts.iter().filter_map(move |(name, account)| {
        let is_left_to_tools = match account.provider {
            ProviderSettings::Memory(_) => true,
            ProviderSettings::Environment(_) => account.exchange.is_some() || !is_source(name),
            _ => account.exchange.is_some(),
        };
        (!is_left_to_tools).then(|| name.parse().ok()).flatten()
    })
}
