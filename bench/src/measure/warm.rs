//! A warm fetch by one task: how long, and what is allocated for it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::allocations;
use crate::Result;
use crate::entrant::Entrant;
use crate::goal::Goal;
use crate::lineup::{ARC_CLONE, OURS, SDK, crowded, everybody};
use crate::rounds::Rounds;
use crate::sheet::{Figure, Section};
use crate::stage::Stage;

pub(crate) const TIME: &str = "warm fetch, 1 task";
const METHOD: &str = "One task fetches a valid set again and again. All subjects take turns in every round, so that \
    ratios are of figures taken within the same second.";

pub(crate) fn take(stage: &Stage) -> Result<Vec<Section>> {
    let mut entrants = stage.runtime.block_on(everybody())?;
    entrants.push(stage.runtime.block_on(crowded())?);
    let times = time(stage, &entrants);
    let mut section = Section::new("Warm fetch, one task", METHOD);
    let reference = &times[ARC_CLONE];
    for entrant in &entrants {
        let name = entrant.name();
        let figure = Figure::new(TIME, name, "ns", &times[name]);
        let figure = figure.against(ARC_CLONE, &times[name].over(reference));
        section.push(if OURS.contains(&name) { figure.goal(Goal::AtMost(3.0)) } else { figure });
    }
    for subject in OURS {
        let faster = times[SDK].over(&times[subject]);
        let figure = Figure::new("warm fetch, times faster", subject, "×", &faster).against(SDK, &faster);
        section.push(figure.goal(Goal::AtLeast(12.0)));
    }
    Ok(vec![section, allocations::take()?])
}

pub(super) fn time(stage: &Stage, entrants: &[Box<dyn Entrant>]) -> BTreeMap<&'static str, Rounds> {
    let effort = stage.effort;
    let counts: Vec<u64> =
        entrants.iter().map(|entrant| calibrate(&**entrant, &stage.runtime, effort.slice)).collect();
    let mut times: BTreeMap<&'static str, Rounds> = BTreeMap::new();
    for _ in 0..effort.rounds {
        for (entrant, fetches) in entrants.iter().zip(&counts) {
            let time = entrant.alone(&stage.runtime, *fetches);
            times.entry(entrant.name()).or_default().push(time.as_nanos() as f64 / *fetches as f64);
        }
    }
    times
}

/// How many fetches fill a slice of time; finding out is also the warm-up.
fn calibrate(entrant: &dyn Entrant, runtime: &Runtime, slice: Duration) -> u64 {
    let mut fetches = 1_000;
    loop {
        let time = entrant.alone(runtime, fetches);
        if time * 4 > slice {
            let wanted = fetches as f64 * slice.as_secs_f64() / time.as_secs_f64();
            return (wanted as u64).max(1);
        }
        fetches *= 2;
    }
}
