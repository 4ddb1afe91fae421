//! `valetkey serve`: serves one session in one process as MCP on standard input and output, and clears it on exit; or
//! many sessions over HTTP.

pub(crate) mod http;
mod reload;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde::de::IgnoredAny;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use valetkey::SessionContext;
use valetkey::backends::AwsClientConfig;
use valetkey::mcp::child::{HostEnvironment, Launcher};
use valetkey::mcp::config::{VarLookup, jsonc_to_json};
use valetkey::mcp::{Gateway, McpConfig, McpHost, McpHostBuilder};
use valetkey::tools::{ToolSet, ToolSetBuilder};

use crate::arguments::{ConfigArgs, ServeArgs};
use crate::build::{self, BuildMode, ConfiguredAccess, ConfiguredPolicies};
use crate::error::CliError;
use crate::files::{self, AllowedWriters};
use crate::nested;
use crate::ops::{Decisions, ObservedAudit, OpsConfig, OpsListeners, OpsState, StatusSource};
use crate::outstanding_report;
use crate::settings::{Consent, Diagnostic, Settings};
use reload::ReloadTrigger;

const NESTED_GATEWAY_MESSAGE: &str = "a valetkey gateway started this one (VALETKEY_GATEWAY is in the environment), and would start it \
                      again without end; take valetkey out of the file that the first one is given by `--mcp-config`";

pub(crate) async fn run(command: ServeArgs) -> Result<ExitCode, CliError> {
    if nested::is_inside_gateway() {
        return Err(CliError::invalid_config(vec![NESTED_GATEWAY_MESSAGE.to_owned()]));
    }
    if let Some(address) = command.http {
        return http::run(&command, address).await;
    }
    let mut diagnostics = Vec::new();
    let settings =
        Settings::read(command.config_args.config.as_deref(), Consent::Required, &mut diagnostics).await;
    let settings = settings.for_principal(command.config_args.principal.as_ref());
    let config = read_servers(&command.config_args, &settings, &mut diagnostics);
    diagnostics.extend(settings.missing_default_account(""));
    let base = AwsClientConfig::from_process().await;
    let config = without_gateways(config);
    let launcher = current_exe_launcher()?;
    let servers = (&config, &launcher);
    let file = build::open_sink(&settings, BuildMode::Run, &mut diagnostics);
    let audit = Arc::new(ObservedAudit::new(file));
    let ops = OpsConfig::read(&settings, command.ops.as_ref(), &mut diagnostics);
    let session = build::build_serving_session(&settings, &base, servers, audit.clone(), &mut diagnostics);
    let policies = ConfiguredPolicies::new(&settings, &session, &mut diagnostics);
    let access = ConfiguredAccess::read(&settings, &policies, &mut diagnostics);
    if !diagnostics.is_empty() {
        return Err(config_error(&diagnostics));
    }
    let access = access.select(command.scope.as_deref());
    let floor = access.floor.as_deref();
    let served = build::narrow_to_scope(&settings, &session, &policies, floor).map_err(CliError::usage)?;
    let rejected = rejected_servers(&config);
    let host = McpHost::builder(&served, config).launcher(launcher);
    let host = Arc::new(with_limits(host, &settings, &policies).start().await?);
    let tools =
        tools_builder(&settings, &served, &policies).requestable(session.clone(), access.offers).build();
    if std::io::stdin().is_terminal() {
        print_terminal_hint();
    }
    let stop = cancel_on_signal()?;
    let source = StatusSource::Stdio { session: session.downgrade(), host: Arc::downgrade(&host) };
    let ops = ops.open().await?;
    let gateway = Gateway::new(served.clone(), tools).with_host(Arc::clone(&host));
    let (gateway, decisions) = with_access_requests(gateway, &ops);
    let reloading = StdioReload {
        trigger: ReloadTrigger::new(&command.config_args)?,
        arguments: &command.config_args,
        settings: settings.clone(),
        session: &session,
        served: &served,
        host: &host,
        rejected,
    };
    let ended = tokio::select! {
        ended = gateway.serve_stdio(stop) => ended,
        never = reloading.run() => match never {},
        never = ops.serve(OpsState::new(source, audit, decisions)) => match never {},
    };
    outstanding_report::report_outstanding(&session.close());
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Lists the requests for access of the gateway, if an operator can decide about them.
fn with_access_requests(gateway: Gateway, ops: &OpsListeners) -> (Gateway, Option<Decisions>) {
    match ops.access_requests() {
        Some((requests, decisions)) => (gateway.with_access_requests(requests), Some(decisions)),
        None => (gateway, None),
    }
}

/// Reads the servers, with what the settings say about them.
fn read_servers(arguments: &ConfigArgs, settings: &Settings, diagnostics: &mut Vec<Diagnostic>) -> McpConfig {
    let mut config = match &arguments.mcp_config {
        Some(path) => read_mcp_config(path, diagnostics).map(|(config, _text)| config),
        None => None,
    };
    build::apply_server_settings(settings, config.as_mut(), diagnostics);
    config.unwrap_or_default()
}

/// Returns the servers whose entries have errors.
fn rejected_servers(config: &McpConfig) -> BTreeSet<String> {
    config.errors.iter().map(|error| error.server.clone()).collect()
}

/// Reports the errors of entries that the earlier configuration did not have. An entry with an error would otherwise
/// remove a server that runs.
fn check_entries(
    config: &McpConfig,
    rejected: &BTreeSet<String>,
    arguments: &ConfigArgs,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let path = arguments.mcp_config.as_deref().unwrap_or(Path::new(""));
    let added = config.errors.iter().filter(|error| !rejected.contains(&error.server));
    diagnostics
        .extend(added.map(|error| Diagnostic::in_file(path, format!("`{}`: {}", error.server, error.error))));
}

/// Sets the environment and the limits of the servers.
fn with_limits(host: McpHostBuilder, settings: &Settings, policies: &ConfiguredPolicies) -> McpHostBuilder {
    let host = host.environment(HostEnvironment::from_process()).process_quota(settings.processes.quota());
    with_tool_policies(with_idle_timeout(host, settings.processes.idle_seconds), policies)
}

fn with_idle_timeout(host: McpHostBuilder, seconds: Option<u64>) -> McpHostBuilder {
    seconds.map(Duration::from_secs).into_iter().fold(host, McpHostBuilder::idle_timeout)
}

/// Gives the servers of the session on standard input and output another configuration.
struct StdioReload<'a> {
    trigger: ReloadTrigger,
    arguments: &'a ConfigArgs,
    settings: Settings,
    session: &'a SessionContext,
    /// The session, or the part of it that a scope selects.
    served: &'a SessionContext,
    host: &'a McpHost,
    /// The servers whose entries have errors.
    rejected: BTreeSet<String>,
}

