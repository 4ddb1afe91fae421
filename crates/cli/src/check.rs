//! `valetkey check`: reads both files and reports every error with file, line and remedy.

mod deliveries;
mod live;
mod report;
mod sign_ins;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use serde_json::value::RawValue;
use valetkey::backends::AwsClientConfig;
use valetkey::mcp::McpConfig;
use valetkey::mcp::config::ConfigError;

use crate::arguments::CheckArgs;
use crate::build::{self, BuildMode, ConfiguredPolicies};
use crate::error::CliError;
use crate::nested;
use crate::ops::OpsConfig;
use crate::serve::http::{TlsFiles, build_authenticator, read_store};
use crate::serve::{read_mcp_config, sorted_by_line};
use crate::settings::{Consent, Diagnostic, Settings};
use crate::terminal::Terminal;
use deliveries::ServerDeliveries;
pub(crate) use deliveries::{CONTAINER_PROGRAMS, proxy_obstacle};
use report::CheckReport;

pub(crate) async fn run(command: &CheckArgs) -> Result<ExitCode, CliError> {
    let report = check(command).await?;
    if command.json { report.print_json() } else { report.print() }
}

/// Checks everything that `command` names. Errors in the files are part of the report.
async fn check(command: &CheckArgs) -> Result<CheckReport, CliError> {
    let (mut diagnostics, mut warnings) = (Vec::new(), Vec::new());
    let consent = if command.live { Consent::Required } else { Consent::NotNeeded };
    let settings = Settings::read(command.config_args.config.as_deref(), consent, &mut diagnostics).await;
    let settings = settings.for_principal(command.config_args.principal.as_ref());
    let mut config = match &command.config_args.mcp_config {
        Some(path) => check_mcp_config(path, &mut diagnostics, &mut warnings),
        None => None,
    };
    build::apply_server_settings(&settings, config.as_mut(), &mut diagnostics);
    if command.config_args.mcp_config.is_some() {
        diagnostics.extend(settings.missing_default_account(""));
    }
    // Building a session only checks the settings. Only `--live` sends requests.
    let base = AwsClientConfig::from_process().await;
    let session =
        build::build_session(&settings, &base, &Terminal::new(), BuildMode::CheckOnly, &mut diagnostics);
    let policies = ConfiguredPolicies::new(&settings, &session, &mut diagnostics);
    build::check_scopes(&settings, &session, &policies, &mut diagnostics);
    build::ConfiguredAccess::read(&settings, &policies, &mut diagnostics);
    if let Some(http) = &settings.http {
        build_authenticator(&settings, &mut diagnostics);
        TlsFiles::read(&settings, http, &mut diagnostics);
    }
    read_store(&settings, &mut diagnostics);
    OpsConfig::read(&settings, None, &mut diagnostics);
    let servers = config.as_ref().map_or(0, |config| config.servers.len());
    let mut report = CheckReport {
        errors: sorted_by_line(diagnostics),
        warnings,
        accounts: settings.accounts.len(),
        servers,
        needs_default_account: settings.missing_default_account("").is_some(),
        deliveries: config.as_ref().map(ServerDeliveries::of_servers).unwrap_or_default(),
        live: Vec::new(),
    };
    if !report.errors.is_empty() {
        return Ok(report);
    }
    if settings.is_absent() && config.is_none() {
        return Err(CliError::usage(nothing_to_check_message()));
    }
    if command.live {
        report.live = live::probe_accounts(&session, &live::probes(&settings, &base), &base).await;
    } else {
        // A fetch reports the sign-ins that ended, too.
        report.warnings.extend(sign_ins::ended_sign_ins(&settings).await);
    }
    Ok(report)
}

fn check_mcp_config(
    path: &Path,
    diagnostics: &mut Vec<Diagnostic>,
    warnings: &mut Vec<Diagnostic>,
) -> Option<McpConfig> {
    let (config, text) = read_mcp_config(path, diagnostics)?;
    let to_diagnostic = |diagnostic: &ConfigError| {
        let line = find_line(&text, &diagnostic.server, diagnostic.error.field());
        Diagnostic::in_file(path, format!("server `{}`: {}", diagnostic.server, diagnostic.error))
            .at_line(line)
    };
    diagnostics.extend(config.errors.iter().map(to_diagnostic));
    diagnostics.extend(nested::gateway_servers(&config).into_iter().map(|name| {
        let line = find_line(&text, &name, Some("command"));
        Diagnostic::in_file(path, format!("server `{name}`: `command` {}", nested::REMEDY)).at_line(line)
    }));
    let found = config.warnings.iter().map(to_diagnostic).chain(config.servers.iter().filter_map(
        |(name, server)| {
            let what = format!("server `{name}`: `command` names a program that is not found here");
            let line = find_line(&text, name, Some("command"));
            let is_missing = server.url.is_none() && !command_exists(&server.command);
            is_missing.then(|| Diagnostic::in_file(path, what).at_line(line))
        },
    ));
    warnings.extend(found);
    Some(config)
}

/// Whether the command exists, as a path or in a folder of `PATH`. Commands with variables are not checked.
fn command_exists(command: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = || std::env::split_paths(&path).any(|folder| folder.join(command).is_file());
    command.contains("${") || if command.contains('/') { Path::new(command).is_file() } else { named() }
}

type JsonObject<'t> = BTreeMap<String, &'t RawValue>;

/// Returns the line on which the field's value begins, or else the server's, so that an editor can open it.
pub(crate) fn find_line(text: &str, server: &str, field: Option<&str>) -> Option<usize> {
    let file: JsonObject<'_> = serde_json::from_str(text).ok()?;
    // Some clients nest the servers one level deeper, and plugins have them at the top level.
    let inner: JsonObject<'_> =
        file.get("mcp").and_then(|mcp| serde_json::from_str(mcp.get()).ok()).unwrap_or_default();
    let servers =
        ["mcpServers", "servers"].iter().find_map(|name| file.get(*name)).or_else(|| inner.get("servers"));
    let servers = match servers {
        Some(servers) => serde_json::from_str(servers.get()).ok()?,
        None => file,
    };
    let mut here = *servers.get(server)?;
    // `env.NAME` is the member `NAME` of the member `env`.
    for name in field.into_iter().flat_map(|field| field.splitn(2, '.')) {
        let members: JsonObject<'_> = serde_json::from_str(here.get()).unwrap_or_default();
        here = members.get(name).copied().unwrap_or(here);
    }
    let before = here.get().as_ptr() as usize - text.as_ptr() as usize;
    Some(text[..before].matches('\n').count() + 1)
}

fn nothing_to_check_message() -> String {
    let folder = std::env::current_dir().map(|folder| format!(" in {}", folder.display()));
    format!(
        "nothing to check: there is no valetkey.toml{}, and neither `--config` nor `--mcp-config` names a file",
        folder.unwrap_or_default()
    )
}
