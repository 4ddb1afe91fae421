//! `Report`: how many scenarios of a run passed, from the text that the suite prints.

use std::{collections::BTreeSet, fmt};

const SUMMARY: &str = "=== SUMMARY ===";
const TOTAL: &str = "\nTotal:";

/// The scenarios of one run that the revision requires, and those that the suite runs without a score.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    required: Count,
    unscored: Count,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    all: usize,
}

impl Report {
    /// Reads what the suite printed. `requirements` is the text of its file of the revision.
    pub(super) fn parse(text: &str, requirements: &str) -> Self {
        let (scenarios, failures) = Self::summary(text).split_once(TOTAL).unwrap_or_default();
        let required: BTreeSet<&str> = required_scenarios(requirements).collect();
        // A scenario with a warning has no failed check, and the suite lists it among the failures all the same.
        let failed: BTreeSet<&str> = failures.lines().filter_map(parse_failure).collect();
        let mut report = Self::default();
        for (name, passed) in scenarios.lines().filter_map(parse_scenario) {
            let count = if required.contains(name) { &mut report.required } else { &mut report.unscored };
            count.all += 1;
            count.passed += usize::from(passed && !failed.contains(name));
        }
        report
    }

    /// Returns the part of the text after the runs of the scenarios.
    pub(super) fn summary(text: &str) -> &str {
        text.split_once(SUMMARY).map_or(text, |(_, summary)| summary)
    }
}

/// Returns the list `server` of a file of requirements.
fn required_scenarios(requirements: &str) -> impl Iterator<Item = &str> {
    let server = requirements.lines().skip_while(|line| *line != "server:").skip(1);
    server
        .take_while(|line| line.is_empty() || line.starts_with(' '))
        .filter_map(|line| line.trim().strip_prefix("- "))
}

/// Reads a line such as `✓ ping: 2 passed, 0 failed`.
fn parse_scenario(line: &str) -> Option<(&str, bool)> {
    let (mark, rest) = line.trim().split_once(' ')?;
    let name = rest.split(':').next()?;
    match mark {
        "✓" => Some((name, true)),
        "✗" => Some((name, false)),
        _ => None,
    }
}

/// Reads a line such as `  ~ ping` or `  ✗ caching:some-check`.
fn parse_failure(line: &str) -> Option<&str> {
    let (mark, rest) = line.trim().split_once(' ')?;
    ["~", "✗"].contains(&mark).then(|| rest.split([':', ' ']).next()).flatten()
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { required, unscored } = self;
        write!(formatter, "{} of {} required scenarios pass", required.passed, required.all)?;
        write!(formatter, ", {} of {} others", unscored.passed, unscored.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
✗ this line is not in the summary

=== SUMMARY ===
✓ ping: 2 passed, 0 failed
✓ input: 1 passed, 0 failed
✗ caching: 4 passed, 3 failed
✗ tasks-lifecycle: 2 passed, 7 failed
✓ tasks-wire-fields: 4 passed, 0 failed

Total: 12 passed, 10 failed

Expected failures (in baseline):
  ~ caching:some-check
  ~ input
";

    #[test]
    fn parse_summary_counts_required_and_unscored() {
        let requirements = "server:\n  - ping\n  - input\n  - caching\n\nclient:\n  - tasks-lifecycle\n";
        let report = Report::parse(TEXT, requirements);
        assert_eq!(report.to_string(), "1 of 3 required scenarios pass, 1 of 2 others");
    }

    #[test]
    fn parse_other_text_counts_nothing() {
        assert_eq!(Report::parse("npm failed", "server:\n  - ping\n"), Report::default());
    }
}
