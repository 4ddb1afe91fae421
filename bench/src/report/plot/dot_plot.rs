//! Dot plots on a logarithmic scale: one row for each subject, best first, with the value beside its dot.

use plotters::style::text_anchor::HPos;

use super::canvas::{Canvas, LogScale, TextPosition, max_text_width};
use super::{GRID_COLOUR, MUTED_COLOUR, TEXT_COLOUR, subject_colour};
use crate::Result;
use crate::report::table::format_number;
use crate::results::Figure;

/// The width of the scale, without the texts at both sides.
const SCALE_WIDTH: i32 = 390;
/// The margin between a subject's name and the scale, and at the edges.
const MARGIN: i32 = 14;
const SUBJECT_SIZE: i32 = 14;
const VALUE_SIZE: i32 = 13;
const ROW_HEIGHT: i32 = 26;
const TOP_MARGIN: i32 = 34;

/// Draws the figures of one measure, one row for each subject. `more_is_better` reverses the order.
pub(in crate::report) fn dot_plot(figures: &[&Figure], more_is_better: bool) -> Result<String> {
    let mut rows: Vec<&Figure> = figures.iter().copied().filter(|figure| figure.value.is_finite()).collect();
    rows.sort_by(|a, b| a.value.total_cmp(&b.value));
    if more_is_better {
        rows.reverse();
    }
    let Some(first) = rows.first() else { return Ok(String::new()) };
    let mut svg = String::new();
    let height = TOP_MARGIN + ROW_HEIGHT * i32::try_from(rows.len())? + 8;
    let left = max_text_width(rows.iter().map(|figure| figure.subject.clone()), SUBJECT_SIZE) + 2 * MARGIN;
    let right = left + SCALE_WIDTH;
    let width =
        right + max_text_width(rows.iter().map(|figure| value_label(figure)), VALUE_SIZE) + 2 * MARGIN;
    let canvas = Canvas::new(&mut svg, u32::try_from(width)?, u32::try_from(height)?);
    let values = rows.iter().flat_map(|figure| [figure.value, figure.spread.low, figure.spread.high]);
    let scale = LogScale::for_values(values, left, right);
    draw_grid(&canvas, &scale, height, first.unit)?;
    for (figure, y) in rows.iter().zip((0..).map(|row| TOP_MARGIN + ROW_HEIGHT * row + ROW_HEIGHT / 2)) {
        canvas.text(
            &figure.subject,
            TextPosition { x: left - MARGIN, y, anchor: HPos::Right },
            SUBJECT_SIZE,
            TEXT_COLOUR,
        )?;
        draw_figure(&canvas, &scale, figure, y)?;
    }
    canvas.finish()?;
    Ok(svg)
}

fn draw_grid(canvas: &Canvas<'_>, scale: &LogScale, height: i32, unit: &str) -> Result<()> {
    for tick in scale.ticks() {
        let x = scale.position(tick);
        canvas.line(vec![(x, TOP_MARGIN - 8), (x, height - 6)], 1, GRID_COLOUR)?;
        let label = format!("{} {unit}", format_number(tick));
        canvas.text(
            label.trim(),
            TextPosition { x, y: TOP_MARGIN - 20, anchor: HPos::Center },
            12,
            MUTED_COLOUR,
        )?;
    }
    Ok(())
}

fn draw_figure(canvas: &Canvas<'_>, scale: &LogScale, figure: &Figure, y: i32) -> Result<()> {
    let colour = subject_colour(&figure.subject);
    canvas.line(
        vec![(scale.position(figure.spread.low), y), (scale.position(figure.spread.high), y)],
        2,
        colour,
    )?;
    canvas.dot(scale.position(figure.value), y, 5, colour)?;
    let beyond = scale.position(figure.spread.high).max(scale.position(figure.value)) + 12;
    canvas.text(&value_label(figure), TextPosition { x: beyond, y, anchor: HPos::Left }, VALUE_SIZE, colour)
}

fn value_label(figure: &Figure) -> String {
    let value = format!("{} {}", format_number(figure.value), figure.unit);
    let value = value.trim();
    match (&figure.peer, figure.ratio) {
        (Some(peer), Some(ratio)) if *peer != figure.subject => {
            format!("{value}  ({} × {peer})", format_number(ratio))
        }
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::canvas::tests::clipped_texts;
    use crate::rounds::Rounds;

    #[test]
    fn dot_plot_long_names_clips_no_text() {
        let figure =
            |subject: &str, value| Figure::new("measure", subject, "microseconds", &Rounds::from(value));
        let figures = [figure(&"a very long subject ".repeat(4), 1.0), figure("short", 90_000.0)];
        let svg = dot_plot(&figures.iter().collect::<Vec<_>>(), false).unwrap();
        assert!(svg.contains("a very long subject"));
        assert_eq!(clipped_texts(&svg), [""; 0]);
    }
}
