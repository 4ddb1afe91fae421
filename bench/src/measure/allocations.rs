//! What a warm fetch allocates, counted in a program of its own: a counting allocator would slow the others down.

use std::process::Command;

use serde::{Deserialize, Serialize};
use stats_alloc::{Region, StatsAlloc};
use std::alloc::System;

use crate::Result;
use crate::effort::Effort;
use crate::goal::Goal;
use crate::lineup::{OURS, everybody};
use crate::rounds::Rounds;
use crate::sheet::{Figure, Section};
use crate::stage::Stage;

/// What the counting program tells of one subject.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Allocated {
    subject: String,
    allocations: f64,
    bytes: f64,
}

const FETCHES: u64 = 20_000;
const METHOD: &str =
    "Counted over 20,000 warm fetches by one task, in a program of its own whose allocator counts.";

pub(super) fn take() -> Result<Section> {
    let mut section = Section::new("Warm fetch, allocations", METHOD);
    let output = Command::new(super::beside("counted")?).arg("allocations").output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let counted: Vec<Allocated> = serde_json::from_slice(&output.stdout)?;
    for Allocated { subject, allocations, bytes } in counted {
        let is_ours = OURS.contains(&subject.as_str());
        let figure = Figure::new("allocations a fetch", &subject, "", &Rounds::from(allocations));
        section.push(if is_ours { figure.goal(Goal::Exactly(0.0)) } else { figure });
        section.push(Figure::new("bytes allocated a fetch", &subject, "B", &Rounds::from(bytes)));
    }
    Ok(section)
}

/// In the counting program: everybody, one after another.
pub(crate) fn count(allocator: &StatsAlloc<System>) -> Result<Vec<Allocated>> {
    let stage = Stage::new(Effort::QUICK)?;
    let entrants = stage.runtime.block_on(everybody())?;
    let counted = entrants.iter().map(|entrant| {
        entrant.alone(&stage.runtime, FETCHES);
        let region = Region::new(allocator);
        entrant.alone(&stage.runtime, FETCHES);
        let change = region.change();
        let each = |count: usize| count as f64 / FETCHES as f64;
        let allocations = each(change.allocations + change.reallocations);
        Allocated { subject: entrant.name().to_owned(), allocations, bytes: each(change.bytes_allocated) }
    });
    Ok(counted.collect())
}
