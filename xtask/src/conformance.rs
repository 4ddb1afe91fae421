//! `cargo xtask conformance`: runs the official MCP conformance suite against the gateway over HTTP.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    Result, XtaskError,
    rig::install_rig,
    step::{run_cargo, run_timed},
    workspace_root,
};
use valetkey_rig::packages::node;

/// The suite and its version.
const SUITE: &str = "@modelcontextprotocol/conformance@0.2.0-alpha.12";
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// Installs the suite under `target`, and runs the scenarios that each revision requires. Those of
/// `rig/conformance/REVISION.yaml` are expected to fail.
///
/// # Errors
/// When a program is missing, when another scenario fails, or when one that is expected to fail passes.
pub fn run() -> Result<()> {
    install_rig()?;
    let node = node()?;
    let folder = workspace_root().join("target/conformance");
    install_suite(&node, &folder)?;
    run_cargo(&["build", "--package", "valetkey-cli"])?;
    let gateway = RunningGateway::start()?;
    for revision in REVISIONS {
        run_timed(&format!("revision {revision}"), || run_suite(&node, &folder, &gateway.url, revision))?;
    }
    Ok(())
}

fn install_suite(node: &Path, folder: &Path) -> Result<()> {
    let read_failed = |error: std::io::Error| XtaskError::ReadFailed {
        path: folder.display().to_string(),
        reason: error.to_string(),
    };
    fs::create_dir_all(folder).map_err(read_failed)?;
    let arguments = ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", SUITE];
    let npm = node.with_file_name("npm");
    run_command(Command::new(npm).args(arguments).current_dir(folder).env("PATH", path_with(node)))
}

fn run_suite(node: &Path, folder: &Path, url: &str, revision: &str) -> Result<()> {
    let suite = "node_modules/@modelcontextprotocol/conformance/dist/index.js";
    let expected = workspace_root().join("rig/conformance").join(format!("{revision}.yaml"));
    run_command(
        Command::new(node)
            .args([suite, "server", "--url", url, "--requirements", revision, "--timeout", "8000"])
            .args(["-o", revision, "--expected-failures"])
            .arg(expected)
            .current_dir(folder)
            .env("PATH", path_with(node)),
    )
}

/// Returns `PATH` with the folder of the rig's programs first.
fn path_with(node: &Path) -> OsString {
    let folders = node.parent().map(Path::to_owned).into_iter();
    let path = env::var_os("PATH").unwrap_or_default();
    let all: Vec<PathBuf> = folders.chain(env::split_paths(&path)).collect();
    env::join_paths(all).unwrap_or(path)
}

fn run_command(command: &mut Command) -> Result<()> {
    let text = format!("{command:?}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(XtaskError::CommandFailed { command: text, status }),
        Err(source) => Err(XtaskError::CommandNotStarted { command: text, source }),
    }
}

/// `valetkey serve --http`, which ends with this value.
struct RunningGateway {
    process: Child,
    url: String,
}

impl RunningGateway {
    fn start() -> Result<Self> {
        let settings = workspace_root().join("rig/conformance/valetkey.toml");
        let mut command = Command::new(workspace_root().join("target/debug/valetkey"));
        command.args(["serve", "--http", "127.0.0.1:0", "--config"]).arg(settings);
        let text = format!("{command:?}");
        let not_started = |source| XtaskError::CommandNotStarted { command: text.clone(), source };
        let mut process = command.stderr(Stdio::piped()).spawn().map_err(not_started)?;
        let mut line = String::new();
        if let Some(stderr) = process.stderr.take() {
            BufReader::new(stderr).read_line(&mut line).map_err(not_started)?;
        }
        let url = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        Ok(Self { process, url })
    }
}

impl Drop for RunningGateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}
