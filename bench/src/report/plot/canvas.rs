//! `Canvas`: an SVG under construction, in pixels, with a logarithmic scale.

use plotters::coord::Shift;
use plotters::element::{Circle, PathElement, Text};
use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, IntoTextStyle, RGBColor, ShapeStyle};

use crate::Result;

pub(super) struct Canvas<'a>(DrawingArea<SVGBackend<'a>, Shift>);

/// Where a text stands, and which side of it is there.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) side: HPos,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(svg: &'a mut String, width: u32, height: u32) -> Self {
        Self(SVGBackend::with_string(svg, (width, height)).into_drawing_area())
    }

    pub(super) fn text(&self, text: &str, at: At, size: i32, colour: RGBColor) -> Result<()> {
        // The backend takes sizes of its own and writes pixels.
        let size = f64::from(size) * 1.24;
        let style = (FontFamily::SansSerif, size).into_text_style(&self.0).color(&colour);
        let style = style.pos(Pos::new(at.side, VPos::Center));
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

/// Values onto pixels, by their logarithm.
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: i32,
    to: i32,
}

impl Scale {
    /// Room for all values, from `from` to `to`.
    pub(super) fn over(values: impl Iterator<Item = f64> + Clone, from: i32, to: i32) -> Self {
        let positive = values.filter(|value| value.is_finite() && *value > 0.0);
        let low = positive.clone().fold(f64::INFINITY, f64::min).min(1e12);
        let high = positive.fold(low, f64::max);
        // A little air on both sides.
        Self { low: (low * 0.8).log10(), high: (high * 1.25).log10(), from, to }
    }

    /// Where a value stands; what is not positive stands at the low end.
    pub(super) fn at(&self, value: f64) -> i32 {
        let part = (value.max(f64::MIN_POSITIVE).log10() - self.low) / (self.high - self.low);
        self.from + (part.clamp(0.0, 1.0) * f64::from(self.to - self.from)).round() as i32
    }

    /// Ones, twos and fives where there is room for them, else powers of ten.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let steps: &[f64] = if self.high - self.low < 2.2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = self.low.floor() as i32..=self.high.ceil() as i32;
        let all = decades.flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)));
        all.filter(|tick| (self.low..=self.high).contains(&tick.log10())).collect()
    }
}
