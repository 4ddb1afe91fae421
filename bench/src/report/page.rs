//! The HTML page: the goals, then each measure with its plot, method and figures. It has no script and loads nothing.

use std::fmt::Write as _;

use super::plot::{self, PlotLine, dot_plot, line_plot};
use super::{BenchRun, table::format_number};
use crate::Result;
use crate::measure::{churn, contended, find, herds, instructions, memory, python, warm};
use crate::results::{Figure, Section};

const PAGE_STYLE: &str = include_str!("page.css");

pub(super) fn render_page(run: &BenchRun) -> Result<String> {
    let mut body = String::new();
    for section in &run.sections {
        body += &section_html(section)?;
    }
    let head: String = run
        .header_lines()
        .iter()
        .map(|line| format!("<p class=\"head\">{}</p>\n", escape_html(line)))
        .collect();
    let (style, plots, goals) = (PAGE_STYLE, plot::PLOT_STYLE, goals_html(run));
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>valetkey and other credential caches</title>\n\
         <style>\n{style}{plots}</style>\n<main>\n<h1>valetkey and other credential caches</h1>\n{head}{goals}{body}</main>\n</html>\n"
    ))
}

/// Renders the goals and whether each is met.
fn goals_html(run: &BenchRun) -> String {
    let figures = run.sections.iter().flat_map(|section| &section.figures);
    let bound: Vec<&Figure> = figures.filter(|figure| figure.goal.is_some()).collect();
    if bound.is_empty() {
        return String::new();
    }
    let met = bound.iter().filter(|figure| figure.met == Some(true)).count();
    format!("<h2>Goals: {met} of {} met</h2>\n{}", bound.len(), figures_table(&bound))
}

fn section_html(section: &Section) -> Result<String> {
    let mut text =
        format!("<h2>{}</h2>\n<p>{}</p>\n", escape_html(&section.title), escape_html(&section.method));
    text += &section_plots(section)?;
    for what in &section.not_run {
        writeln!(text, "<p class=\"missing\">Not run: {}</p>", escape_html(what))?;
    }
    if !section.figures.is_empty() {
        let figures: Vec<&Figure> = section.figures.iter().collect();
        writeln!(text, "<details><summary>All figures</summary>\n{}</details>", figures_table(&figures))?;
    }
    Ok(text)
}

/// Renders the plots of a section.
fn section_plots(section: &Section) -> Result<String> {
    let tails: Vec<String> = ["p50", "p99.9"].map(|tail| contended::latency_name(64, tail)).into();
    let waits: Vec<String> =
        herds::SCENARIOS.iter().map(|scenario| format!("{}: longest wait", scenario.name)).collect();
    let less_is_better =
        [warm::MEASURE_NAME, find::MEASURE_NAME, instructions::MEASURE_NAME, python::MEASURE_NAME]
            .map(str::to_owned);
    let mut drawn = String::new();
    for name in less_is_better.iter().chain(&tails).chain(&waits) {
        let figures = figures_named(section, name);
        if !figures.is_empty() {
            write!(drawn, "<h3>{}, less is better</h3>\n{}", escape_html(name), dot_plot(&figures, false)?)?;
        }
    }
    if !figures_named(section, churn::MEASURE_NAME).is_empty() {
        write!(
            drawn,
            "<h3>{}, more is better</h3>\n{}",
            churn::MEASURE_NAME,
            dot_plot(&figures_named(section, churn::MEASURE_NAME), true)?
        )?;
    }
    drawn += &throughput_chart(section)?;
    drawn += &memory_chart(section)?;
    Ok(drawn)
}

fn figures_named<'a>(section: &'a Section, name: &str) -> Vec<&'a Figure> {
    section.figures_named(name).collect()
}

fn throughput_chart(section: &Section) -> Result<String> {
    let names = contended::TASK_COUNTS.map(contended::throughput_name);
    let steps = contended::TASK_COUNTS.map(contended::task_count_label);
    let picture = line_chart(section, &names, &steps)?;
    Ok(if picture.is_empty() {
        picture
    } else {
        format!("<h3>Fetches a second, more is better</h3>\n{picture}")
    })
}

fn memory_chart(section: &Section) -> Result<String> {
    let names = memory::SESSION_COUNTS.map(memory::resident_name);
    let steps = memory::SESSION_COUNTS.map(|count| format!("{} sessions", format_number(count as f64)));
    let picture = line_chart(section, &names, &steps)?;
    Ok(if picture.is_empty() {
        picture
    } else {
        format!("<h3>Resident bytes a session, less is better</h3>\n{picture}")
    })
}

/// Renders a line for each subject that has a figure at each step.
fn line_chart(section: &Section, names: &[String], steps: &[String]) -> Result<String> {
    let subjects = section.figures_named(&names[0]).map(|figure| figure.subject.as_str());
    let line = |subject| {
        let at = |name| section.figures_named(name).find(|figure: &&Figure| figure.subject == subject);
        let figures: Option<Vec<&Figure>> = names.iter().map(|name| at(name)).collect();
        figures.map(|figures| PlotLine { subject, figures })
    };
    let all: Vec<PlotLine<'_>> = subjects.filter_map(line).collect();
    if all.is_empty() { Ok(String::new()) } else { line_plot(steps, &all) }
}

fn figures_table(figures: &[&Figure]) -> String {
    let mut rows = String::from(
        "<table>\n<tr><th>measure<th>subject<th class=n>median<th class=n>low – high<th class=n>ratio<th>goal</tr>\n",
    );
    for figure in figures {
        let ratio = match (figure.ratio, &figure.peer) {
            (Some(ratio), Some(peer)) => format!("{} × {}", format_number(ratio), escape_html(peer)),
            _ => String::new(),
        };
        let spread = match figure.rounds {
            0 | 1 => String::new(),
            _ => format!("{} – {}", format_number(figure.spread.low), format_number(figure.spread.high)),
        };
        let goal = match (&figure.goal, figure.met) {
            (Some(goal), Some(true)) => format!("<td class=met>{goal}: met"),
            (Some(goal), _) => format!("<td class=unmet>{goal}: not met"),
            _ => "<td>".to_owned(),
        };
        let (name, subject) = (escape_html(&figure.name), escape_html(&figure.subject));
        let value = format!("{} {}", format_number(figure.value), figure.unit);
        rows += &format!(
            "<tr><td>{name}<td>{subject}<td class=n>{value}<td class=n>{spread}<td class=n>{ratio}{goal}</tr>\n"
        );
    }
    rows + "</table>\n"
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
