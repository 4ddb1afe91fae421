//! Lines over the hours of a day.

use std::error::Error;

use plotters::prelude::*;

use crate::{DAY, HOUR, MINUTE};

const SIZE: (u32, u32) = (860, 380);
const COLOURS: [RGBColor; 4] =
    [RGBColor(11, 122, 83), RGBColor(160, 112, 48), RGBColor(75, 99, 181), RGBColor(96, 96, 96)];

/// A line of a plot: one value for each minute.
#[derive(Debug)]
pub struct Line {
    /// The name in the legend.
    pub name: String,
    /// The values.
    pub minutes: Vec<f64>,
}

/// Draws the lines, as SVG.
///
/// # Errors
/// When a value cannot be drawn.
pub fn line_plot(title: &str, unit: &str, lines: &[Line]) -> Result<String, Box<dyn Error>> {
    let highest = lines.iter().flat_map(|line| &line.minutes).copied().fold(1.0, f64::max);
    let hours = f64::from(DAY / HOUR);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 17))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..hours, 0.0..highest * 1.25)?;
        chart.configure_mesh().light_line_style(WHITE).x_desc("hours").y_desc(unit).draw()?;
        for (line, colour) in lines.iter().zip(COLOURS) {
            let points = line.minutes.iter().enumerate().map(|(minute, value)| (hour(minute), *value));
            let style = colour.stroke_width(2);
            chart
                .draw_series(LineSeries::new(points, style))?
                .label(line.name.as_str())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE)
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}

#[allow(clippy::cast_precision_loss)] // at most the minutes of a day
fn hour(minute: usize) -> f64 {
    minute as f64 / f64::from(HOUR / MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_plot_has_each_line_and_its_name() {
        let line = |name: &str| Line { name: name.to_owned(), minutes: vec![0.0, 2.0, 1.0] };
        let svg = line_plot("calls", "a second", &[line("first"), line("second")]).unwrap();
        assert!(svg.contains("first") && svg.contains("second") && svg.contains("calls"));
        assert_eq!(svg.matches("#0B7A53").count(), 2, "the line and its legend");
        assert_eq!(svg.matches("#A07030").count(), 2);
    }
}
