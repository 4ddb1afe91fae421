//! Lines over a few steps: how a figure changes as something grows, each line named at its end.

use plotters::style::text_anchor::HPos;

use super::canvas::{At, Canvas, Scale, widest};
use super::{GRID, MUTED, colour};
use crate::Result;
use crate::report::table::number;
use crate::sheet::Figure;

const HEIGHT: u32 = 460;
/// The width of the plot; the texts on both sides take what they need beside it.
const PLOT: i32 = 490;
const GAP: i32 = 8;
const TICK_SIZE: i32 = 12;
const NAME_SIZE: i32 = 13;
/// Between a line's end and its name.
const LEADER: i32 = 18;
const TOP: i32 = 24;
const BOTTOM: i32 = 410;
/// The least distance of two names.
const APART: i32 = 17;

/// One line.
pub(in crate::report) struct Line<'a> {
    pub(in crate::report) subject: &'a str,
    pub(in crate::report) figures: Vec<&'a Figure>,
}

/// Lines over steps that have names.
pub(in crate::report) fn lines(steps: &[String], lines: &[Line<'_>]) -> Result<String> {
    let mut svg = String::new();
    let values = lines.iter().flat_map(|line| line.figures.iter().map(|figure| figure.value));
    let scale = Scale::over(values, BOTTOM, TOP);
    let unit = lines.iter().flat_map(|line| &line.figures).next().map_or("", |figure| figure.unit);
    let tick_label = |tick: f64| format!("{} {unit}", number(tick));
    // The first step's name is centred on the left edge of the plot, the last one's on the right edge.
    let half_step = widest(steps.iter().cloned(), TICK_SIZE) / 2;
    let left = widest(scale.ticks().into_iter().map(tick_label), TICK_SIZE).max(half_step) + 2 * GAP;
    let right = left + PLOT;
    let beside = (LEADER + widest(lines.iter().map(name), NAME_SIZE)).max(half_step);
    let canvas = Canvas::new(&mut svg, u32::try_from(right + beside + GAP)?, HEIGHT);
    let gaps = i32::try_from(steps.len())? - 1;
    let x = |step: i32| left + PLOT * step / gaps.max(1);
    for tick in scale.ticks() {
        let y = scale.at(tick);
        canvas.line(vec![(left, y), (right, y)], 1, GRID)?;
        canvas.text(&tick_label(tick), At { x: left - GAP, y, side: HPos::Right }, TICK_SIZE, MUTED)?;
    }
    for (step, index) in steps.iter().zip(0..) {
        canvas.text(step, At { x: x(index), y: BOTTOM + 22, side: HPos::Center }, TICK_SIZE, MUTED)?;
    }
    for line in lines {
        let at = |(figure, index): (&&Figure, i32)| (x(index), scale.at(figure.value));
        let points: Vec<(i32, i32)> = line.figures.iter().zip(0..).map(at).collect();
        canvas.line(points.clone(), 2, colour(line.subject))?;
        points.iter().try_for_each(|(x, y)| canvas.dot(*x, *y, 3, colour(line.subject)))?;
    }
    names(&canvas, &scale, lines, right)?;
    canvas.finish()?;
    Ok(svg)
}

/// At the lines' ends, moved apart where they would lie on each other.
fn names(canvas: &Canvas<'_>, scale: &Scale, lines: &[Line<'_>], right: i32) -> Result<()> {
    let ends = lines.iter().filter_map(|line| Some((scale.at(line.figures.last()?.value), line)));
    let mut ends: Vec<(i32, &Line<'_>)> = ends.collect();
    ends.sort_by_key(|(y, _)| *y);
    // From the top; what would end below the picture starts higher.
    let mut free = TOP - APART;
    for ((end, line), below) in ends.iter().zip((0..i32::try_from(ends.len())?).rev()) {
        let y = (*end).max(free).min(BOTTOM + 30 - below * APART);
        free = y + APART;
        let colour = colour(line.subject);
        canvas.line(vec![(right + 4, *end), (right + LEADER - 4, y)], 1, colour)?;
        canvas.text(&name(line), At { x: right + LEADER, y, side: HPos::Left }, NAME_SIZE, colour)?;
    }
    Ok(())
}

/// What is written at a line's end.
fn name(line: &Line<'_>) -> String {
    let value = line.figures.last().map_or(f64::NAN, |figure| figure.value);
    format!("{}  {}", line.subject, number(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::canvas::tests::cut_texts;
    use crate::rounds::Rounds;

    #[test]
    fn lines_with_long_names_cut_no_text() {
        let subject = "a very long subject ".repeat(4);
        let figure = |value| Figure::new("measure", &subject, "operations", &Rounds::from(value));
        let figures = [figure(1.0), figure(90_000_000.0)];
        let line = Line { subject: &subject, figures: figures.iter().collect() };
        let steps = ["with one task".repeat(4), "with many tasks".repeat(4)];
        let svg = lines(&steps, &[line]).unwrap();
        assert!(svg.contains("a very long subject"));
        assert_eq!(cut_texts(&svg), [""; 0]);
    }
}
