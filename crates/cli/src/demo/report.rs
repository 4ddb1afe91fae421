//! The report of the demo: a table for people, JSON for programs.

use std::io::{self, Write};
use std::time::Instant;

use serde::Serialize;
use valetkey::escape_control_chars;

use crate::output::escape_json;

/// The maximum number of characters of an observation in the table.
const MAX_OBSERVATION_CHARS: usize = 110;

/// The steps of the scenario and their results.
pub(super) struct DemoReport {
    started_at: Instant,
    steps: Vec<DemoStep>,
}

#[derive(Debug, Serialize)]
struct DemoStep {
    /// The claim that the step checks.
    claim: &'static str,
    /// The tenant whose session the step is about.
    tenant: &'static str,
    /// The observation, without secrets.
    seen: String,
    held: bool,
}

impl DemoReport {
    pub(super) fn start() -> Self {
        Self { started_at: Instant::now(), steps: Vec::new() }
    }

    /// Records a step.
    pub(super) fn record(
        &mut self,
        tenant: &'static str,
        claim: &'static str,
        held: bool,
        seen: impl Into<String>,
    ) {
        self.steps.push(DemoStep { claim, tenant, seen: seen.into(), held });
    }

    /// Whether there were steps and all of them passed.
    pub(super) fn all_passed(&self) -> bool {
        !self.steps.is_empty() && self.steps.iter().all(|step| step.held)
    }

    pub(super) fn print(&self, json: bool, color: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let milliseconds = self.started_at.elapsed().as_millis();
        if json {
            let document = serde_json::json!({"held": self.all_passed(), "milliseconds": milliseconds, "steps": self.steps});
            return writeln!(out, "{}", escape_json(&format!("{document:#}")));
        }
        let width = self.steps.iter().map(|step| step.claim.chars().count()).max().unwrap_or_default();
        for step in &self.steps {
            let mark = status_label(step.held, color);
            writeln!(
                out,
                "{mark} {:<3} {:<width$}  {}",
                step.tenant,
                step.claim,
                truncate(&escape_control_chars(&step.seen))
            )?;
        }
        let failed = self.steps.iter().filter(|step| !step.held).count();
        writeln!(
            out,
            "\n{} steps, {failed} did not hold, {:.1} s",
            self.steps.len(),
            milliseconds as f64 / 1000.0
        )
    }
}

/// Truncates an observation to the width of the table; JSON has the full text.
fn truncate(seen: &str) -> String {
    if seen.chars().count() <= MAX_OBSERVATION_CHARS {
        return seen.to_owned();
    }
    seen.chars().take(MAX_OBSERVATION_CHARS - 1).chain(['…']).collect()
}

fn status_label(held: bool, color: bool) -> &'static str {
    match (held, color) {
        (true, true) => "\x1b[32mok  \x1b[0m",
        (true, false) => "ok  ",
        (false, true) => "\x1b[31mFAIL\x1b[0m",
        (false, false) => "FAIL",
    }
}
