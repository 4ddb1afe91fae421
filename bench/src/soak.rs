//! `cargo xtask soak`: three gateways with one Redis server, many sessions with short credentials, and a fault every
//! two minutes.
//!
//! | part | responsibility |
//! |---|---|
//! | `fleet` | the processes of the gateways, and Redis |
//! | `faults` | kills and pauses them |
//! | `worker` | calls the gateways in its sessions, and checks what they return |
//! | `tally` | what was found |

mod faults;
mod fleet;
mod tally;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::runtime::Builder;

use crate::Result;
use fleet::SoakFleet;
use tally::Tally;
use worker::Worker;

/// Tasks that call the gateways.
const WORKERS: usize = 16;
/// The growth of the gateway that is never killed, beyond which its memory is not flat.
const MAX_GROWTH: f64 = 1.2;

/// Runs three gateways over one Redis server for a long time, and kills one of them or the server again and again.
#[derive(Parser)]
#[command(name = "cargo xtask soak", bin_name = "cargo xtask soak")]
struct SoakCli {
    /// How long it runs.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Sessions that are open at a time.
    #[arg(long, default_value_t = 5_000)]
    sessions: usize,
    /// The time for which the sessions are used before memory is compared and the faults begin.
    #[arg(long, default_value_t = 180)]
    warm_up_seconds: u64,
    /// The time between two faults.
    #[arg(long, default_value_t = 120)]
    fault_seconds: u64,
    /// The calls of all workers together in a second, at most.
    #[arg(long, default_value_t = 400)]
    calls_per_second: u32,
    /// The `valetkey` program.
    #[arg(long, value_name = "FILE")]
    valetkey: PathBuf,
}

/// Runs the soak. The exit code is 1 after a violation.
#[must_use]
pub fn soak() -> ExitCode {
    match run(SoakCli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: SoakCli) -> Result<bool> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run_fleet(options))
}

async fn run_fleet(options: SoakCli) -> Result<bool> {
    let fleet = Arc::new(SoakFleet::start(&options.valetkey, options.sessions).await?);
    let tally = Arc::new(Tally::default());
    let pause = Duration::from_secs(1) * WORKERS as u32 / options.calls_per_second.max(1);
    let open = |number: usize| {
        let numbers = (number..options.sessions).step_by(WORKERS).collect();
        tokio::spawn(Worker::open(Arc::clone(&fleet), Arc::clone(&tally), numbers, pause))
    };
    let workers = join(std::array::from_fn::<_, WORKERS, _>(open)).await?;
    println!("{} sessions are open; memory of the gateways: {}", options.sessions, fleet.memory().await?);
    // Memory is compared once every session has been used on every gateway.
    let workers = work(workers, Instant::now() + Duration::from_secs(options.warm_up_seconds)).await?;
    let begin = fleet.memory().await?;
    println!("memory of the gateways after the warm-up: {begin}");

    let deadline = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    let faults = faults::run(&fleet, Duration::from_secs(options.fault_seconds), deadline, &tally);
    let (workers, faults) = tokio::join!(work(workers, deadline), faults);
    faults?;
    // All faults are over: every session is served with its own credentials, and every closed one is closed.
    let end = fleet.memory().await?;
    for worker in workers? {
        worker.check().await?;
    }
    let growth = end.growth_since(&begin);
    println!("{tally}");
    println!("memory of the gateways at the end: {end} ({growth:.2} × for the first)");
    fleet.stop().await?;
    Ok(tally.is_clean() && growth <= MAX_GROWTH)
}

/// Lets all workers call the gateways until the deadline.
async fn work(workers: Vec<Worker>, deadline: Instant) -> Result<Vec<Worker>> {
    join(workers.into_iter().map(|worker| tokio::spawn(worker.run(deadline)))).await
}

async fn join<T>(tasks: impl IntoIterator<Item = tokio::task::JoinHandle<Result<T>>>) -> Result<Vec<T>> {
    let mut results = Vec::new();
    for task in tasks.into_iter().collect::<Vec<_>>() {
        results.push(task.await??);
    }
    Ok(results)
}
