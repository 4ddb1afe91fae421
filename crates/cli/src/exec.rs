//! `valetkey exec`: runs a program as a child of a session.

use std::collections::BTreeMap;
use std::env::VarError;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use valetkey::audit::AuditEvent;
use valetkey::mcp::CredentialEndpoint;
use valetkey::mcp::child::{
    ChildCommand, ChildEnvironment, ChildProcess, HostEnvironment, ProcessTree, SessionDir, Stdio,
    overrides_credentials,
};
use valetkey::mcp::endpoint::AdvertisedExpiry;
use valetkey::mcp::signing::{ProxySettings, Rules, SigningProxy};
use valetkey::{SessionAccount, SessionContext};

use crate::arguments::{ExecArgs, ExecDelivery};
use crate::error::CliError;
use crate::open_session;
use crate::outstanding_report;
use crate::serve::current_exe_launcher;
use crate::terminal::Terminal;

/// The variables of a subshell with the id of its session and the account. Neither is secret.
const SESSION_MARKER: &str = "VALETKEY_SESSION";
const ACCOUNT_MARKER: &str = "VALETKEY_ACCOUNT";

const MAX_SHOWN_NAME_LEN: usize = 31;

pub(crate) async fn run(command: ExecArgs) -> Result<ExitCode, CliError> {
    let terminal = Terminal::new();
    let (session, account) = open_session::open_session(&command.account_args, &terminal).await?;
    // Fails before a process starts: without credentials the program cannot work.
    account.credentials().await?;
    terminal.transfer();
    let refresher = tokio::spawn(session.keep_warm());
    let outcome = run_child(&session, account, command).await;
    refresher.abort();
    outstanding_report::report_outstanding(&session.close());
    outcome
}

async fn run_child(
    session: &SessionContext,
    account: SessionAccount,
    command: ExecArgs,
) -> Result<ExitCode, CliError> {
    let region = command.region.unwrap_or_else(|| account.resolved_region());
    let setup_error =
        |error: std::io::Error| CliError::failed(format!("the child's surroundings cannot be made: {error}"));
    let home = SessionDir::create(Some(&region)).map_err(setup_error)?;
    tokio::task::spawn_blocking(SessionDir::remove_abandoned);
    // A program that the user starts keeps the user's home folder.
    let (host, named) = (host_environment(command.inherit), env_options(&command.env));
    let environment = ChildEnvironment::new(&host, &named).isolate(&home).with_region(Some(&region));
    warn_dropped_variables(&named, &environment);
    let endpoint = CredentialEndpoint::start().await.map_err(setup_error)?;
    let grant = endpoint.grant(account.clone(), "exec", AdvertisedExpiry::default());
    let placeholder;
    let processes = Arc::new(ProcessTree::new());
    let environment = match command.delivery {
        ExecDelivery::Endpoint => environment.with_endpoint(&grant),
        ExecDelivery::Env => {
            account.audit(AuditEvent::Serve, "exec", None);
            environment.with_static_credentials(&account.credentials().await?)
        }
        ExecDelivery::Proxy => {
            let proxy = start_proxy(&host, session).await?;
            let unrestricted = proxy.placeholder(account.clone(), "exec", Rules::default());
            placeholder = unrestricted.restrict_to(Arc::clone(&processes) as _);
            environment.with_placeholder(&placeholder)
        }
    };
    let is_subshell = command.program.is_empty();
    let environment = if is_subshell { with_markers(environment, session, &account) } else { environment };
    let mut words = command.program.into_iter();
    let program = words.next().unwrap_or_else(shell);
    let name = program.to_string_lossy().into_owned();
    let child = ChildCommand::new(program).args(words).launcher(current_exe_launcher()?);
    let child = ChildProcess::spawn(child, environment, Stdio::Inherited)
        .map_err(|error| CliError::failed(format!("{name} could not be started: {error}")))?;
    processes.started(child.pid());
    let code = wait_for_exit(child).await;
    endpoint.stop().await;
    if let Err(error) = home.remove().await {
        tracing::warn!(%error, "the session's folder cannot be removed; the next start tries again");
    }
    tracing::debug!(session = %session.id(), "child ended");
    code
}

