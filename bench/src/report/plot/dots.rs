//! Dots on a logarithmic scale: one row for each subject, the best on top, the value written beside its dot.

use plotters::style::text_anchor::HPos;

use super::canvas::{At, Canvas, Scale};
use super::{GRID, INK, MUTED, colour};
use crate::Result;
use crate::report::table::number;
use crate::sheet::Figure;

const WIDTH: u32 = 860;
const LEFT: i32 = 250;
const RIGHT: i32 = 640;
const ROW: i32 = 26;
const TOP: i32 = 34;

/// The figures of one measure, told apart by who was measured; `more_is_better` turns the order round.
pub(in crate::report) fn dots(figures: &[&Figure], more_is_better: bool) -> Result<String> {
    let mut rows: Vec<&Figure> = figures.iter().copied().filter(|figure| figure.value.is_finite()).collect();
    rows.sort_by(|a, b| a.value.total_cmp(&b.value));
    if more_is_better {
        rows.reverse();
    }
    let Some(first) = rows.first() else { return Ok(String::new()) };
    let mut svg = String::new();
    let height = TOP + ROW * i32::try_from(rows.len())? + 8;
    let canvas = Canvas::new(&mut svg, WIDTH, u32::try_from(height)?);
    let values = rows.iter().flat_map(|figure| [figure.value, figure.spread.low, figure.spread.high]);
    let scale = Scale::over(values, LEFT, RIGHT);
    grid(&canvas, &scale, height, first.unit)?;
    for (figure, y) in rows.iter().zip((0..).map(|row| TOP + ROW * row + ROW / 2)) {
        draw(&canvas, &scale, figure, y)?;
    }
    canvas.finish()?;
    Ok(svg)
}

fn grid(canvas: &Canvas<'_>, scale: &Scale, height: i32, unit: &str) -> Result<()> {
    for tick in scale.ticks() {
        let x = scale.at(tick);
        canvas.line(vec![(x, TOP - 8), (x, height - 6)], 1, GRID)?;
        let label = format!("{} {unit}", number(tick));
        canvas.text(label.trim(), At { x, y: TOP - 20, side: HPos::Center }, 12, MUTED)?;
    }
    Ok(())
}

fn draw(canvas: &Canvas<'_>, scale: &Scale, figure: &Figure, y: i32) -> Result<()> {
    let colour = colour(&figure.subject);
    canvas.text(&figure.subject, At { x: LEFT - 14, y, side: HPos::Right }, 14, INK)?;
    canvas.line(vec![(scale.at(figure.spread.low), y), (scale.at(figure.spread.high), y)], 2, colour)?;
    canvas.dot(scale.at(figure.value), y, 5, colour)?;
    let beyond = scale.at(figure.spread.high).max(scale.at(figure.value)) + 12;
    canvas.text(&label(figure), At { x: beyond, y, side: HPos::Left }, 13, colour)
}

fn label(figure: &Figure) -> String {
    let value = format!("{} {}", number(figure.value), figure.unit);
    let value = value.trim();
    match (&figure.peer, figure.ratio) {
        (Some(peer), Some(ratio)) if *peer != figure.subject => {
            format!("{value}  ({} × {peer})", number(ratio))
        }
        _ => value.to_owned(),
    }
}
