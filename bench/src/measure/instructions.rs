//! Instructions of the warm path, by callgrind: what a noisy machine does not change.

use std::process::Command;

use tokio::runtime::Builder;

use crate::Result;
use crate::entrant::Entrant;
use crate::lineup::{ARC_CLONE, warm_path};
use crate::rounds::Rounds;
use crate::sheet::{Figure, Section};
use crate::stage::Stage;

pub(crate) const NAME: &str = "instructions a fetch";
const METHOD: &str = "A program that makes N warm fetches runs under callgrind twice, with N and 2 N; the difference, \
    by N. Where there is no vDSO, as under valgrind, a clock read is a system call, and what the kernel does is not \
    counted: on the machine itself a coarse clock read is some thirty instructions more.";
const FETCHES: u64 = 10_000;

pub(super) fn take(stage: &Stage) -> Result<Vec<Section>> {
    let mut section = Section::new("Warm fetch, instructions", METHOD);
    if Command::new("valgrind").arg("--version").output().is_err() {
        section.not_run("instruction counts: valgrind is not installed");
        return Ok(vec![section]);
    }
    let names: Vec<&str> =
        stage.runtime.block_on(warm_path())?.iter().map(|entrant| entrant.name()).collect();
    let counts: Vec<f64> = names.iter().map(|name| each(name)).collect::<Result<_>>()?;
    let arc_clone = names.iter().position(|name| *name == ARC_CLONE).map_or(f64::NAN, |index| counts[index]);
    for (name, count) in names.iter().zip(counts) {
        let figure = Figure::new(NAME, *name, "", &Rounds::from(count));
        section.push(figure.against(ARC_CLONE, &Rounds::from(count / arc_clone)));
    }
    Ok(vec![section])
}

fn each(name: &str) -> Result<f64> {
    let (once, twice) = (collected(name, FETCHES)?, collected(name, 2 * FETCHES)?);
    Ok((twice - once) / FETCHES as f64)
}

fn collected(name: &str, fetches: u64) -> Result<f64> {
    let options = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let program = super::beside("steps")?;
    let output =
        Command::new("valgrind").args(options).arg(program).args([name, &fetches.to_string()]).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{name} ended under callgrind: {told}").into());
    }
    let line = told.lines().find_map(|line| line.split_once("Collected :"));
    let count = line.and_then(|(_, count)| count.trim().parse().ok());
    count.ok_or_else(|| format!("callgrind counted nothing for {name}: {told}").into())
}

/// In the program that is counted: so many fetches by one task, nobody else around.
pub(crate) fn step(name: &str, fetches: u64) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let entrants = runtime.block_on(warm_path())?;
    let entrant = entrants.iter().find(|entrant| entrant.name() == name);
    let entrant: &dyn Entrant = &**entrant.ok_or_else(|| format!("nobody is called `{name}`"))?;
    entrant.alone(&runtime, fetches);
    Ok(())
}