/// Returns the user's shell.
fn shell() -> OsString {
    std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into())
}

/// Marks the environment of a subshell, so that its prompt can display the session.
fn with_markers(
    environment: ChildEnvironment,
    session: &SessionContext,
    account: &SessionAccount,
) -> ChildEnvironment {
    let (session, account) = (session.id().to_string(), account.account_name().to_string());
    let markers = [(SESSION_MARKER.to_owned(), session), (ACCOUNT_MARKER.to_owned(), account)];
    environment.with_vars(markers.iter().map(|(name, value)| (name, value)))
}

/// Starts a proxy that sends requests where the SDKs of this process would send them. It runs as long as its placeholder.
async fn start_proxy(host: &HostEnvironment, session: &SessionContext) -> Result<SigningProxy, CliError> {
    let settings = ProxySettings::default().clock(session.clock()).variables(host.upstream_variables())?;
    Ok(SigningProxy::start_with(settings).await?)
}

fn host_environment(everything: bool) -> HostEnvironment {
    if everything {
        HostEnvironment::unrestricted(std::env::vars_os())
    } else {
        HostEnvironment::from_process()
    }
}

/// Resolves the `--env` options that have a value. As in a shell, later options win.
fn env_options(options: &[String]) -> BTreeMap<String, String> {
    options.iter().filter_map(|option| resolve_env_option(option)).collect()
}

/// Parses `NAME=VALUE`, or looks up `NAME` in the environment. A name without a value is reported.
fn resolve_env_option(option: &str) -> Option<(String, String)> {
    if let Some((name, value)) = option.split_once('=') {
        return Some((name.to_owned(), value.to_owned()));
    }
    match std::env::var(option) {
        Ok(value) => Some((option.to_owned(), value)),
        Err(error) => {
            let why = match error {
                VarError::NotPresent => "the variable is not set here",
                VarError::NotUnicode(_) => "the value is not UTF-8; `--inherit` passes it",
            };
            tracing::warn!("`--env {}` passes nothing: {why}", displayable_name(option));
            None
        }
    }
}

/// Masks text that is too long for a name or has other characters: it may be a secret whose name was omitted.
fn displayable_name(name: &str) -> &str {
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name && name.len() <= MAX_SHOWN_NAME_LEN { name } else { "…" }
}

fn warn_dropped_variables(named: &BTreeMap<String, String>, environment: &ChildEnvironment) {
    for (name, _) in named.iter().filter(|(name, value)| !environment.contains(name, value)) {
        let why = if overrides_credentials(OsStr::new(name)) {
            "it could give the program other credentials"
        } else {
            "the session decides its value"
        };
        tracing::warn!("`--env {name}` is not passed: {why}");
    }
}

/// Waits for the child and returns its exit code, or, as a shell does, 128 plus the signal that ended it. At a
/// terminal, the child receives Ctrl-C itself and decides how to handle it.
async fn wait_for_exit(mut child: ChildProcess) -> Result<ExitCode, CliError> {
    let signal_error = |error: std::io::Error| CliError::failed(format!("signals cannot be heard: {error}"));
    let mut interrupts = signal(SignalKind::interrupt()).map_err(signal_error)?;
    let mut terminations = signal(SignalKind::terminate()).map_err(signal_error)?;
    let mut hangups = signal(SignalKind::hangup()).map_err(signal_error)?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            _ = interrupts.recv() => {}
            _ = terminations.recv() => child.signal(SignalKind::terminate().as_raw_value()),
            _ = hangups.recv() => child.signal(SignalKind::hangup().as_raw_value()),
        }
    };
    let status =
        status.map_err(|error| CliError::failed(format!("the child cannot be waited for: {error}")))?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
