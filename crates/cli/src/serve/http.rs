//! `valetkey serve --http`: serves many principals in one process, each with sessions of their own.

mod authenticator;
mod sessions;
#[cfg(feature = "redis")]
mod store;
mod tls_files;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use valetkey::audit::AuditSink;
use valetkey::backends::AwsClientConfig;
use valetkey::mcp::child::Launcher;
use valetkey::mcp::http::{Authenticator, GatewayReloader, HttpGateway, HttpGatewayBuilder};

use super::reload::{ReloadTrigger, read_settings, report_invalid};
use super::{
    cancel_on_signal, check_entries, config_error, current_exe_launcher, read_servers, rejected_servers,
    without_gateways,
};
use crate::arguments::{ConfigArgs, ServeArgs};
use crate::build::{self, BuildMode, ConfiguredAccess, ConfiguredPolicies};
use crate::error::CliError;
use crate::ops::{ObservedAudit, OpsConfig, OpsState, StatusSource};
use crate::settings::{Consent, Diagnostic, HttpAuth, HttpSettings, Settings};
use crate::terminal::Terminal;
use sessions::ConfiguredSessions;

pub(crate) use authenticator::build_authenticator;
#[cfg(feature = "redis")]
pub(crate) use store::ConfiguredStore;
pub(crate) use tls_files::TlsFiles;

