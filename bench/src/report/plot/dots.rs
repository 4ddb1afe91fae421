//! Dots on a logarithmic scale: one row for each subject, the best on top, the value written beside its dot.

use plotters::style::text_anchor::HPos;

use super::canvas::{At, Canvas, Scale, widest};
use super::{GRID, INK, MUTED, colour};
use crate::Result;
use crate::report::table::number;
use crate::sheet::Figure;

/// The width of the scale; the texts on both sides take what they need beside it.
const SCALE: i32 = 390;
/// Between a subject's name and the scale, and at the picture's edges.
const GAP: i32 = 14;
const SUBJECT_SIZE: i32 = 14;
const VALUE_SIZE: i32 = 13;
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
    let left = widest(rows.iter().map(|figure| figure.subject.clone()), SUBJECT_SIZE) + 2 * GAP;
    let right = left + SCALE;
    let width = right + widest(rows.iter().map(|figure| label(figure)), VALUE_SIZE) + 2 * GAP;
    let canvas = Canvas::new(&mut svg, u32::try_from(width)?, u32::try_from(height)?);
    let values = rows.iter().flat_map(|figure| [figure.value, figure.spread.low, figure.spread.high]);
    let scale = Scale::over(values, left, right);
    grid(&canvas, &scale, height, first.unit)?;
    for (figure, y) in rows.iter().zip((0..).map(|row| TOP + ROW * row + ROW / 2)) {
        canvas.text(&figure.subject, At { x: left - GAP, y, side: HPos::Right }, SUBJECT_SIZE, INK)?;
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
    canvas.line(vec![(scale.at(figure.spread.low), y), (scale.at(figure.spread.high), y)], 2, colour)?;
    canvas.dot(scale.at(figure.value), y, 5, colour)?;
    let beyond = scale.at(figure.spread.high).max(scale.at(figure.value)) + 12;
    canvas.text(&label(figure), At { x: beyond, y, side: HPos::Left }, VALUE_SIZE, colour)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::canvas::tests::cut_texts;
    use crate::rounds::Rounds;

    #[test]
    fn dots_with_long_names_cut_no_text() {
        let figure =
            |subject: &str, value| Figure::new("measure", subject, "microseconds", &Rounds::from(value));
        let figures = [figure(&"a very long subject ".repeat(4), 1.0), figure("short", 90_000.0)];
        let svg = dots(&figures.iter().collect::<Vec<_>>(), false).unwrap();
        assert!(svg.contains("a very long subject"));
        assert_eq!(cut_texts(&svg), [""; 0]);
    }
}
