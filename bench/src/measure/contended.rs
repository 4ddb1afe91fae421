//! Many tasks fetch from one session: how many fetches a second, and how long the slowest take.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Result;
use crate::crowd::{Crowd, Latency};
use crate::entrant::Entrant;
use crate::goal::Goal;
use crate::lineup::{ARC_CLONE, LENT, OURS, SDK, everybody};
use crate::rounds::Rounds;
use crate::sheet::{Figure, Section};
use crate::stage::Stage;

pub(crate) const TASKS: [usize; 4] = [1, 2, 8, 64];
const MANY: usize = 64;
const METHOD: &str = "So many tasks on two worker threads fetch from one subject. First they are counted, with no \
    clock in the loop; then each fetch is timed, and the time of two clock reads (the loop alone) is part of it.";

/// Of each subject, by the number of tasks.
type Found<T> = BTreeMap<(&'static str, usize), T>;

pub(crate) fn take(stage: &Stage) -> Result<Vec<Section>> {
    let entrants = stage.runtime.block_on(everybody())?;
    let (mut rates, mut latencies) = (Found::<Rounds>::new(), Found::<[Rounds; 3]>::new());
    for round in 0..=stage.effort.herds.max(3) {
        for (entrant, tasks) in entrants.iter().flat_map(|entrant| TASKS.map(|tasks| (entrant, tasks))) {
            let (rate, latency) = one_round(stage, &**entrant, tasks)?;
            // The first round warms up.
            if round > 0 {
                let key = (entrant.name(), tasks);
                rates.entry(key).or_default().push(rate / 1e6);
                let tails = latencies.entry(key).or_default();
                for (rounds, quantile) in tails.iter_mut().zip(QUANTILES) {
                    rounds.push(latency.value_at_quantile(quantile) as f64);
                }
            }
        }
    }
    Ok(vec![throughput(&entrants, &rates), tails(&entrants, &latencies)])
}

const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];
const QUANTILE_NAMES: [&str; 3] = ["p50", "p99", "p99.9"];

fn one_round(stage: &Stage, entrant: &dyn Entrant, tasks: usize) -> Result<(f64, Latency)> {
    let time: Duration = stage.effort.crowd_slice;
    let rate = entrant.throughput(&stage.runtime, Crowd { tasks, time });
    Ok((rate, entrant.latency(&stage.runtime, Crowd { tasks, time: time / 2 })?))
}

/// The name of the measure of throughput.
pub(crate) fn rate_name(tasks: usize) -> String {
    format!("throughput, {}", step_name(tasks))
}

/// One of the steps of a measure.
pub(crate) fn step_name(tasks: usize) -> String {
    format!("{tasks} {}", if tasks == 1 { "task" } else { "tasks" })
}

/// The name of a measure of latency.
pub(crate) fn tail_name(tasks: usize, quantile: &str) -> String {
    format!("latency, {}: {quantile}", step_name(tasks))
}

fn throughput(entrants: &[Box<dyn Entrant>], rates: &Found<Rounds>) -> Section {
    let mut section = Section::new("Warm fetch, contended: throughput", METHOD);
    for tasks in TASKS {
        for entrant in entrants {
            let rate = &rates[&(entrant.name(), tasks)];
            let figure = Figure::new(rate_name(tasks), entrant.name(), "M/s", rate);
            let figure = figure.against(ARC_CLONE, &rate.over(&rates[&(ARC_CLONE, tasks)]));
            let has_goal = tasks == MANY && OURS.contains(&entrant.name());
            let least = if entrant.name() == LENT { 1.3 } else { 0.8 };
            section.push(if has_goal { figure.goal(Goal::AtLeast(least)) } else { figure });
        }
    }
    for ours in OURS {
        let faster = rates[&(ours, MANY)].over(&rates[&(SDK, MANY)]);
        let figure = Figure::new("throughput, 64 tasks, times faster", ours, "×", &faster);
        section.push(figure.against(SDK, &faster).goal(Goal::AtLeast(10.0)));
    }
    section
}

fn tails(entrants: &[Box<dyn Entrant>], latencies: &Found<[Rounds; 3]>) -> Section {
    let mut section = Section::new("Warm fetch, contended: latency", METHOD).matrix();
    for tasks in TASKS {
        for entrant in entrants {
            let tails = &latencies[&(entrant.name(), tasks)];
            for (rounds, quantile) in tails.iter().zip(QUANTILE_NAMES) {
                let figure = Figure::new(tail_name(tasks, quantile), entrant.name(), "ns", rounds);
                let has_goal = tasks == MANY && quantile == "p99.9" && OURS.contains(&entrant.name());
                section.push(if has_goal { figure.goal(Goal::AtMost(500.0)) } else { figure });
            }
        }
    }
    section
}
