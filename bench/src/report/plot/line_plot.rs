//! Line plots over a few steps. Each line has its name at its end.

use plotters::style::text_anchor::HPos;

use super::canvas::{Canvas, LogScale, TextPosition, max_text_width};
use super::{GRID_COLOUR, MUTED_COLOUR, subject_colour};
use crate::Result;
use crate::report::table::format_number;
use crate::results::Figure;

const PICTURE_HEIGHT: u32 = 460;
/// The width of the plot, without the texts at both sides.
const PLOT_WIDTH: i32 = 490;
const MARGIN: i32 = 8;
const TICK_SIZE: i32 = 12;
const NAME_SIZE: i32 = 13;
/// The distance between a line's end and its name.
const LEADER_LENGTH: i32 = 18;
const PLOT_TOP: i32 = 24;
const PLOT_BOTTOM: i32 = 410;
/// The minimum distance of two names.
const MIN_LABEL_DISTANCE: i32 = 17;

/// One line.
pub(in crate::report) struct PlotLine<'a> {
    pub(in crate::report) subject: &'a str,
    pub(in crate::report) figures: Vec<&'a Figure>,
}

/// Draws lines over named steps.
pub(in crate::report) fn line_plot(steps: &[String], lines: &[PlotLine<'_>]) -> Result<String> {
    let mut svg = String::new();
    let values = lines.iter().flat_map(|line| line.figures.iter().map(|figure| figure.value));
    let scale = LogScale::for_values(values, PLOT_BOTTOM, PLOT_TOP);
    let unit = lines.iter().flat_map(|line| &line.figures).next().map_or("", |figure| figure.unit);
    let tick_label = |tick: f64| format!("{} {unit}", format_number(tick));
    // The names of the first and the last step are centred on the edges of the plot.
    let half_step = max_text_width(steps.iter().cloned(), TICK_SIZE) / 2;
    let left =
        max_text_width(scale.ticks().into_iter().map(tick_label), TICK_SIZE).max(half_step) + 2 * MARGIN;
    let right = left + PLOT_WIDTH;
    let beside = (LEADER_LENGTH + max_text_width(lines.iter().map(line_label), NAME_SIZE)).max(half_step);
    let canvas = Canvas::new(&mut svg, u32::try_from(right + beside + MARGIN)?, PICTURE_HEIGHT);
    let gaps = i32::try_from(steps.len())? - 1;
    let x = |step: i32| left + PLOT_WIDTH * step / gaps.max(1);
    for tick in scale.ticks() {
        let y = scale.position(tick);
        canvas.line(vec![(left, y), (right, y)], 1, GRID_COLOUR)?;
        canvas.text(
            &tick_label(tick),
            TextPosition { x: left - MARGIN, y, anchor: HPos::Right },
            TICK_SIZE,
            MUTED_COLOUR,
        )?;
    }
    for (step, index) in steps.iter().zip(0..) {
        canvas.text(
            step,
            TextPosition { x: x(index), y: PLOT_BOTTOM + 22, anchor: HPos::Center },
            TICK_SIZE,
            MUTED_COLOUR,
        )?;
    }
    for line in lines {
        let at = |(figure, index): (&&Figure, i32)| (x(index), scale.position(figure.value));
        let points: Vec<(i32, i32)> = line.figures.iter().zip(0..).map(at).collect();
        canvas.line(points.clone(), 2, subject_colour(line.subject))?;
        points.iter().try_for_each(|(x, y)| canvas.dot(*x, *y, 3, subject_colour(line.subject)))?;
    }
    draw_line_labels(&canvas, &scale, lines, right)?;
    canvas.finish()?;
    Ok(svg)
}

/// Draws the names at the ends of the lines, moved apart where they would overlap.
fn draw_line_labels(canvas: &Canvas<'_>, scale: &LogScale, lines: &[PlotLine<'_>], right: i32) -> Result<()> {
    let ends = lines.iter().filter_map(|line| Some((scale.position(line.figures.last()?.value), line)));
    let mut ends: Vec<(i32, &PlotLine<'_>)> = ends.collect();
    ends.sort_by_key(|(y, _)| *y);
    // Placed from the top. Names that would end below the picture are moved up.
    let mut free = PLOT_TOP - MIN_LABEL_DISTANCE;
    for ((end, line), below) in ends.iter().zip((0..i32::try_from(ends.len())?).rev()) {
        let y = (*end).max(free).min(PLOT_BOTTOM + 30 - below * MIN_LABEL_DISTANCE);
        free = y + MIN_LABEL_DISTANCE;
        let colour = subject_colour(line.subject);
        canvas.line(vec![(right + 4, *end), (right + LEADER_LENGTH - 4, y)], 1, colour)?;
        canvas.text(
            &line_label(line),
            TextPosition { x: right + LEADER_LENGTH, y, anchor: HPos::Left },
            NAME_SIZE,
            colour,
        )?;
    }
    Ok(())
}

/// Returns the text at a line's end.
fn line_label(line: &PlotLine<'_>) -> String {
    let value = line.figures.last().map_or(f64::NAN, |figure| figure.value);
    format!("{}  {}", line.subject, format_number(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::canvas::tests::clipped_texts;
    use crate::rounds::Rounds;

    #[test]
    fn line_plot_long_names_clips_no_text() {
        let subject = "a very long subject ".repeat(4);
        let figure = |value| Figure::new("measure", &subject, "operations", &Rounds::from(value));
        let figures = [figure(1.0), figure(90_000_000.0)];
        let line = PlotLine { subject: &subject, figures: figures.iter().collect() };
        let steps = ["with one task".repeat(4), "with many tasks".repeat(4)];
        let svg = line_plot(&steps, &[line]).unwrap();
        assert!(svg.contains("a very long subject"));
        assert_eq!(clipped_texts(&svg), [""; 0]);
    }
}
