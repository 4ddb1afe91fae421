//! `valetkey serve`: one process, one session, served as MCP on standard input and output, cleared on exit.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use valetkey::backends::SdkBase;
use valetkey::mcp::child::{HostEnvironment, Launcher};
use valetkey::mcp::config::Variables;
use valetkey::mcp::{Gateway, McpConfig, McpHost};
use valetkey::tools::ToolSet;

use crate::arguments::Serve;
use crate::compose;
use crate::failure::Failure;
use crate::settings::{Fault, Settings};

pub(crate) async fn run(command: Serve) -> Result<ExitCode, Failure> {
    let settings = Settings::read(command.files.config.as_deref()).await.map_err(configuration)?;
    let mut config = match &command.files.mcp_config {
        Some(path) => servers(path).await.map_err(configuration)?,
        None => McpConfig::default(),
    };
    let faults = compose::servers(&settings, &mut config);
    let base = SdkBase::from_process().await;
    let session = match (compose::session(&settings, &base), faults) {
        (Ok(session), faults) if faults.is_empty() => session,
        (made, mut faults) => {
            faults.extend(made.err().into_iter().flatten());
            return Err(configuration(faults));
        }
    };
    for fault in config.faults.iter().chain(&config.warnings) {
        tracing::warn!(server = %fault.server, "{}", fault.error);
    }
    let host = McpHost::builder(&session, config)
        .environment(HostEnvironment::from_process())
        .launcher(launcher()?)
        .start()
        .await?;
    let tools = ToolSet::for_session(session.clone());
    Gateway::new(session, tools).with_host(host).serve_stdio(stop_signal()?).await?;
    Ok(ExitCode::SUCCESS)
}

/// Reads an `mcpServers` file; `${VAR}` in it is answered by the environment.
pub(crate) async fn servers(path: &Path) -> Result<McpConfig, Vec<Fault>> {
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|error| vec![Fault::file(path, format!("cannot be read: {error}"))])?;
    let variables = Variables::new(|name| std::env::var(name).ok());
    McpConfig::parse(&text, &variables).map_err(|error| vec![Fault::file(path, error.to_string())])
}

pub(crate) fn configuration(faults: Vec<Fault>) -> Failure {
    Failure::configuration(faults.iter().map(ToString::to_string).collect())
}

/// This program, as the launcher of children.
pub(crate) fn launcher() -> Result<Launcher, Failure> {
    let this = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("this program is not found: {error}")))?;
    Ok(Launcher::new(this, ["launch"]))
}

/// Fires on SIGINT, SIGTERM or SIGHUP.
pub(crate) fn stop_signal() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut signals =
            signal(kind).map_err(|error| Failure::failed(format!("signals cannot be heard: {error}")))?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signals.recv().await;
            stop.cancel();
        });
    }
    Ok(stop)
}
