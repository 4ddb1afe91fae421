//! The servers that the conformance suite tests, each in a process that ends with its handle.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use clap::ValueEnum;

use crate::{Result, XtaskError, workspace_root};

/// A server that the suite tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Target {
    /// The fixture by itself, served by rmcp: whatever fails here is a fault of the fixture.
    Fixture,
    /// The gateway without servers.
    Gateway,
    /// The gateway as the proxy of the fixture on stdio.
    Proxy,
}

impl Target {
    pub(super) const ALL: [Self; 3] = [Self::Fixture, Self::Gateway, Self::Proxy];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fixture => "fixture",
            Self::Gateway => "gateway",
            Self::Proxy => "proxy",
        }
    }

    /// The folder of its settings and expected failures. The fixture has neither.
    pub(super) fn settings_dir(self) -> Option<PathBuf> {
        (self != Self::Fixture).then(|| workspace_root().join("rig/conformance").join(self.name()))
    }
}

/// A server that listens.
pub(super) struct RunningServer {
    pub(super) target: Target,
    pub(super) url: String,
    process: Child,
}

impl RunningServer {
    /// Starts the server. Its files are written to `folder`.
    pub(super) fn start(target: Target, folder: &Path) -> Result<Self> {
        let programs = workspace_root().join("target/debug");
        let fixture = programs.join("valetkey-conformance-server");
        let mut command = match target.settings_dir() {
            None => Command::new(&fixture),
            Some(settings) => {
                let mut command = Command::new(programs.join("valetkey"));
                command.arg("serve").arg("--config").arg(settings.join("valetkey.toml"));
                command
            }
        };
        if target == Target::Proxy {
            command.arg("--mcp-config").arg(write_mcp_config(&fixture, folder)?);
        }
        Self::spawn(target, command.args(["--http", "127.0.0.1:0"]))
    }

    /// The last word of the first line on standard error is the URL. The rest of standard error is discarded.
    fn spawn(target: Target, command: &mut Command) -> Result<Self> {
        let text = format!("{command:?}");
        let not_started = |source| XtaskError::CommandNotStarted { command: text.clone(), source };
        let mut process = command.stderr(Stdio::piped()).spawn().map_err(not_started)?;
        let mut line = String::new();
        if let Some(stderr) = process.stderr.take() {
            let mut stderr = BufReader::new(stderr);
            stderr.read_line(&mut line).map_err(not_started)?;
            thread::spawn(move || io::copy(&mut stderr.by_ref(), &mut io::sink()));
        }
        let url = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        Ok(Self { target, url, process })
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

/// Writes the file that names the fixture as the only server of the gateway.
fn write_mcp_config(fixture: &Path, folder: &Path) -> Result<PathBuf> {
    let path = folder.join("mcp.json");
    let text = format!(
        "{{\"mcpServers\": {{\"fixture\": {{\"command\": {:?}}}}}}}\n",
        fixture.display().to_string()
    );
    match fs::write(&path, text) {
        Ok(()) => Ok(path),
        Err(error) => {
            Err(XtaskError::ReadFailed { path: path.display().to_string(), reason: error.to_string() })
        }
    }
}
