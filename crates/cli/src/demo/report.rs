//! The report of the demo: a table for people, JSON for programs.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Instant;

use serde::Serialize;
use valetkey::escape_control_chars;

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

/// Escapes every character of a JSON document that would control a terminal. JSON itself escapes only those below the
/// space.
fn escape_json(document: &str) -> String {
    let mut escaped = String::with_capacity(document.len());
    for line in document.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        for character in line.chars() {
            match escape_control_chars(character.encode_utf8(&mut [0; 4])) {
                Cow::Borrowed(same) => escaped.push_str(same),
                Cow::Owned(_) => escaped.push_str(&format!("\\u{:04x}", u32::from(character))),
            }
        }
        escaped.push_str(end);
    }
    escaped
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_json_keeps_document_and_escapes_controls() {
        let seen = "\u{1b}[2J\u{7}\r\u{7f}\u{9b}\u{202e} and `é`";
        let document = serde_json::json!({"seen": seen});
        let escaped = escape_json(&format!("{document:#}"));
        assert!(!escaped.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}'), "{escaped:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).ok(), Some(document));
    }
}
