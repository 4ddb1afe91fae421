//! `cargo xtask test`: runs every test, with real peers where they are available.

use clap::Args;

use crate::{Result, XtaskError, loom, rig, step::run_cargo};

const WORKSPACE_FLAGS: [&str; 2] = ["--workspace", "--all-features"];
/// A part of the name of every test that needs a Docker client, which the rig cannot install.
const DOCKER: &str = "docker_client";

/// The options of the test run.
#[derive(Args, Debug, Default)]
pub struct TestArgs {
    /// Skip the tests that need the rig.
    #[arg(long)]
    no_rig: bool,
    /// Run the tests with cargo-nextest: one process per test, and a summary at the end.
    #[arg(long)]
    nextest: bool,
    /// Arguments for the test runner.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Installs the rig, builds all programs, then runs the documentation tests, the models and every other test.
///
/// The default runner is `cargo test`, which every toolchain has: what passes here passes for a new user. It runs last,
/// so that its summary ends the output.
pub fn run(options: &TestArgs) -> Result<()> {
    if !options.no_rig {
        rig::install_rig().map_err(XtaskError::RigMissingForTests)?;
    }
    run_cargo(&workspace_command(&["test", "--no-run", "--quiet"], &[]))?;
    let documentation = run_cargo(&workspace_command(&["test", "--doc", "--quiet"], &[]));
    let models = loom::run();
    let has_docker = valetkey_rig::docker().is_ok();
    let tests = run_tests(options, has_docker);
    if !options.no_rig && !has_docker {
        println!("NOT RUN: the tests named `{DOCKER}`: {}", valetkey_rig::Error::NoDocker);
    }
    if options.no_rig {
        println!(
            "NOT RUN: the tests that need the rig, in the modules named `real`; `cargo xtask rig` builds it"
        );
    }
    documentation.and(models).and(tests)
}

fn run_tests(options: &TestArgs, has_docker: bool) -> Result<()> {
    let arguments: Vec<&str> = options.arguments.iter().map(String::as_str).collect();
    let no_docker: &[&str] = if has_docker { &[] } else { &["--skip", DOCKER] };
    if options.nextest {
        let profile = if options.no_rig { "no-rig" } else { "default" };
        let arguments = [&arguments[..], &["--"], no_docker].concat();
        return run_cargo(&workspace_command(&["nextest", "run", "--profile", profile], &arguments));
    }
    let no_rig: &[&str] = if options.no_rig { &["--skip", "real::"] } else { &[] };
    let arguments = [&["--"], &arguments[..], no_rig, no_docker].concat();
    run_cargo(&workspace_command(&["test", "--tests", "--no-fail-fast"], &arguments))
}

/// Builds a command with the same features for every run, so that the runs share build artifacts.
fn workspace_command<'a>(command: &[&'a str], rest: &[&'a str]) -> Vec<&'a str> {
    [command, &WORKSPACE_FLAGS, rest].concat()
}
