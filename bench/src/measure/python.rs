//! The earlier design as a baseline, in Python: a lock around a dict, a JSON file.

use std::collections::BTreeMap;
use std::process::Command;

use serde::Deserialize;

use crate::Result;
use crate::env::BenchEnv;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;
use crate::subjects::{OWNED, warm_session};

pub(crate) const MEASURE_NAME: &str = "fetch";
const BASELINE_SCRIPT: &str = include_str!("baseline.py");
const BOTOCORE: &str = "botocore RefreshableCredentials";

#[derive(Deserialize)]
struct Baseline {
    python: String,
    found: BTreeMap<String, Vec<f64>>,
}

pub(super) fn run(env: &BenchEnv) -> Result<Vec<Section>> {
    let rounds = env.profile.rounds.to_string();
    let output = Command::new("python3").args(["-c", BASELINE_SCRIPT, &rounds]).output();
    let output = output.ok().filter(|output| output.status.success());
    let Some(output) = output else {
        let mut section = Section::new("The old design, in Python", "");
        section.add_not_run("the Python baseline: no python3 could run it");
        return Ok(vec![section]);
    };
    let Baseline { python, found } = serde_json::from_slice(&output.stdout)?;
    let method = format!("Python {python}, one thread, the standard library, in a separate process.");
    let mut section = Section::new("The old design, in Python", method);
    let contenders =
        [env.runtime.block_on(async { crate::contender::register(OWNED, warm_session().await?).await })?];
    let ours = super::warm::time_contenders(env, &contenders)[OWNED].clone();
    section.push(Figure::new(MEASURE_NAME, OWNED, "ns", &ours));
    for (name, values) in &found {
        let times: Rounds = values.iter().copied().collect();
        section.push(
            Figure::new(MEASURE_NAME, name, "ns", &times).with_reference(OWNED, &times.ratio_to(&ours)),
        );
    }
    if !found.contains_key(BOTOCORE) {
        section.add_not_run(format!("{BOTOCORE}: botocore is not installed"));
    }
    Ok(vec![section])
}
