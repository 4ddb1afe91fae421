//! The old design as a baseline, in Python: a lock around a dict, a JSON file.

use std::collections::BTreeMap;
use std::process::Command;

use serde::Deserialize;

use crate::Result;
use crate::lineup::{OWNED, session};
use crate::rounds::Rounds;
use crate::sheet::{Figure, Section};
use crate::stage::Stage;

pub(crate) const NAME: &str = "fetch";
const SCRIPT: &str = include_str!("baseline.py");
const BOTOCORE: &str = "botocore RefreshableCredentials";

#[derive(Deserialize)]
struct Baseline {
    python: String,
    found: BTreeMap<String, Vec<f64>>,
}

pub(super) fn take(stage: &Stage) -> Result<Vec<Section>> {
    let rounds = stage.effort.rounds.to_string();
    let output = Command::new("python3").args(["-c", SCRIPT, &rounds]).output();
    let output = output.ok().filter(|output| output.status.success());
    let Some(output) = output else {
        let mut section = Section::new("The old design, in Python", "");
        section.not_run("the Python baseline: there is no python3 that runs it");
        return Ok(vec![section]);
    };
    let Baseline { python, found } = serde_json::from_slice(&output.stdout)?;
    let method = format!("Python {python}, one thread, the standard library alone, a process of its own.");
    let mut section = Section::new("The old design, in Python", method);
    let entrants =
        [stage.runtime.block_on(async { crate::entrant::enter(OWNED, session().await?).await })?];
    let ours = super::warm::time(stage, &entrants)[OWNED].clone();
    section.push(Figure::new(NAME, OWNED, "ns", &ours));
    for (name, values) in &found {
        let times: Rounds = values.iter().copied().collect();
        section.push(Figure::new(NAME, name, "ns", &times).against(OWNED, &times.over(&ours)));
    }
    if !found.contains_key(BOTOCORE) {
        section.not_run(format!("{BOTOCORE}: botocore is not installed"));
    }
    Ok(vec![section])
}
