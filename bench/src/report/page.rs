//! The page: the goals first, then each measure with its plot, its method and its figures. No script, nothing loaded.

use std::fmt::Write as _;

use super::plot::{self, Line, dots, lines};
use super::{Run, table::number};
use crate::Result;
use crate::measure::{churn, contended, find, herds, instructions, memory, python, warm};
use crate::sheet::{Figure, Section};

const STYLE: &str = include_str!("page.css");

pub(super) fn page(run: &Run) -> Result<String> {
    let mut body = String::new();
    for section in &run.sections {
        body += &one(section)?;
    }
    let head: String =
        run.head().iter().map(|line| format!("<p class=\"head\">{}</p>\n", escape(line))).collect();
    let (style, plots, goals) = (STYLE, plot::STYLE, goals(run));
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>valetkey beside its peers</title>\n\
         <style>\n{style}{plots}</style>\n<main>\n<h1>valetkey beside its peers</h1>\n{head}{goals}{body}</main>\n</html>\n"
    ))
}

/// What was promised, and what became of it.
fn goals(run: &Run) -> String {
    let figures = run.sections.iter().flat_map(|section| &section.figures);
    let bound: Vec<&Figure> = figures.filter(|figure| figure.goal.is_some()).collect();
    if bound.is_empty() {
        return String::new();
    }
    let met = bound.iter().filter(|figure| figure.met == Some(true)).count();
    format!("<h2>Goals: {met} of {} met</h2>\n{}", bound.len(), rows(&bound))
}

fn one(section: &Section) -> Result<String> {
    let mut text = format!("<h2>{}</h2>\n<p>{}</p>\n", escape(&section.title), escape(&section.method));
    text += &plots(section)?;
    for what in &section.not_run {
        writeln!(text, "<p class=\"missing\">Not run: {}</p>", escape(what))?;
    }
    if !section.figures.is_empty() {
        let figures: Vec<&Figure> = section.figures.iter().collect();
        writeln!(text, "<details><summary>All figures</summary>\n{}</details>", rows(&figures))?;
    }
    Ok(text)
}

/// What is worth a picture.
fn plots(section: &Section) -> Result<String> {
    let tails: Vec<String> = ["p50", "p99.9"].map(|tail| contended::tail_name(64, tail)).into();
    let waits: Vec<String> =
        herds::SCENES.iter().map(|scene| format!("{}: longest wait", scene.name)).collect();
    let less = [warm::TIME, find::NAME, instructions::NAME, python::NAME].map(str::to_owned);
    let mut drawn = String::new();
    for name in less.iter().chain(&tails).chain(&waits) {
        let figures = named(section, name);
        if !figures.is_empty() {
            write!(drawn, "<h3>{}, less is better</h3>\n{}", escape(name), dots(&figures, false)?)?;
        }
    }
    if !named(section, churn::NAME).is_empty() {
        write!(
            drawn,
            "<h3>{}, more is better</h3>\n{}",
            churn::NAME,
            dots(&named(section, churn::NAME), true)?
        )?;
    }
    drawn += &over_tasks(section)?;
    drawn += &over_sessions(section)?;
    Ok(drawn)
}

fn named<'a>(section: &'a Section, name: &str) -> Vec<&'a Figure> {
    section.named(name).collect()
}

fn over_tasks(section: &Section) -> Result<String> {
    let names = contended::TASKS.map(contended::rate_name);
    let steps = contended::TASKS.map(contended::step_name);
    let picture = over(section, &names, &steps)?;
    Ok(if picture.is_empty() {
        picture
    } else {
        format!("<h3>Fetches a second, more is better</h3>\n{picture}")
    })
}

fn over_sessions(section: &Section) -> Result<String> {
    let names = memory::COUNTS.map(memory::resident_name);
    let steps = memory::COUNTS.map(|count| format!("{} sessions", number(count as f64)));
    let picture = over(section, &names, &steps)?;
    Ok(if picture.is_empty() {
        picture
    } else {
        format!("<h3>Resident bytes a session, less is better</h3>\n{picture}")
    })
}

/// One line for each subject that has a figure at every step.
fn over(section: &Section, names: &[String], steps: &[String]) -> Result<String> {
    let subjects = section.named(&names[0]).map(|figure| figure.subject.as_str());
    let line = |subject| {
        let at = |name| section.named(name).find(|figure: &&Figure| figure.subject == subject);
        let figures: Option<Vec<&Figure>> = names.iter().map(|name| at(name)).collect();
        figures.map(|figures| Line { subject, figures })
    };
    let all: Vec<Line<'_>> = subjects.filter_map(line).collect();
    if all.is_empty() { Ok(String::new()) } else { lines(steps, &all) }
}

fn rows(figures: &[&Figure]) -> String {
    let mut rows = String::from(
        "<table>\n<tr><th>measure<th>subject<th class=n>median<th class=n>low – high<th class=n>ratio<th>goal</tr>\n",
    );
    for figure in figures {
        let ratio = match (figure.ratio, &figure.peer) {
            (Some(ratio), Some(peer)) => format!("{} × {}", number(ratio), escape(peer)),
            _ => String::new(),
        };
        let spread = match figure.rounds {
            0 | 1 => String::new(),
            _ => format!("{} – {}", number(figure.spread.low), number(figure.spread.high)),
        };
        let goal = match (&figure.goal, figure.met) {
            (Some(goal), Some(true)) => format!("<td class=met>{goal}: met"),
            (Some(goal), _) => format!("<td class=unmet>{goal}: not met"),
            _ => "<td>".to_owned(),
        };
        let (name, subject) = (escape(&figure.name), escape(&figure.subject));
        let value = format!("{} {}", number(figure.value), figure.unit);
        rows += &format!(
            "<tr><td>{name}<td>{subject}<td class=n>{value}<td class=n>{spread}<td class=n>{ratio}{goal}</tr>\n"
        );
    }
    rows + "</table>\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
