//! A warm fetch by one task: its duration and its allocations.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::allocations;
use crate::Result;
use crate::contender::Contender;
use crate::env::BenchEnv;
use crate::goal::Goal;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;
use crate::subjects::{ARC_CLONE, SDK, VALETKEY_VARIANTS, all_contenders, contender_holding_many};

pub(crate) const MEASURE_NAME: &str = "warm fetch, 1 task";
const METHOD: &str = "One task repeatedly fetches valid credentials. All subjects run in each round, so that ratios \
    are of figures from the same second.";

pub(crate) fn run(env: &BenchEnv) -> Result<Vec<Section>> {
    let mut contenders = env.runtime.block_on(all_contenders())?;
    contenders.push(env.runtime.block_on(contender_holding_many())?);
    let times = time_contenders(env, &contenders);
    let mut section = Section::new("Warm fetch, one task", METHOD);
    let reference = &times[ARC_CLONE];
    for contender in &contenders {
        let name = contender.name();
        let figure = Figure::new(MEASURE_NAME, name, "ns", &times[name]);
        let figure = figure.with_reference(ARC_CLONE, &times[name].ratio_to(reference));
        section.push(if VALETKEY_VARIANTS.contains(&name) {
            figure.with_goal(Goal::AtMost(3.0))
        } else {
            figure
        });
    }
    for subject in VALETKEY_VARIANTS {
        let faster = times[SDK].ratio_to(&times[subject]);
        let figure =
            Figure::new("warm fetch, times faster", subject, "×", &faster).with_reference(SDK, &faster);
        section.push(figure.with_goal(Goal::AtLeast(12.0)));
    }
    Ok(vec![section, allocations::run()?])
}

pub(super) fn time_contenders(
    env: &BenchEnv,
    contenders: &[Box<dyn Contender>],
) -> BTreeMap<&'static str, Rounds> {
    let effort = env.profile;
    let counts: Vec<u64> = contenders
        .iter()
        .map(|contender| calibrate_fetches(&**contender, &env.runtime, effort.time_per_subject))
        .collect();
    let mut times: BTreeMap<&'static str, Rounds> = BTreeMap::new();
    for _ in 0..effort.rounds {
        for (contender, fetches) in contenders.iter().zip(&counts) {
            let time = contender.time_fetches(&env.runtime, *fetches);
            times.entry(contender.name()).or_default().push(time.as_nanos() as f64 / *fetches as f64);
        }
    }
    times
}

/// Returns the number of fetches that take `slice`. This is also the warm-up.
fn calibrate_fetches(contender: &dyn Contender, runtime: &Runtime, slice: Duration) -> u64 {
    let mut fetches = 1_000;
    loop {
        let time = contender.time_fetches(runtime, fetches);
        if time * 4 > slice {
            let wanted = fetches as f64 * slice.as_secs_f64() / time.as_secs_f64();
            return (wanted as u64).max(1);
        }
        fetches *= 2;
    }
}
