//! The table on standard output: a line for each figure, or a row for each subject if a section has many measures.

use crate::results::{Figure, Section};

pub(crate) fn print_section(section: &Section) {
    println!("\n{}\n{}", section.title, "─".repeat(section.title.chars().count()));
    println!("{}\n", section.method);
    if section.is_matrix {
        print_matrix(section)
    } else {
        print_lines(&section.figures.iter().collect::<Vec<_>>())
    }
    for what in &section.not_run {
        println!("  NOT RUN: {what}");
    }
}

/// Prints all figures with a goal.
pub(crate) fn print_goals(sections: &[Section]) {
    let figures = sections.iter().flat_map(|section| &section.figures);
    let bound: Vec<&Figure> = figures.filter(|figure| figure.goal.is_some()).collect();
    if !bound.is_empty() {
        let met = bound.iter().filter(|figure| figure.met == Some(true)).count();
        println!("\nGoals: {met} of {} met\n", bound.len());
        print_lines(&bound);
    }
}

fn print_lines(figures: &[&Figure]) {
    let widest = figures.iter().map(|figure| figure_label(figure).chars().count()).max().unwrap_or_default();
    for figure in figures {
        println!("{}", figure_line(figure, widest));
    }
}

fn figure_label(figure: &Figure) -> String {
    format!("{} · {}", figure.name, figure.subject)
}

fn figure_line(figure: &Figure, widest: usize) -> String {
    let value = format!("{} {}", format_number(figure.value), figure.unit);
    let spread = match figure.rounds {
        0 | 1 => String::new(),
        _ => format!("{} – {}", format_number(figure.spread.low), format_number(figure.spread.high)),
    };
    let ratio = match (&figure.peer, figure.ratio) {
        (Some(peer), Some(ratio)) => format!("{} × {peer}", format_number(ratio)),
        _ => String::new(),
    };
    let line = format!(
        "  {:widest$}  {value:>11}  {spread:>17}  {ratio:<31}  {}",
        figure_label(figure),
        goal_verdict(figure)
    );
    line.trim_end().to_owned()
}

fn goal_verdict(figure: &Figure) -> String {
    match (&figure.goal, figure.met) {
        (Some(goal), Some(true)) => format!("goal {goal}: met"),
        (Some(goal), _) => format!("goal {goal}: NOT met"),
        _ => String::new(),
    }
}

/// Splits the name of a measure at its colon.
fn split_name(name: &str) -> (&str, &str) {
    name.split_once(": ").unwrap_or(("", name))
}

fn print_matrix(section: &Section) {
    let columns = unique_names(section.figures.iter().map(|figure| figure.name.as_str()));
    let about = unique_names(columns.iter().map(|column| split_name(column).0));
    for one in &about {
        let columns: Vec<&str> =
            columns.iter().copied().filter(|column| split_name(column).0 == *one).collect();
        if about.len() > 1 {
            println!("  {one}");
        }
        columns.chunks(6).for_each(|columns| print_columns(section, columns));
    }
    let bound: Vec<&Figure> = section.figures.iter().filter(|figure| figure.goal.is_some()).collect();
    print_lines(&bound);
}

fn print_columns(section: &Section, columns: &[&str]) {
    let rows = unique_names(section.figures.iter().map(|figure| figure.subject.as_str()));
    let widest = rows.iter().map(|row| row.chars().count()).max().unwrap_or_default();
    let cell = |row: &str, column: &str| {
        let found = section.figures_named(column).find(|figure| figure.subject == row);
        found.map_or_else(String::new, |figure| {
            format!("{} {}", format_number(figure.value), figure.unit).trim().to_owned()
        })
    };
    let print = |first: &str, cells: Vec<String>| {
        let cells = cells.iter().zip(columns).map(|(cell, column)| {
            let width = split_name(column).1.chars().count().max(9);
            format!("  {cell:>width$}")
        });
        println!("  {first:widest$}{}", cells.collect::<String>());
    };
    print("", columns.iter().map(|column| split_name(column).1.to_owned()).collect());
    rows.iter().for_each(|row| print(row, columns.iter().map(|column| cell(row, column)).collect()));
    println!();
}

fn unique_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut unique = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}

/// Formats three significant digits, with separated thousands.
pub(crate) fn format_number(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "–".to_owned(),
        0.0 => "0".to_owned(),
        small if small < 10.0 => trim_zeros(format!("{value:.2}")),
        middle if middle < 100.0 => trim_zeros(format!("{value:.1}")),
        _ => group_thousands(value.round() as i64),
    }
}

fn trim_zeros(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn group_thousands(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if value < 0 { format!("-{grouped}") } else { grouped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_number_keeps_three_significant_digits() {
        let shown: Vec<String> =
            [0.0, 0.5, 2.3456, 42.0, 42.25, 1234.5, -2_000_000.0].map(format_number).into();
        assert_eq!(shown, ["0", "0.5", "2.35", "42", "42.2", "1,235", "-2,000,000"]);
    }
}
