//! `cargo xtask`: the development tasks of this workspace.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{Result, api, bench, book, ci, conformance, endpoints, loom, rig, simulate, soak, test, tidy};

/// The development tasks of this workspace.
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
    /// Install the pinned Python programs for the tests that use real peers, under target/rig.
    Rig,
    /// Check the models of concurrent code in `core`, with loom.
    Loom,
    /// Check the rules of the workspace that a program can check, and list every violation.
    Tidy,
    /// Measure valetkey and its competitors; `--help` lists the options.
    #[command(disable_help_flag = true)]
    Bench(bench::BenchArgs),
    /// Simulate a day of a million sessions on many nodes; `--help` lists the options.
    #[command(disable_help_flag = true)]
    Simulate(simulate::SimulateArgs),
    /// Run three gateways over one Redis for half an hour, and kill one of them or Redis every two minutes; `--help` lists
    /// the options.
    #[command(disable_help_flag = true)]
    Soak(soak::SoakArgs),
    /// Compare the public API of the libraries with its snapshots under docs/api.
    Api(api::ApiArgs),
    /// Run the official MCP conformance suite against the gateway over HTTP, alone and as the proxy of a server.
    Conformance(conformance::ConformanceArgs),
    /// Write the routing table of the signing proxy from the service metadata of botocore.
    Endpoints,
    /// Build the book of the documents under target/book, with mdBook.
    Book,
    /// Run every check that a change must pass.
    Ci,
}

fn main() -> ExitCode {
    if let Some(succeeded) = api::run_as_rustdoc() {
        return if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match run(XtaskCli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            xtask::print_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Test(options) => test::run(&options),
        Task::Rig => rig::run(),
        Task::Loom => loom::run(),
        Task::Tidy => tidy::run(),
        Task::Bench(options) => bench::run(&options),
        Task::Simulate(options) => simulate::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Api(options) => api::run(&options),
        Task::Conformance(options) => conformance::run(&options),
        Task::Endpoints => endpoints::run(),
        Task::Book => book::run(),
        Task::Ci => ci::run(),
    }
}
