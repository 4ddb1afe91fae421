//! The Markdown table of all figures with a goal, for `docs/benchmarks.md`.

use super::BenchRun;
use super::table::format_number;
use crate::results::Figure;

pub(super) fn goals_table(run: &BenchRun) -> String {
    let mut text = run.header_lines().join("  \n");
    text += "\n\n| measure | subject | median | low – high | reference | goal | |\n|---|---|---|---|---|---|---|\n";
    let figures = run.sections.iter().flat_map(|section| &section.figures);
    figures.filter(|figure| figure.goal.is_some()).for_each(|figure| text += &goal_row(figure));
    text
}

fn goal_row(figure: &Figure) -> String {
    let Figure { name, subject, unit, value, spread, goal, met, .. } = figure;
    let spread = match figure.rounds {
        0 | 1 => String::new(),
        _ => format!("{} – {}", format_number(spread.low), format_number(spread.high)),
    };
    let ratio = match (figure.ratio, &figure.peer) {
        (Some(ratio), Some(peer)) => format!("{} × {peer}", format_number(ratio)),
        _ => String::new(),
    };
    let (value, goal) = (format_number(*value), goal.as_deref().unwrap_or_default());
    let verdict = if *met == Some(true) { "met" } else { "**not met**" };
    format!("| {name} | {subject} | {value} {unit} | {spread} | {ratio} | {goal} | {verdict} |\n")
}
