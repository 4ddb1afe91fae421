//! Many tasks fetch from one session: fetches per second, and the latency of the slowest.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Result;
use crate::contender::Contender;
use crate::env::BenchEnv;
use crate::goal::Goal;
use crate::load::{LatencyHistogram, LoadSpec};
use crate::results::{Figure, Section};
use crate::rounds::Rounds;
use crate::subjects::{ARC_CLONE, BORROWED, SDK, VALETKEY_VARIANTS, all_contenders};

pub(crate) const TASK_COUNTS: [usize; 4] = [1, 2, 8, 64];
const GOAL_TASKS: usize = 64;
const METHOD: &str = "Tasks on two worker threads fetch from one subject. First the fetches are counted, without a \
    clock in the loop; then each fetch is timed, which includes two clock reads (the empty loop).";

/// The values of each subject, by the number of tasks.
type ByContender<T> = BTreeMap<(&'static str, usize), T>;

pub(crate) fn run(env: &BenchEnv) -> Result<Vec<Section>> {
    let contenders = env.runtime.block_on(all_contenders())?;
    let (mut rates, mut latencies) = (ByContender::<Rounds>::new(), ByContender::<[Rounds; 3]>::new());
    for round in 0..=env.profile.herd_rounds.max(3) {
        for (contender, tasks) in
            contenders.iter().flat_map(|contender| TASK_COUNTS.map(|tasks| (contender, tasks)))
        {
            let (rate, latency) = run_round(env, &**contender, tasks)?;
            // The first round warms up.
            if round > 0 {
                let key = (contender.name(), tasks);
                rates.entry(key).or_default().push(rate / 1e6);
                let tails = latencies.entry(key).or_default();
                for (rounds, quantile) in tails.iter_mut().zip(QUANTILES) {
                    rounds.push(latency.value_at_quantile(quantile) as f64);
                }
            }
        }
    }
    Ok(vec![throughput_section(&contenders, &rates), latency_section(&contenders, &latencies)])
}

const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];
const QUANTILE_NAMES: [&str; 3] = ["p50", "p99", "p99.9"];

fn run_round(env: &BenchEnv, contender: &dyn Contender, tasks: usize) -> Result<(f64, LatencyHistogram)> {
    let time: Duration = env.profile.time_per_load;
    let rate = contender.measure_throughput(&env.runtime, LoadSpec { tasks, duration: time });
    Ok((rate, contender.measure_latency(&env.runtime, LoadSpec { tasks, duration: time / 2 })?))
}

/// The name of the measure of throughput.
pub(crate) fn throughput_name(tasks: usize) -> String {
    format!("throughput, {}", task_count_label(tasks))
}

/// Returns one of the steps of a measure.
pub(crate) fn task_count_label(tasks: usize) -> String {
    format!("{tasks} {}", if tasks == 1 { "task" } else { "tasks" })
}

/// The name of a measure of latency.
pub(crate) fn latency_name(tasks: usize, quantile: &str) -> String {
    format!("latency, {}: {quantile}", task_count_label(tasks))
}

fn throughput_section(contenders: &[Box<dyn Contender>], rates: &ByContender<Rounds>) -> Section {
    let mut section = Section::new("Warm fetch, contended: throughput", METHOD);
    for tasks in TASK_COUNTS {
        for contender in contenders {
            let rate = &rates[&(contender.name(), tasks)];
            let figure = Figure::new(throughput_name(tasks), contender.name(), "M/s", rate);
            let figure = figure.with_reference(ARC_CLONE, &rate.ratio_to(&rates[&(ARC_CLONE, tasks)]));
            let has_goal = tasks == GOAL_TASKS && VALETKEY_VARIANTS.contains(&contender.name());
            let least = if contender.name() == BORROWED { 1.3 } else { 0.8 };
            section.push(if has_goal { figure.with_goal(Goal::AtLeast(least)) } else { figure });
        }
    }
    for ours in VALETKEY_VARIANTS {
        let faster = rates[&(ours, GOAL_TASKS)].ratio_to(&rates[&(SDK, GOAL_TASKS)]);
        let figure = Figure::new("throughput, 64 tasks, times faster", ours, "×", &faster);
        section.push(figure.with_reference(SDK, &faster).with_goal(Goal::AtLeast(10.0)));
    }
    section
}

fn latency_section(contenders: &[Box<dyn Contender>], latencies: &ByContender<[Rounds; 3]>) -> Section {
    let mut section = Section::new("Warm fetch, contended: latency", METHOD).into_matrix();
    for tasks in TASK_COUNTS {
        for contender in contenders {
            let tails = &latencies[&(contender.name(), tasks)];
            for (rounds, quantile) in tails.iter().zip(QUANTILE_NAMES) {
                let figure = Figure::new(latency_name(tasks, quantile), contender.name(), "ns", rounds);
                let has_goal = tasks == GOAL_TASKS
                    && quantile == "p99.9"
                    && VALETKEY_VARIANTS.contains(&contender.name());
                section.push(if has_goal { figure.with_goal(Goal::AtMost(500.0)) } else { figure });
            }
        }
    }
    section
}
