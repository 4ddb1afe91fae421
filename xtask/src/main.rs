//! `cargo xtask`: the chores of this workspace.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{Result, bench, ci, loom, rig, test, tidy};

/// The chores of this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct XtaskCli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the rig, then run every test.
    Test(test::TestArgs),
    /// Install the pinned Python programs that tests run against, under target/rig.
    Rig,
    /// Check the models of what is concurrent in `core`, with loom.
    Loom,
    /// Check the house rules that a program can check, and list every fault.
    Tidy,
    /// Measure valetkey beside its peers; `--help` tells what can be chosen.
    #[command(disable_help_flag = true)]
    Bench(bench::BenchArgs),
    /// Everything that must hold before a change lands.
    Ci,
}

fn main() -> ExitCode {
    match run(XtaskCli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            xtask::print_error(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Task) -> Result<()> {
    match chore {
        Task::Test(options) => test::run(&options),
        Task::Rig => rig::run(),
        Task::Loom => loom::run(),
        Task::Tidy => tidy::run(),
        Task::Bench(options) => bench::run(&options),
        Task::Ci => ci::run(),
    }
}
