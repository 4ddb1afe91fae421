//! `cargo xtask conformance`: runs the official MCP conformance suite against the gateway over HTTP, alone and as the
//! proxy of a fixture server.

mod report;
mod target;

use std::{
    env,
    ffi::OsString,
    fs,
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread::{self, ScopedJoinHandle},
    time::Instant,
};

use clap::Args;

use crate::{
    Result, XtaskError,
    rig::install_rig,
    step::{run_cargo, run_timed},
};
use report::Report;
use target::{RunningServer, Target};
use valetkey_rig::{packages::node, target_dir};

/// The suite and its version.
const SUITE: &str = "@modelcontextprotocol/conformance@0.2.0-alpha.12";
const SUITE_DIR: &str = "node_modules/@modelcontextprotocol/conformance";
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];
const FIXTURE_MANIFEST: &str = "rig/conformance-server/Cargo.toml";

/// The options of the conformance suite.
#[derive(Args, Debug)]
pub struct ConformanceArgs {
    /// Test only this server.
    #[arg(long, value_enum)]
    target: Option<Target>,
}

/// Installs the suite under `target`, and runs the scenarios that each revision requires against each server. Those of
/// `rig/conformance/TARGET/REVISION.yaml` are expected to fail.
///
/// # Errors
/// When a program is missing, when another scenario fails, or when one that is expected to fail passes.
pub fn run(options: &ConformanceArgs) -> Result<()> {
    install_rig()?;
    let suite = Suite { node: node()?, folder: target_dir().join("conformance") };
    suite.install()?;
    run_cargo(&["build", "--package", "valetkey-cli"])?;
    let target_dir = target_dir().display().to_string();
    run_cargo(&["build", "--manifest-path", FIXTURE_MANIFEST, "--target-dir", &target_dir])?;
    let is_selected = |target: &Target| options.target.is_none_or(|selected| selected == *target);
    let targets: Vec<Target> = Target::ALL.into_iter().filter(is_selected).collect();
    run_timed("conformance", || suite.run(&targets))
}

/// The installed suite.
struct Suite {
    node: PathBuf,
    folder: PathBuf,
}

/// What one run of the suite printed, and how it ended.
struct Run {
    name: String,
    requirements: String,
    command: String,
    output: Output,
    seconds: f64,
}

impl Suite {
    fn install(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)
            .map_err(|error| XtaskError::write_failed(self.folder.display(), &error))?;
        let arguments = ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", SUITE];
        let mut command = Command::new(self.node.with_file_name("npm"));
        command.args(arguments).current_dir(&self.folder).env("PATH", path_with(&self.node));
        let text = format!("{command:?}");
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(XtaskError::CommandFailed { command: text, status }),
            Err(source) => Err(XtaskError::CommandNotStarted { command: text, source }),
        }
    }

    /// Runs the suite for each target and revision at once: the suite itself runs one scenario after another.
    fn run(&self, targets: &[Target]) -> Result<()> {
        let servers: Vec<RunningServer> = targets
            .iter()
            .map(|target| RunningServer::start(*target, &self.folder))
            .collect::<Result<_>>()?;
        let runs: Vec<Result<Run>> = thread::scope(|scope| {
            let pairs = servers.iter().flat_map(|server| REVISIONS.map(|revision| (server, revision)));
            let started: Vec<_> =
                pairs.map(|(server, revision)| scope.spawn(move || self.run_one(server, revision))).collect();
            let join = |run: ScopedJoinHandle<'_, _>| run.join().unwrap_or_else(|panic| resume_unwind(panic));
            started.into_iter().map(join).collect()
        });
        let runs: Vec<Run> = runs.into_iter().collect::<Result<_>>()?;
        runs.iter().for_each(Run::print);
        runs.into_iter().try_for_each(Run::check)
    }

    fn run_one(&self, server: &RunningServer, revision: &str) -> Result<Run> {
        let name = format!("{} {revision}", server.target.name());
        let results = format!("{}-{revision}", server.target.name());
        let mut command = Command::new(&self.node);
        command
            .arg(format!("{SUITE_DIR}/dist/index.js"))
            .args(["server", "--url", &server.url, "--requirements", revision])
            .args(["--timeout", "8000", "-o", &results])
            .current_dir(&self.folder)
            .env("PATH", path_with(&self.node));
        if let Some(settings) = server.target.settings_dir() {
            command.arg("--expected-failures").arg(settings.join(revision).with_extension("yaml"));
        }
        let text = format!("{command:?}");
        let requirements =
            self.folder.join(SUITE_DIR).join("requirements").join(revision).with_extension("yaml");
        let requirements = fs::read_to_string(&requirements)
            .map_err(|error| XtaskError::read_failed(requirements.display(), &error))?;
        let start = Instant::now();
        let output = command.output();
        let output =
            output.map_err(|source| XtaskError::CommandNotStarted { command: text.clone(), source })?;
        Ok(Run { name, requirements, command: text, output, seconds: start.elapsed().as_secs_f64() })
    }
}

impl Run {
    /// Prints the numbers, and after a failure the summary of the suite.
    fn print(&self) {
        let text = String::from_utf8_lossy(&self.output.stdout);
        let report = Report::parse(&text, &self.requirements);
        println!("{}: {report} ({:.1} s)", self.name, self.seconds);
        if !self.output.status.success() {
            println!("{}", Report::summary(&text));
            println!("{}", String::from_utf8_lossy(&self.output.stderr));
        }
    }

    fn check(self) -> Result<()> {
        if self.output.status.success() {
            return Ok(());
        }
        Err(XtaskError::CommandFailed { command: self.command, status: self.output.status })
    }
}

/// Returns `PATH` with the folder of the rig's programs first.
fn path_with(node: &Path) -> OsString {
    let folders = node.parent().map(Path::to_owned).into_iter();
    let path = env::var_os("PATH").unwrap_or_default();
    let all: Vec<PathBuf> = folders.chain(env::split_paths(&path)).collect();
    env::join_paths(all).unwrap_or(path)
}
