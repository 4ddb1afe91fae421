//! `Canvas`: an SVG under construction, in pixels, with a logarithmic scale.

use plotters::coord::Shift;
use plotters::element::{Circle, PathElement, Text};
use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, IntoTextStyle, RGBColor, ShapeStyle};

use crate::Result;

pub(super) struct Canvas<'a>(DrawingArea<SVGBackend<'a>, Shift>);

/// The position of a text, and which side of the text is there.
#[derive(Clone, Copy)]
pub(super) struct TextPosition {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) anchor: HPos,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(svg: &'a mut String, width: u32, height: u32) -> Self {
        Self(SVGBackend::with_string(svg, (width, height)).into_drawing_area())
    }

    pub(super) fn text(&self, text: &str, at: TextPosition, size: i32, colour: RGBColor) -> Result<()> {
        // The backend has its own unit for sizes and writes pixels.
        let size = f64::from(size) * 1.24;
        let style = (FontFamily::SansSerif, size).into_text_style(&self.0).color(&colour);
        let style = style.pos(Pos::new(at.anchor, VPos::Center));
        self.0
            .draw(&Text::new(text.to_owned(), (at.x, at.y), style))
            .map_err(|error| error.to_string().into())
    }

    pub(super) fn line(&self, points: Vec<(i32, i32)>, width: u32, colour: RGBColor) -> Result<()> {
        let style = ShapeStyle { color: colour.to_rgba(), filled: false, stroke_width: width };
        self.0.draw(&PathElement::new(points, style)).map_err(|error| error.to_string().into())
    }

    pub(super) fn dot(&self, x: i32, y: i32, radius: i32, colour: RGBColor) -> Result<()> {
        self.0.draw(&Circle::new((x, y), radius, colour.filled())).map_err(|error| error.to_string().into())
    }

    pub(super) fn finish(self) -> Result<()> {
        self.0.present().map_err(|error| error.to_string().into())
    }
}

/// Returns the maximum width of `text` in pixels: an upper bound for common sans-serif fonts, since the browser chooses
/// the font.
pub(super) fn text_width(text: &str, size: i32) -> i32 {
    let letters = i32::try_from(text.chars().count()).unwrap_or(i32::MAX);
    letters.saturating_mul(size * 62).saturating_div(100)
}

/// Returns the width of the widest of `texts`.
pub(super) fn max_text_width(texts: impl Iterator<Item = String>, size: i32) -> i32 {
    texts.map(|text| text_width(&text, size)).max().unwrap_or_default()
}

/// Maps values to pixels by their logarithm.
pub(super) struct LogScale {
    low: f64,
    high: f64,
    start: i32,
    end: i32,
}

impl LogScale {
    /// Creates a scale for all values, from pixel `from` to pixel `to`.
    pub(super) fn for_values(values: impl Iterator<Item = f64> + Clone, from: i32, to: i32) -> Self {
        let positive = values.filter(|value| value.is_finite() && *value > 0.0);
        let low = positive.clone().fold(f64::INFINITY, f64::min).min(1e12);
        let high = positive.fold(low, f64::max);
        // A small margin on both sides.
        Self { low: (low * 0.8).log10(), high: (high * 1.25).log10(), start: from, end: to }
    }

    /// Returns the position of a value. Values that are not positive are at the low end.
    pub(super) fn position(&self, value: f64) -> i32 {
        let part = (value.max(f64::MIN_POSITIVE).log10() - self.low) / (self.high - self.low);
        self.start + (part.clamp(0.0, 1.0) * f64::from(self.end - self.start)).round() as i32
    }

    /// Returns ticks at 1, 2 and 5 if there is space, else at powers of ten.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let steps: &[f64] = if self.high - self.low < 2.2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = self.low.floor() as i32..=self.high.ceil() as i32;
        let all = decades.flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)));
        all.filter(|tick| (self.low..=self.high).contains(&tick.log10())).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns the texts that exceed the edges of the picture with the widest expected letters.
    pub(in crate::report::plot) fn clipped_texts(svg: &str) -> Vec<String> {
        let width: f64 = attribute(svg, "width").unwrap();
        let texts = svg.split("<text ").skip(1);
        texts.filter_map(|text| clipped_text(text, width)).collect()
    }

    fn clipped_text(text: &str, width: f64) -> Option<String> {
        let (head, rest) = text.split_once('>')?;
        let content = rest.split('<').next()?.trim();
        let length = content.chars().count() as f64 * attribute::<f64>(head, "font-size")? * 0.62;
        let x: f64 = attribute(head, "x")?;
        let from = match attribute::<String>(head, "text-anchor")?.as_str() {
            "start" => x,
            "middle" => x - length / 2.0,
            _ => x - length,
        };
        (from < 0.0 || from + length > width).then(|| content.to_owned())
    }

    fn attribute<T: std::str::FromStr>(element: &str, name: &str) -> Option<T> {
        let start = element.find(&format!("{name}=\""))? + name.len() + 2;
        element[start..].split('"').next()?.parse().ok()
    }

    #[test]
    fn clipped_texts_finds_text_beyond_edges() {
        let mut svg = String::new();
        let canvas = Canvas::new(&mut svg, 200, 50);
        let at = TextPosition { x: 100, y: 20, anchor: HPos::Right };
        canvas.text("short", at, 14, RGBColor(0, 0, 0)).unwrap();
        canvas.text(&"long".repeat(20), at, 14, RGBColor(0, 0, 0)).unwrap();
        canvas.finish().unwrap();
        assert_eq!(clipped_texts(&svg), ["long".repeat(20)]);
    }
}
