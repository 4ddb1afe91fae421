//! Lines over a few steps: how a figure changes as something grows, each line named at its end.

use plotters::style::text_anchor::HPos;

use super::canvas::{At, Canvas, Scale};
use super::{GRID, MUTED, colour};
use crate::Result;
use crate::report::table::number;
use crate::sheet::Figure;

const WIDTH: u32 = 860;
const HEIGHT: u32 = 460;
const LEFT: i32 = 70;
const RIGHT: i32 = 560;
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
    let canvas = Canvas::new(&mut svg, WIDTH, HEIGHT);
    let values = lines.iter().flat_map(|line| line.figures.iter().map(|figure| figure.value));
    let scale = Scale::over(values, BOTTOM, TOP);
    let gaps = i32::try_from(steps.len())? - 1;
    let x = |step: i32| LEFT + (RIGHT - LEFT) * step / gaps.max(1);
    let unit = lines.iter().flat_map(|line| &line.figures).next().map_or("", |figure| figure.unit);
    for tick in scale.ticks() {
        let y = scale.at(tick);
        canvas.line(vec![(LEFT, y), (RIGHT, y)], 1, GRID)?;
        canvas.text(
            &format!("{} {unit}", number(tick)),
            At { x: LEFT - 8, y, side: HPos::Right },
            12,
            MUTED,
        )?;
    }
    for (step, index) in steps.iter().zip(0..) {
        canvas.text(step, At { x: x(index), y: BOTTOM + 22, side: HPos::Center }, 12, MUTED)?;
    }
    for line in lines {
        let at = |(figure, index): (&&Figure, i32)| (x(index), scale.at(figure.value));
        let points: Vec<(i32, i32)> = line.figures.iter().zip(0..).map(at).collect();
        canvas.line(points.clone(), 2, colour(line.subject))?;
        points.iter().try_for_each(|(x, y)| canvas.dot(*x, *y, 3, colour(line.subject)))?;
    }
    names(&canvas, &scale, lines)?;
    canvas.finish()?;
    Ok(svg)
}

/// At the lines' ends, moved apart where they would lie on each other.
fn names(canvas: &Canvas<'_>, scale: &Scale, lines: &[Line<'_>]) -> Result<()> {
    let ends = lines.iter().filter_map(|line| Some((scale.at(line.figures.last()?.value), line)));
    let mut ends: Vec<(i32, &Line<'_>)> = ends.collect();
    ends.sort_by_key(|(y, _)| *y);
    // From the top; what would end below the picture starts higher.
    let mut free = TOP - APART;
    for ((end, line), below) in ends.iter().zip((0..i32::try_from(ends.len())?).rev()) {
        let y = (*end).max(free).min(BOTTOM + 30 - below * APART);
        free = y + APART;
        let value = line.figures.last().map_or(f64::NAN, |figure| figure.value);
        let colour = colour(line.subject);
        let name = format!("{}  {}", line.subject, number(value));
        canvas.line(vec![(RIGHT + 4, *end), (RIGHT + 14, y)], 1, colour)?;
        canvas.text(&name, At { x: RIGHT + 18, y, side: HPos::Left }, 13, colour)?;
    }
    Ok(())
}
