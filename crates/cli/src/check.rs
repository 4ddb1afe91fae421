//! `valetkey check`: reads both files and reports every fault with file, line and remedy.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use valetkey::backends::SdkBase;
use valetkey::mcp::McpConfig;

use crate::arguments::Check;
use crate::compose;
use crate::failure::Failure;
use crate::serve::{configuration, servers};
use crate::settings::{Fault, Settings};

pub(crate) async fn run(command: &Check) -> Result<ExitCode, Failure> {
    let mut faults = Vec::new();
    let settings = Settings::read(command.files.config.as_deref()).await;
    let settings = settings.map_err(|more| faults.extend(more)).ok();
    let config = match &command.files.mcp_config {
        Some(path) => read_servers(path, &mut faults).await,
        None => None,
    };
    let mut config = config.unwrap_or_default();
    if let Some(settings) = &settings {
        if command.files.mcp_config.is_some() {
            faults.extend(compose::servers(settings, &mut config));
        }
        // Nothing is asked of anybody: making a session only checks.
        let base = SdkBase::from_process().await;
        faults.extend(compose::session(settings, &base).err().into_iter().flatten());
    }
    if !faults.is_empty() {
        return Err(configuration(faults));
    }
    summary(settings.as_ref(), &config)
        .map_err(|error| Failure::failed(format!("standard output cannot be written: {error}")))?;
    Ok(ExitCode::SUCCESS)
}

async fn read_servers(path: &Path, faults: &mut Vec<Fault>) -> Option<McpConfig> {
    let config = servers(path).await.map_err(|more| faults.extend(more)).ok()?;
    faults.extend(config.faults.iter().map(|fault| Fault {
        line: line_of(path, &fault.server),
        ..Fault::file(path, format!("server `{}`: {}", fault.server, fault.error))
    }));
    for warning in &config.warnings {
        tracing::warn!(server = %warning.server, "{}", warning.error);
    }
    Some(config)
}

/// The line on which the server begins, so that it can be opened in an editor.
fn line_of(path: &Path, server: &str) -> Option<usize> {
    let text = std::fs::read_to_string(path).ok()?;
    let name = serde_json::to_string(server).ok()?;
    text.lines()
        .position(|line| line.split_once(&name).is_some_and(|(_, rest)| rest.trim_start().starts_with(':')))
        .map(|index| index + 1)
}

fn summary(settings: Option<&Settings>, config: &McpConfig) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let accounts = settings.map_or(0, |settings| settings.accounts.len());
    writeln!(out, "no faults: {accounts} accounts, {} servers", config.servers.len())
}
