//! Sessions in a store that several gateways share: what a call costs, refreshes, clears, and memory.

mod calls;
mod clears;
pub(crate) mod memory;
mod refreshes;

use std::time::Duration;

use crate::Result;
use crate::env::BenchEnv;
use crate::fleet::store::BenchStore;
use crate::results::Section;
use crate::rounds::Rounds;

pub(super) fn run(env: &BenchEnv) -> Result<Vec<Section>> {
    if let Err(error) = valetkey_rig::redis_server() {
        let mut section = Section::new("Sessions in a shared store", "Gateways with one Redis server.");
        section.add_not_run(format!("all: {error}"));
        return Ok(vec![section]);
    }
    env.runtime.block_on(async {
        let store = BenchStore::start().await?;
        let mut sections = vec![
            calls::measure(&store, env.profile).await?,
            refreshes::measure(&store, env.profile).await?,
            clears::measure(&store, env.profile).await?,
        ];
        sections.push(memory::measure(&store, env.profile).await?);
        store.stop().await?;
        Ok(sections)
    })
}

/// The median and the 99th percentile of each round, in a unit of this length.
struct Percentiles {
    unit: Duration,
    median: Rounds,
    tail: Rounds,
}

impl Percentiles {
    fn of_unit(unit: Duration) -> Self {
        Self { unit, median: Rounds::default(), tail: Rounds::default() }
    }

    fn push(&mut self, mut times: Vec<Duration>) {
        times.sort();
        let at = |share: f64| {
            let index = (times.len() as f64 * share).ceil() as usize;
            let time = times.get(index.saturating_sub(1)).copied().unwrap_or_default();
            time.as_secs_f64() / self.unit.as_secs_f64()
        };
        let (median, tail) = (at(0.5), at(0.99));
        self.median.push(median);
        self.tail.push(tail);
    }
}
