//! Instructions of the warm path, counted by callgrind, which do not depend on the load of the machine.

use std::process::Command;

use tokio::runtime::Builder;

use crate::Result;
use crate::contender::Contender;
use crate::env::BenchEnv;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;
use crate::subjects::{ARC_CLONE, instruction_contenders};

pub(crate) const MEASURE_NAME: &str = "instructions a fetch";
const METHOD: &str = "A program that makes N warm fetches runs under callgrind twice, with N and 2 N; the figure is \
    the difference divided by N. Under valgrind there is no vDSO, so a clock read is a system call whose instructions \
    are not counted: without valgrind, a coarse clock read takes about thirty instructions more.";
const FETCHES: u64 = 10_000;

pub(super) fn run(env: &BenchEnv) -> Result<Vec<Section>> {
    let mut section = Section::new("Warm fetch, instructions", METHOD);
    if Command::new("valgrind").arg("--version").output().is_err() {
        section.add_not_run("instruction counts: valgrind is not installed");
        return Ok(vec![section]);
    }
    let names: Vec<&str> =
        env.runtime.block_on(instruction_contenders())?.iter().map(|contender| contender.name()).collect();
    let counts: Vec<f64> = names.iter().map(|name| instructions_per_fetch(name)).collect::<Result<_>>()?;
    let arc_clone = names.iter().position(|name| *name == ARC_CLONE).map_or(f64::NAN, |index| counts[index]);
    for (name, count) in names.iter().zip(counts) {
        let figure = Figure::new(MEASURE_NAME, *name, "", &Rounds::from(count));
        section.push(figure.with_reference(ARC_CLONE, &Rounds::from(count / arc_clone)));
    }
    Ok(vec![section])
}

fn instructions_per_fetch(name: &str) -> Result<f64> {
    let (once, twice) = (count_instructions(name, FETCHES)?, count_instructions(name, 2 * FETCHES)?);
    Ok((twice - once) / FETCHES as f64)
}

fn count_instructions(name: &str, fetches: u64) -> Result<f64> {
    let options = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let program = super::sibling_program("steps")?;
    let output =
        Command::new("valgrind").args(options).arg(program).args([name, &fetches.to_string()]).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{name} ended under callgrind: {stderr}").into());
    }
    let line = stderr.lines().find_map(|line| line.split_once("Collected :"));
    let count = line.and_then(|(_, count)| count.trim().parse().ok());
    count.ok_or_else(|| format!("callgrind counted nothing for {name}: {stderr}").into())
}

/// Runs in the counted program: one task makes `fetches` fetches.
pub(crate) fn run_fetches(name: &str, fetches: u64) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let contenders = runtime.block_on(instruction_contenders())?;
    let contender = contenders.iter().find(|contender| contender.name() == name);
    let contender: &dyn Contender = &**contender.ok_or_else(|| format!("there is no subject `{name}`"))?;
    contender.time_fetches(&runtime, fetches);
    Ok(())
}