impl StdioReload<'_> {
    /// Runs until the future is dropped.
    async fn run(mut self) -> Infallible {
        loop {
            self.trigger.wait().await;
            if let Err(diagnostics) = self.reload().await {
                reload::report_invalid(&diagnostics);
            }
        }
    }

    async fn reload(&mut self) -> Result<(), Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        let settings = reload::read_settings(self.arguments, &self.settings, &mut diagnostics).await;
        let settings = settings.for_principal(self.arguments.principal.as_ref());
        let config = read_servers(self.arguments, &settings, &mut diagnostics);
        let policies = ConfiguredPolicies::new(&settings, self.session, &mut diagnostics);
        check_entries(&config, &self.rejected, self.arguments, &mut diagnostics);
        if !diagnostics.is_empty() {
            return Err(diagnostics);
        }
        let config = without_gateways(config);
        self.rejected = rejected_servers(&config);
        let host = with_tool_policies(McpHost::builder(self.served, config), &policies);
        self.host.reconfigure(host).map_err(|error| vec![settings.to_diagnostic(&["servers"], &error)])?;
        if !settings.has_same_sessions(&self.settings) {
            tracing::warn!(
                "changes of accounts, policies and resolver take effect when the gateway starts again"
            );
        }
        tracing::info!("configuration reloaded");
        Ok(())
    }
}

/// Removes the servers that would start this gateway again, and logs the errors of the file.
fn without_gateways(mut config: McpConfig) -> McpConfig {
    for name in nested::gateway_servers(&config) {
        config.servers.remove(&name);
        tracing::warn!(server = %name, "left out: `command` {}", nested::REMEDY);
    }
    for diagnostic in config.errors.iter().chain(&config.warnings) {
        tracing::warn!(server = %diagnostic.server, "{}", diagnostic.error);
    }
    config
}

fn with_tool_policies(host: McpHostBuilder, policies: &ConfiguredPolicies) -> McpHostBuilder {
    policies
        .by_tool
        .iter()
        .cloned()
        .fold(host, |host, (server, tool, policy)| host.tool_policy(server, tool, policy))
}

/// Returns the tools of a session.
fn tools_builder(
    settings: &Settings,
    session: &SessionContext,
    policies: &ConfiguredPolicies,
) -> ToolSetBuilder {
    let tools = build::configured_accounts(settings)
        .fold(ToolSet::builder(session.clone()), ToolSetBuilder::configured_account);
    let named = policies.by_name.iter();
    named.fold(tools, |tools, (name, policy)| tools.policy(name, policy.clone()))
}

#[allow(clippy::print_stderr, reason = "a person at the terminal sees why nothing happens")]
fn print_terminal_hint() {
    eprintln!(
        "serving MCP on standard input and output; register this command with an MCP client (Ctrl-C ends it)"
    );
}

/// Reads a file of servers and returns it with its text as plain JSON. `${VAR}` is replaced from the environment.
pub(crate) fn read_mcp_config(path: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<(McpConfig, String)> {
    let text = files::read_text(path, AllowedWriters::OwnerAndGroup);
    let text = text.map_err(|what| diagnostics.push(Diagnostic::in_file(path, what))).ok()?;
    let variables = VarLookup::new(|name| std::env::var(name).ok());
    match McpConfig::parse(&text, &variables) {
        Ok(config) => Some((config, jsonc_to_json(&text))),
        Err(error) => {
            let line =
                serde_json::from_str::<IgnoredAny>(&jsonc_to_json(&text)).err().map(|error| error.line());
            diagnostics.push(Diagnostic::in_file(path, error.to_string()).at_line(line));
            None
        }
    }
}

pub(crate) fn config_error(diagnostics: &[Diagnostic]) -> CliError {
    let diagnostics = sorted_by_line(diagnostics.to_vec());
    CliError::invalid_config(diagnostics.iter().map(ToString::to_string).collect())
}

/// Sorts errors by line, as an editor shows them.
pub(crate) fn sorted_by_line(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics.sort_by(|left, right| (&left.file, left.line).cmp(&(&right.file, right.line)));
    diagnostics
}

/// Returns this program as the launcher of child processes.
pub(crate) fn current_exe_launcher() -> Result<Launcher, CliError> {
    let this = std::env::current_exe()
        .map_err(|error| CliError::failed(format!("this program is not found: {error}")))?;
    Ok(Launcher::new(this, ["launch"]))
}

/// Returns a token that is cancelled on SIGINT or SIGTERM.
pub(crate) fn cancel_on_signal() -> Result<CancellationToken, CliError> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals =
            signal(kind).map_err(|error| CliError::failed(format!("signals cannot be heard: {error}")))?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signals.recv().await;
            stop.cancel();
        });
    }
    Ok(stop)
}
