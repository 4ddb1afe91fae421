//! `valetkey exec`: any program as a child of a session.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use valetkey::audit::AuditEvent;
use valetkey::mcp::CredentialEndpoint;
use valetkey::mcp::child::{
    ChildCommand, ChildEnvironment, ChildProcess, HostEnvironment, SessionHome, Stdio,
};
use valetkey::mcp::endpoint::Leash;
use valetkey::{SessionAccount, SessionContext};

use crate::arguments::{Exec, ExecDelivery};
use crate::chosen;
use crate::failure::Failure;
use crate::handed_out;
use crate::serve::launcher;
use crate::terminal::Terminal;

pub(crate) async fn run(command: Exec) -> Result<ExitCode, Failure> {
    let terminal = Terminal::new();
    let (session, account) = chosen::account(&command.choice, &terminal).await?;
    // Before anything is started: without credentials there is nothing to run with.
    account.credentials().await?;
    terminal.hand_over();
    let warmer = tokio::spawn(session.keep_warm());
    let outcome = with_child(&session, account, command).await;
    warmer.abort();
    handed_out::tell(&session.close());
    outcome
}

async fn with_child(
    session: &SessionContext,
    account: SessionAccount,
    command: Exec,
) -> Result<ExitCode, Failure> {
    let region = account.resolved_region();
    let unready =
        |error: std::io::Error| Failure::failed(format!("the child's surroundings cannot be made: {error}"));
    let home = SessionHome::create(Some(&region)).map_err(unready)?;
    tokio::task::spawn_blocking(SessionHome::remove_abandoned);
    // The user's own program keeps the user's own home.
    let named: Vec<_> = command.env.iter().filter_map(|named| variable(named)).collect();
    let named = named.iter().map(|(name, value)| (name, value));
    let environment =
        ChildEnvironment::new(&HostEnvironment::from_process(), named).shut(&home).region(Some(&region));
    let endpoint = CredentialEndpoint::start().await.map_err(unready)?;
    let grant = endpoint.grant(account.clone(), "exec", Leash::default());
    let environment = match command.delivery {
        ExecDelivery::Endpoint => environment.endpoint(&grant),
        ExecDelivery::Env => {
            account.record(AuditEvent::Serve, "exec", None);
            environment.keys(&account.credentials().await?)
        }
    };
    let mut words = command.program.into_iter();
    let program = words.next().unwrap_or_default();
    let name = program.to_string_lossy().into_owned();
    let child = ChildCommand { program, args: words.collect(), directory: None, launcher: Some(launcher()?) };
    let child = ChildProcess::spawn(child, environment, Stdio::Inherited)
        .map_err(|error| Failure::failed(format!("{name} could not be started: {error}")))?;
    let code = wait(child).await;
    endpoint.stop().await;
    if let Err(error) = home.remove().await {
        tracing::warn!(%error, "the session's folder cannot be removed; the next start tries again");
    }
    tracing::debug!(session = %session.id(), "child ended");
    code
}

/// `NAME=VALUE`, or `NAME` with the value it has here, if it has one.
fn variable(named: &str) -> Option<(String, String)> {
    match named.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => Some((named.to_owned(), std::env::var(named).ok()?)),
    }
}

/// The child's own exit code, or 128 and the signal that ended it, as a shell answers. At a terminal, Ctrl-C reaches
/// the child by itself, and what it means is the child's business.
async fn wait(mut child: ChildProcess) -> Result<ExitCode, Failure> {
    let unheard = |error: std::io::Error| Failure::failed(format!("signals cannot be heard: {error}"));
    let mut interrupts = signal(SignalKind::interrupt()).map_err(unheard)?;
    let mut terminations = signal(SignalKind::terminate()).map_err(unheard)?;
    let mut hangups = signal(SignalKind::hangup()).map_err(unheard)?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            _ = interrupts.recv() => {}
            _ = terminations.recv() => child.signal(SignalKind::terminate().as_raw_value()),
            _ = hangups.recv() => child.signal(SignalKind::hangup().as_raw_value()),
        }
    };
    let status =
        status.map_err(|error| Failure::failed(format!("the child cannot be waited for: {error}")))?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
