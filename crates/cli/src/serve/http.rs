//! `valetkey serve --http`: serves many principals in one process, each with sessions of their own.

mod authenticator;
mod sessions;
mod tls_files;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use valetkey::backends::AwsClientConfig;
use valetkey::mcp::http::{Authenticator, HttpGateway, HttpGatewayBuilder};

use super::{cancel_on_signal, config_error, current_exe_launcher, read_mcp_config, without_gateways};
use crate::arguments::ConfigArgs;
use crate::build::{self, BuildMode, ConfiguredPolicies};
use crate::error::CliError;
use crate::settings::{Consent, Diagnostic, HttpAuth, HttpSettings, Settings};
use crate::terminal::Terminal;
use sessions::ConfiguredSessions;

pub(crate) use authenticator::build_authenticator;
pub(crate) use tls_files::TlsFiles;

pub(super) async fn run(arguments: &ConfigArgs, address: SocketAddr) -> Result<ExitCode, CliError> {
    let mut diagnostics = Vec::new();
    let settings = Settings::read(arguments.config.as_deref(), Consent::Required, &mut diagnostics).await;
    let http = settings.http.clone().unwrap_or_default();
    if !address.ip().is_loopback() && (http.certificate.is_none() || http.auth == Some(HttpAuth::None)) {
        return Err(CliError::usage(format!(
            "`--http` needs a loopback address, such as 127.0.0.1:{}, unless `[http]` has a `certificate` and callers \
             have tokens; or let a reverse proxy that encrypts forward to it",
            address.port()
        )));
    }
    let mut config = match &arguments.mcp_config {
        Some(path) => read_mcp_config(path, &mut diagnostics).map(|(config, _text)| config),
        None => None,
    };
    build::apply_server_settings(&settings, config.as_mut(), &mut diagnostics);
    let base = AwsClientConfig::from_process().await;
    // A prompt would be shown to the person who runs the gateway, and not to the caller.
    let terminal = Terminal::new();
    terminal.transfer();
    let template = build::build_session(&settings, &base, &terminal, BuildMode::CheckOnly, &mut diagnostics);
    let policies = ConfiguredPolicies::new(&settings, &template, &mut diagnostics);
    let audit = build::open_sink(&settings, BuildMode::Run, &mut diagnostics);
    let authenticator = build_authenticator(&settings, &mut diagnostics);
    let tls = TlsFiles::read(&settings, &http, &mut diagnostics);
    let (Some(authenticator), true) = (authenticator, diagnostics.is_empty()) else {
        diagnostics.dedup();
        return Err(config_error(&diagnostics));
    };
    let sessions = ConfiguredSessions {
        settings: Arc::new(settings),
        base,
        terminal,
        audit,
        config: without_gateways(config.unwrap_or_default()),
        policies: Arc::new(policies),
        launcher: current_exe_launcher()?,
    };
    let mut gateway = build_gateway(sessions, authenticator, &http)?;
    if let Some(files) = &tls {
        gateway = gateway.tls(files.identity.clone());
    }
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.map_err(|error| CliError::failed(format!("{address} cannot be listened on: {error}")))?;
    if let Ok(address) = listener.local_addr() {
        print_address(address, tls.is_some());
    }
    let serving = gateway.build().serve(listener, cancel_on_signal()?);
    match tls {
        Some(files) => tokio::select! {
            served = serving => served?,
            () = files.keep_current() => {}
        },
        None => serving.await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn build_gateway(
    sessions: ConfiguredSessions,
    authenticator: Authenticator,
    http: &HttpSettings,
) -> Result<HttpGatewayBuilder, CliError> {
    let gateway = HttpGateway::builder(sessions, authenticator);
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
