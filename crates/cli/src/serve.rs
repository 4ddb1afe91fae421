//! `valetkey serve`: one process, one session, served as MCP on standard input and output, cleared on exit.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use serde::de::IgnoredAny;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use valetkey::backends::SdkBase;
use valetkey::mcp::child::{HostEnvironment, Launcher};
use valetkey::mcp::config::{VarLookup, jsonc_to_json};
use valetkey::mcp::{Gateway, McpConfig, McpHost, McpHostBuilder};
use valetkey::tools::{ToolSet, ToolSetBuilder};

use crate::arguments::Serve;
use crate::compose::{self, Policies, Purpose};
use crate::failure::Failure;
use crate::files::{self, Writers};
use crate::handed_out;
use crate::nested;
use crate::settings::{Consent, Fault, Settings};
use crate::terminal::Terminal;

const INSIDE: &str = "a valetkey gateway started this one (VALETKEY_GATEWAY is in the environment), and would start it \
                      again without end; take valetkey out of the file that the first one is given by `--mcp-config`";

pub(crate) async fn run(command: Serve) -> Result<ExitCode, Failure> {
    if nested::is_inside_gateway() {
        return Err(Failure::configuration(vec![INSIDE.to_owned()]));
    }
    let mut faults = Vec::new();
    let settings = Settings::read(command.files.config.as_deref(), Consent::Required, &mut faults).await;
    let settings = settings.acting_for(command.files.principal.as_ref());
    let mut config = match &command.files.mcp_config {
        Some(path) => servers(path, &mut faults).map(|(config, _text)| config),
        None => None,
    };
    compose::servers(&settings, config.as_mut(), &mut faults);
    faults.extend(settings.missing_default(""));
    let base = SdkBase::from_process().await;
    let session = compose::session(&settings, &base, &Terminal::new(), Purpose::Work, &mut faults);
    let policies = Policies::new(&settings, &session, &mut faults);
    if !faults.is_empty() {
        return Err(configuration(&faults));
    }
    let mut config = config.unwrap_or_default();
    for name in nested::gateways(&config) {
        config.servers.remove(&name);
        tracing::warn!(server = %name, "left out: `command` {}", nested::REMEDY);
    }
    for fault in config.faults.iter().chain(&config.warnings) {
        tracing::warn!(server = %fault.server, "{}", fault.error);
    }
    let host =
        McpHost::builder(&session, config).environment(HostEnvironment::from_process()).launcher(launcher()?);
    let tied = |host: McpHostBuilder, (server, tool, policy)| host.tool_policy(server, tool, policy);
    let host = policies.tools.into_iter().fold(host, tied).start().await?;
    let offered = |tools: ToolSetBuilder, (name, policy)| tools.policy(name, policy);
    let tools = compose::configured(&settings)
        .fold(ToolSet::builder(session.clone()), ToolSetBuilder::configured_account);
    let tools = policies.named.into_iter().fold(tools, offered).build();
    if std::io::stdin().is_terminal() {
        note_terminal();
    }
    let stop = stop_signal()?;
    let served = Gateway::new(session.clone(), tools).with_host(host).serve_stdio(stop).await;
    handed_out::tell(&session.close());
    served?;
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::print_stderr, reason = "a person at the terminal sees why nothing happens")]
fn note_terminal() {
    eprintln!(
        "serving MCP on standard input and output; register this command with an MCP client (Ctrl-C ends it)"
    );
}

/// Reads a file with servers, and returns its text too, as plain JSON; `${VAR}` in it is looked up in the environment.
pub(crate) fn servers(path: &Path, faults: &mut Vec<Fault>) -> Option<(McpConfig, String)> {
    let text = files::read_text(path, Writers::OwnerAndGroup);
    let text = text.map_err(|what| faults.push(Fault::file(path, what))).ok()?;
    let variables = VarLookup::new(|name| std::env::var(name).ok());
    match McpConfig::parse(&text, &variables) {
        Ok(config) => Some((config, jsonc_to_json(&text))),
        Err(error) => {
            let line = serde_json::from_str::<IgnoredAny>(&jsonc_to_json(&text)).err().map(|error| error.line());
            faults.push(Fault::file(path, error.to_string()).at_line(line));
            None
        }
    }
}

pub(crate) fn configuration(faults: &[Fault]) -> Failure {
    let mut faults: Vec<&Fault> = faults.iter().collect();
    // In the order of the lines, as an editor shows them.
    faults.sort_by_key(|fault| (&fault.file, fault.line));
    Failure::configuration(faults.into_iter().map(ToString::to_string).collect())
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
