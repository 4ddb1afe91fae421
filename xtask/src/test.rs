//! `cargo xtask test`: runs every test, with real peers where they are available.

use clap::Args;
use valetkey_rig::{BalancerKind, chromium, docker, go, java, redis_server, valkey_server};

use crate::{Result, XtaskError, loom, rig, step::run_cargo};

const WORKSPACE_FLAGS: [&str; 2] = ["--workspace", "--all-features"];
/// A part of the name of every test that needs a Docker client, which the rig cannot install.
const DOCKER: &str = "docker_client";
/// A part of the name of every test that needs a Redis server, which the rig cannot install either.
const REDIS: &str = "real::redis";
/// A part of the name of every test that needs a Valkey server, which few distributions have.
const VALKEY: &str = "real::valkey";
/// A part of the name of every test that drives a browser.
const CHROMIUM: &str = "real::chromium";
/// Parts of the names of the tests that need a load balancer.
const NGINX: &str = "by_nginx";
const HAPROXY: &str = "by_haproxy";
/// A part of the name of every test that compiles a Go program.
const GO: &str = "real::go_sdk";
/// A part of the name of every test that runs a Java program.
const JAVA: &str = "real::java_sdk";

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
    let missing = missing_programs();
    let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    let tests = run_tests(options, &names);
    for (name, remedy) in missing.iter().filter(|_| !options.no_rig) {
        println!("NOT RUN: the tests named `{name}`: {remedy}");
    }
    if options.no_rig {
        println!(
            "NOT RUN: the tests that need the rig, in the modules named `real`; `cargo xtask rig` builds it"
        );
    }
    documentation.and(models).and(tests)
}

/// Returns the tests whose programs are not installed, and how to install them.
fn missing_programs() -> Vec<(&'static str, valetkey_rig::Error)> {
    let programs = [
        (DOCKER, docker()),
        (REDIS, redis_server()),
        (VALKEY, valkey_server()),
        (CHROMIUM, chromium()),
        (GO, go()),
        (JAVA, java()),
        (NGINX, BalancerKind::Nginx.program()),
        (HAPROXY, BalancerKind::HaProxy.program()),
    ];
    programs.into_iter().filter_map(|(name, program)| Some((name, program.err()?))).collect()
}

/// Runs all tests but those whose names contain one of `skipped`.
fn run_tests(options: &TestArgs, skipped: &[&str]) -> Result<()> {
    let arguments: Vec<&str> = options.arguments.iter().map(String::as_str).collect();
    let skips: Vec<&str> = skipped.iter().flat_map(|name| ["--skip", name]).collect();
    if options.nextest {
        let profile = if options.no_rig { "no-rig" } else { "default" };
        let arguments = [&arguments[..], &["--"], &skips].concat();
        return run_cargo(&workspace_command(&["nextest", "run", "--profile", profile], &arguments));
    }
    let no_rig: &[&str] = if options.no_rig { &["--skip", "real::"] } else { &[] };
    let arguments = [&["--"], &arguments[..], no_rig, &skips].concat();
    run_cargo(&workspace_command(&["test", "--tests", "--no-fail-fast"], &arguments))
}

/// Builds a command with the same features for every run, so that the runs share build artifacts.
fn workspace_command<'a>(command: &[&'a str], rest: &[&'a str]) -> Vec<&'a str> {
    [command, &WORKSPACE_FLAGS, rest].concat()
}