pub(super) async fn run(command: &ServeArgs, address: SocketAddr) -> Result<ExitCode, CliError> {
    let arguments = &command.config_args;
    let mut diagnostics = Vec::new();
    let settings = Settings::read(arguments.config.as_deref(), Consent::Required, &mut diagnostics).await;
    let http = settings.http.clone().unwrap_or_default();
    if !is_protected(address, &http) {
        return Err(CliError::usage(format!(
            "`--http` needs a loopback address, such as 127.0.0.1:{}, unless `[http]` has a `certificate` and callers \
             have tokens; or let a reverse proxy that encrypts forward to it",
            address.port()
        )));
    }
    let base = AwsClientConfig::from_process().await;
    // A prompt would be shown to the person who runs the gateway, and not to the caller.
    let terminal = Terminal::new();
    terminal.transfer();
    let file = build::open_sink(&settings, BuildMode::Run, &mut diagnostics);
    let audit = Arc::new(ObservedAudit::new(file));
    let ops = OpsConfig::read(&settings, command.ops.as_ref(), &mut diagnostics);
    let tls = TlsFiles::read(&settings, &http, &mut diagnostics);
    let store = read_store(&settings, &mut diagnostics);
    let launcher = current_exe_launcher()?;
    let inputs = GatewayInputs { arguments, address, base, terminal, audit: audit.clone(), launcher };
    let Some((sessions, authenticator)) = inputs.load(settings, None, &mut diagnostics) else {
        diagnostics.dedup();
        return Err(config_error(&diagnostics));
    };
    let loaded = LoadedConfig::new(&sessions);
    let mut gateway = build_gateway(sessions, authenticator, &http)?;
    if let Some(files) = &tls {
        gateway = gateway.tls(files.identity.clone());
    }
    let shared = match store {
        Some(store) => Some(store.connect(&inputs.base).await?),
        None => None,
    };
    let gateway = shared.iter().cloned().fold(gateway, HttpGatewayBuilder::shared_sessions);
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.map_err(|error| CliError::failed(format!("{address} cannot be listened on: {error}")))?;
    if let Ok(address) = listener.local_addr() {
        print_address(address, tls.is_some());
    }
    let ops = ops.open().await?;
    let (gateway, decisions) = match ops.access_requests() {
        Some((requests, decisions)) => (gateway.access_requests(requests), Some(decisions)),
        None => (gateway, None),
    };
    let gateway = gateway.build();
    let (stop, reloader) = (cancel_on_signal()?, gateway.reloader());
    let source = StatusSource::Http { monitor: gateway.monitor(), shared };
    let trigger = ReloadTrigger::new(arguments)?;
    tokio::select! {
        served = gateway.serve(listener, stop) => served?,
        () = keep_tls_current(tls) => {}
        never = inputs.keep_reloaded(loaded, &reloader, trigger) => match never {},
        never = ops.serve(OpsState::new(source, audit, decisions)) => match never {},
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads what `[store]` names, or reports why it cannot be used.
#[cfg(feature = "redis")]
pub(crate) fn read_store(settings: &Settings, diagnostics: &mut Vec<Diagnostic>) -> Option<ConfiguredStore> {
    ConfiguredStore::read(settings, settings.store.as_ref()?, diagnostics)
}

/// Reports that this program has no store.
#[cfg(not(feature = "redis"))]
pub(crate) fn read_store(settings: &Settings, diagnostics: &mut Vec<Diagnostic>) -> Option<NoStore> {
    settings.store.as_ref()?;
    diagnostics.push(settings.diagnostic(&["store"], "needs a build with the feature `redis`"));
    None
}

/// The store of a program without one.
#[cfg(not(feature = "redis"))]
pub(crate) enum NoStore {}

#[cfg(not(feature = "redis"))]
impl NoStore {
    async fn connect(self, _: &AwsClientConfig) -> valetkey::Result<valetkey::mcp::http::SharedSessions> {
        match self {}
    }
}

/// Reads the certificate again when it changes, until the future is dropped.
async fn keep_tls_current(tls: Option<TlsFiles>) {
    match tls {
        Some(files) => files.keep_current().await,
        None => std::future::pending().await,
    }
}

/// Whether the gateway may be reached from other machines only with encryption and tokens.
fn is_protected(address: SocketAddr, http: &HttpSettings) -> bool {
    address.ip().is_loopback() || (http.certificate.is_some() && http.auth != Some(HttpAuth::None))
}

/// What a reload does not replace.
struct GatewayInputs<'a> {
    arguments: &'a ConfigArgs,
    address: SocketAddr,
    base: AwsClientConfig,
    terminal: Terminal,
    audit: Arc<dyn AuditSink>,
    launcher: Launcher,
}

/// The configuration that a reload replaces.
struct LoadedConfig {
    settings: Arc<Settings>,
    /// The servers whose entries have errors.
    rejected: BTreeSet<String>,
}

impl LoadedConfig {
    fn new(sessions: &ConfiguredSessions) -> Self {
        Self { settings: Arc::clone(&sessions.settings), rejected: rejected_servers(&sessions.config) }
    }
}

impl GatewayInputs<'_> {
    /// Builds the sessions and the authenticator of the settings and the file of servers, unless an error is reported.
    fn load(
        &self,
        settings: Settings,
        before: Option<&LoadedConfig>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<(ConfiguredSessions, Authenticator)> {
        let config = read_servers(self.arguments, &settings, diagnostics);
        if let Some(before) = before {
            check_entries(&config, &before.rejected, self.arguments, diagnostics);
            if !is_protected(self.address, &settings.http.clone().unwrap_or_default()) {
                let what = "opens the gateway to other machines without a certificate or tokens";
                diagnostics.push(settings.diagnostic(&["http"], what));
            }
        }
        build::refuse_access_with_store(&settings, diagnostics);
        let template =
            build::build_session(&settings, &self.base, &self.terminal, BuildMode::CheckOnly, diagnostics);
        let policies = ConfiguredPolicies::new(&settings, &template, diagnostics);
        let access = ConfiguredAccess::read(&settings, &policies, diagnostics);
        if diagnostics.is_empty()
            && let Err(what) =
                build::narrow_to_scope(&settings, &template, &policies, access.floor.as_deref())
        {
            diagnostics.push(settings.diagnostic(&["access", "floor"], what));
        }
        let authenticator = build_authenticator(&settings, diagnostics)?;
        if !diagnostics.is_empty() {
            return None;
        }
        let sessions = ConfiguredSessions {
            settings: Arc::new(settings),
            base: self.base.clone(),
            terminal: self.terminal.clone(),
            audit: Some(Arc::clone(&self.audit)),
            config: without_gateways(config),
            policies: Arc::new(policies),
            access: Arc::new(access),
            launcher: self.launcher.clone(),
            replaced: before.map(|before| Arc::clone(&before.settings)),
        };
        Some((sessions, authenticator))
    }

    /// Reloads the configuration whenever it changes, until the future is dropped.
    async fn keep_reloaded(
        &self,
        mut loaded: LoadedConfig,
        reloader: &GatewayReloader,
        mut trigger: ReloadTrigger,
    ) -> Infallible {
        loop {
            trigger.wait().await;
            let mut diagnostics = Vec::new();
            let settings = read_settings(self.arguments, &loaded.settings, &mut diagnostics).await;
            match self.load(settings, Some(&loaded), &mut diagnostics) {
                Some((sessions, authenticator)) => {
                    loaded = LoadedConfig::new(&sessions);
                    reloader.reload(sessions, authenticator);
                    tracing::info!("configuration reloaded");
                }
                None => report_invalid(&diagnostics),
            }
        }
    }
}

fn build_gateway(
    sessions: ConfiguredSessions,
    authenticator: Authenticator,
    http: &HttpSettings,
) -> Result<HttpGatewayBuilder, CliError> {
    let quota = sessions.settings.processes.quota();
    let gateway = HttpGateway::builder(sessions, authenticator).process_quota(quota);
    let gateway = http.public_url.iter().try_fold(gateway, |gateway, url| gateway.public_url(url))?;
    let gateway = http.allowed_hosts.iter().fold(gateway, |gateway, host| gateway.allow_host(host));
    let origins = http.allowed_origins.iter();
    Ok(origins.fold(gateway, |gateway, origin| gateway.allow_origin(origin)))
}

#[allow(clippy::print_stderr, reason = "the person who starts the gateway sees its address")]
fn print_address(address: SocketAddr, encrypts: bool) {
    let scheme = if encrypts { "https" } else { "http" };
    eprintln!("serving MCP at {scheme}://{address}/mcp");
}
