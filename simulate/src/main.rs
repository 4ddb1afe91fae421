//! `cargo xtask simulate`: simulates days of many sessions, and writes a table and plots.

#![allow(clippy::print_stdout, reason = "a program for the terminal of the developer")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use valetkey_simulate::fleet::simulate;
use valetkey_simulate::report::{Day, Line, calls_per_second, line_plot, table, without_percent};
use valetkey_simulate::scenario::Scenario;

/// Simulates a day of many sessions on many nodes: without incidents, and with outages of STS and of the store and the
/// loss of a node.
#[derive(Parser)]
#[command(name = "cargo xtask simulate", bin_name = "cargo xtask simulate")]
struct Options {
    /// How many sessions are open.
    #[arg(long, default_value_t = 1_000_000)]
    sessions: u32,
    /// Write the plots into this folder.
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let days: Vec<Day> = Scenario::all(options.sessions).into_iter().map(simulate_day).collect();
    println!("\n{}", table(&days));
    if let Some(folder) = options.plots {
        write_plots(&folder, &days)?;
    }
    Ok(())
}

fn simulate_day(scenario: Scenario) -> Day {
    let start = Instant::now();
    let series = simulate(&scenario);
    println!("{}: {} sessions in {:.1} s", scenario.name, scenario.sessions, start.elapsed().as_secs_f64());
    Day { scenario, series }
}

fn write_plots(folder: &PathBuf, days: &[Day]) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let selected = |prefix: &str, values: fn(&Day) -> Vec<f64>| -> Vec<Line> {
        let days = days.iter().filter(|day| day.scenario.name.starts_with(prefix));
        days.map(|day| Line { name: day.scenario.name.to_owned(), minutes: values(day) }).collect()
    };
    let calls = selected("burst", calls_per_second);
    let without = selected("incidents", without_percent);
    let plots = [
        ("sts-calls.svg", line_plot("Credentials issued by STS", "a second", &calls)?),
        ("without-credentials.svg", line_plot("Sessions without valid credentials", "percent", &without)?),
    ];
    for (name, svg) in plots {
        let path = folder.join(name);
        fs::write(&path, svg)?;
        println!("{}", path.display());
    }
    Ok(())
}
