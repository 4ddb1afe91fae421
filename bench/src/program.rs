//! The entry points of the programs: the bench, and those that count allocations and instructions.

use std::alloc::System;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use stats_alloc::StatsAlloc;
use tokio::runtime::Builder;

use crate::Result;
use crate::env::{BenchEnv, ExternalPrograms};
use crate::gateway::{load, peer, subjects::Programs};
use crate::measure::{self, allocations, instructions, memory, store};
use crate::profile::BenchProfile;
use crate::report::{BenchRun, table};
use crate::signing::in_progress::measure_in_progress;

/// Compares valetkey with other credential caches: figures, ratios, goals.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct BenchCli {
    /// Run only this measure. Can be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Smaller counts and fewer rounds, to test the bench itself. The figures are not valid.
    #[arg(long)]
    quick: bool,
    /// Write all figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with plots into this folder, and the goals as Markdown.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    #[command(flatten)]
    programs: ExternalPrograms,
}

/// Runs the bench.
#[must_use]
pub fn bench() -> ExitCode {
    exit_code(run_bench(BenchCli::parse()))
}

/// Runs the program with a counting allocator: `counted allocations`, `counted memory HOLDER COUNT`,
/// `counted in-progress WAY upload|download`, `counted store URL DIVISOR`.
#[must_use]
pub fn counted(allocator: &StatsAlloc<System>) -> ExitCode {
    exit_code(run_counted(allocator, &program_arguments()))
}

/// Runs the program that callgrind observes: `steps SUBJECT COUNT`.
#[must_use]
pub fn steps() -> ExitCode {
    exit_code(match program_arguments().as_slice() {
        [name, fetches] => {
            fetches.parse().map_err(Into::into).and_then(|fetches| instructions::run_fetches(name, fetches))
        }
        _ => Err("usage: steps SUBJECT COUNT".into()),
    })
}

/// Runs a server or forwarder of the measure `gateway`: `mcp_peer MODE [PROGRAM ARGUMENTS…]`.
#[must_use]
pub fn mcp_peer() -> ExitCode {
    exit_code(run_mcp_peer(&program_arguments()))
}

/// Makes the calls of the measure `gateway`, and prints their times: `gateway_load OPTIONS ROUNDS CALLS`.
#[must_use]
pub fn gateway_load() -> ExitCode {
    exit_code(run_gateway_load(LoadCli::parse()))
}

/// Makes calls through gateways, and prints their times as JSON.
#[derive(Parser)]
struct LoadCli {
    #[command(flatten)]
    programs: ExternalPrograms,
    /// A folder for configuration files.
    folder: PathBuf,
    /// The number of rounds.
    rounds: usize,
    /// The calls of each subject in each round.
    calls: usize,
}

fn program_arguments() -> Vec<String> {
    std::env::args().skip(1).collect()
}

fn exit_code(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_bench(arguments: BenchCli) -> Result<()> {
    let profile = if arguments.quick { BenchProfile::QUICK } else { BenchProfile::FULL };
    let env = BenchEnv::new(profile, arguments.programs)?;
    let measures = measure::select_measures(&arguments.only)?;
    let mut run = BenchRun::start(arguments.quick);
    run.header_lines().iter().for_each(|line| println!("{line}"));
    for measure in measures {
        for section in (measure.run)(&env)? {
            table::print_section(&section);
            run.sections.push(section);
        }
    }
    table::print_goals(&run.sections);
    if let Some(file) = &arguments.json {
        run.write_json(file)?;
    }
    if let Some(folder) = &arguments.report {
        run.write_report(folder)?;
    }
    Ok(())
}

fn run_counted(allocator: &StatsAlloc<System>, words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let found = match words.as_slice() {
        ["allocations"] => serde_json::to_string(&allocations::count_allocations(allocator)?)?,
        ["memory", holder, count] => {
            serde_json::to_string(&memory::measure_memory(allocator, holder, count.parse()?)?)?
        }
        ["in-progress", way, direction @ ("upload" | "download")] => {
            serde_json::to_string(&measure_in_progress(allocator, way, *direction == "upload")?)?
        }
        ["store", url, divisor] => {
            serde_json::to_string(&store::memory::measure_process(allocator, url, divisor.parse()?)?)?
        }
        _ => {
            let usage = "usage: counted allocations | memory HOLDER COUNT | in-progress WAY upload|download | \
                         store URL DIVISOR";
            return Err(usage.into());
        }
    };
    println!("{found}");
    Ok(())
}

fn run_mcp_peer(words: &[String]) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mode, server) = words.split_first().ok_or("usage: mcp_peer MODE [PROGRAM ARGUMENTS…]")?;
    runtime.block_on(async {
        match mode.as_str() {
            "echo" => peer::serve_echo().await,
            "relay" => peer::relay(server).await,
            "pass-through" => peer::pass_through(server).await,
            "pass-through-http" => peer::pass_through_http(server).await,
            unknown => Err(format!("there is no mode `{unknown}`").into()),
        }
    })
}

fn run_gateway_load(arguments: LoadCli) -> Result<()> {
    let valetkey = arguments.programs.valetkey.ok_or("--valetkey is missing")?;
    let programs = Programs { valetkey, python: arguments.programs.python, folder: arguments.folder };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let times = runtime.block_on(load::measure(&programs, arguments.rounds, arguments.calls))?;
    println!("{}", serde_json::to_string(&times)?);
    Ok(())
}
