//! Logging to standard error, never to standard output, with a maximum level for some targets.

use std::fmt::Debug;

use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::{Directive, FilterExt, filter_fn};
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};
use valetkey::escape_control_chars;

/// The maximum level of crates that log requests and responses, including secrets, at more detailed levels. Directives
/// for more detail have effect on all other crates.
const MAX_TARGET_LEVELS: &[(&str, Level)] = &[
    // `rmcp` logs whole messages as warnings when they arrive before the handshake; see
    // `valetkey::mcp::RMCP_LOG_DIRECTIVE`.
    ("rmcp", Level::ERROR),
    // They warn with whole responses, among them those that hold credentials and break off. Errors name the kind of failure.
    ("aws_config::meta", Level::ERROR),
    ("aws_config::profile::credentials", Level::ERROR),
    ("aws_config::sts", Level::ERROR),
    ("aws_config::web_identity_token", Level::ERROR),
    ("aws_", Level::INFO),
    ("hyper", Level::INFO),
    ("h2", Level::INFO),
    ("rustls", Level::INFO),
    ("axum", Level::INFO),
];

pub(crate) fn init(directives: &str, color: bool) {
    // An invalid directive may be a secret in the wrong place, so it is not repeated.
    let (read, invalid): (Vec<_>, Vec<_>) =
        directives.split(',').partition(|directive| directive.trim().parse::<Directive>().is_ok());
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into());
    let requested = filter.parse_lossy(read.join(","));
    let lines = fmt::layer().with_ansi(color).fmt_fields(printable_fields()).with_writer(std::io::stderr);
    // No other subscriber is installed: this function is called once, at the start.
    let _installed =
        registry().with(lines.with_filter(requested.and(filter_fn(is_level_allowed)))).try_init();
    if invalid.iter().any(|directive| !directive.trim().is_empty()) {
        tracing::warn!("`--log` (or VALETKEY_LOG) has a part that is neither a level nor `target=level`");
    }
}

/// Formats fields as the standard format does, without control characters: some of the text comes from servers.
fn printable_fields() -> impl for<'writer> fmt::FormatFields<'writer> {
    let write = |writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
        let text = format!("{value:?}");
        match field.name() {
            "message" => write!(writer, "{}", escape_control_chars(&text)),
            name => write!(writer, "{name}={}", escape_control_chars(&text)),
        }
    };
    debug_fn(write).delimited(" ")
}

fn is_level_allowed(event: &Metadata<'_>) -> bool {
    let floor = MAX_TARGET_LEVELS.iter().find(|(target, _)| event.target().starts_with(target));
    floor.is_none_or(|(_, floor)| event.level() <= floor)
}
