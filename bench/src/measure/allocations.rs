//! Allocations of a warm fetch, counted in a separate program, because a counting allocator is slower.

use std::process::Command;

use serde::{Deserialize, Serialize};
use stats_alloc::{Region, StatsAlloc};
use std::alloc::System;

use crate::Result;
use crate::env::{BenchEnv, ExternalPrograms};
use crate::goal::Goal;
use crate::profile::BenchProfile;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;
use crate::subjects::{VALETKEY_VARIANTS, all_contenders};

/// The result of the counting program for one subject.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct AllocationCount {
    subject: String,
    allocations: f64,
    bytes: f64,
}

const FETCHES: u64 = 20_000;
const METHOD: &str =
    "Counted over 20,000 warm fetches by one task, in a separate program with a counting allocator.";

pub(super) fn run() -> Result<Section> {
    let mut section = Section::new("Warm fetch, allocations", METHOD);
    let output = Command::new(super::sibling_program("counted")?).arg("allocations").output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let counted: Vec<AllocationCount> = serde_json::from_slice(&output.stdout)?;
    for AllocationCount { subject, allocations, bytes } in counted {
        let is_ours = VALETKEY_VARIANTS.contains(&subject.as_str());
        let figure = Figure::new("allocations a fetch", &subject, "", &Rounds::from(allocations));
        section.push(if is_ours { figure.with_goal(Goal::Exactly(0.0)) } else { figure });
        section.push(Figure::new("bytes allocated a fetch", &subject, "B", &Rounds::from(bytes)));
    }
    Ok(section)
}

/// Runs in the counting program: counts for each subject in turn.
pub(crate) fn count_allocations(allocator: &StatsAlloc<System>) -> Result<Vec<AllocationCount>> {
    let env = BenchEnv::new(BenchProfile::QUICK, ExternalPrograms::default())?;
    let contenders = env.runtime.block_on(all_contenders())?;
    let counted = contenders.iter().map(|contender| {
        contender.time_fetches(&env.runtime, FETCHES);
        let region = Region::new(allocator);
        contender.time_fetches(&env.runtime, FETCHES);
        let change = region.change();
        let each = |count: usize| count as f64 / FETCHES as f64;
        let allocations = each(change.allocations + change.reallocations);
        AllocationCount {
            subject: contender.name().to_owned(),
            allocations,
            bytes: each(change.bytes_allocated),
        }
    });
    Ok(counted.collect())
}
