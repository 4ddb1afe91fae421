//! SVG plots. Each colour is a key: the page's style sheet maps it to a colour for a light or a dark screen.

mod canvas;
mod dot_plot;
mod line_plot;

pub(super) use self::dot_plot::dot_plot;
pub(super) use self::line_plot::{PlotLine, line_plot};

use plotters::style::RGBColor;

/// The colour of text.
const TEXT_COLOUR: RGBColor = RGBColor(0x10, 0x10, 0x10);
/// The colour of secondary text.
const MUTED_COLOUR: RGBColor = RGBColor(0x60, 0x60, 0x60);
/// The colour of grid lines.
const GRID_COLOUR: RGBColor = RGBColor(0xD0, 0xD0, 0xD0);
const VALETKEY_COLOUR: RGBColor = RGBColor(0x0B, 0x7A, 0x53);
const PEER_COLOUR: RGBColor = RGBColor(0x4B, 0x63, 0xB5);
const LIMIT_COLOUR: RGBColor = RGBColor(0xA0, 0x70, 0x30);

/// The style sheet that maps the colours.
pub(super) const PLOT_STYLE: &str = "
svg { display: block; width: 100%; max-width: 860px; height: auto; margin: 1.2rem 0; }
svg text { font-family: inherit; }
svg [fill='#101010'] { fill: var(--ink); } svg [stroke='#101010'] { stroke: var(--ink); }
svg [fill='#606060'] { fill: var(--muted); } svg [stroke='#606060'] { stroke: var(--muted); }
svg [fill='#D0D0D0'] { fill: var(--grid); } svg [stroke='#D0D0D0'] { stroke: var(--grid); }
svg [fill='#0B7A53'] { fill: var(--ours); } svg [stroke='#0B7A53'] { stroke: var(--ours); }
svg [fill='#4B63B5'] { fill: var(--peer); } svg [stroke='#4B63B5'] { stroke: var(--peer); }
svg [fill='#A07030'] { fill: var(--limit); } svg [stroke='#A07030'] { stroke: var(--limit); }
";

/// Returns the colour of a subject: valetkey, another cache, or a lower bound.
fn subject_colour(subject: &str) -> RGBColor {
    let is_limit = crate::subjects::LIMITS.contains(&subject);
    if subject.starts_with("valetkey") {
        VALETKEY_COLOUR
    } else if is_limit {
        LIMIT_COLOUR
    } else {
        PEER_COLOUR
    }
}
