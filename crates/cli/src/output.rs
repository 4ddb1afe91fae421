//! Writes the results of commands to standard output.

use std::borrow::Cow;
use std::io::Write;

use serde::Serialize;
use valetkey::escape_control_chars;

use crate::error::CliError;

/// Prints a value as indented JSON. Characters that would control a terminal are escaped as JSON has it.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::failed(error.to_string()))?;
    write_stdout(format!("{}\n", escape_json(&text)).as_bytes())
}

/// Prints a value as JSON on one line, escaped likewise.
pub(crate) fn print_json_line(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string(value).map_err(|error| CliError::failed(error.to_string()))?;
    write_stdout(format!("{}\n", escape_json(&text)).as_bytes())
}

/// Prints lines. Characters that would control a terminal are escaped.
pub(crate) fn print_lines<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> Result<(), CliError> {
    let mut text = String::new();
    for line in lines {
        text.push_str(&escape_control_chars(line.as_ref()));
        text.push('\n');
    }
    write_stdout(text.as_bytes())
}

/// Writes bytes as they are.
pub(crate) fn write_stdout(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| CliError::failed(format!("standard output cannot be written: {error}")))
}

/// Escapes every character of a JSON document that would control a terminal. JSON itself escapes only those below the
/// space.
pub(crate) fn escape_json(document: &str) -> String {
    let mut escaped = String::with_capacity(document.len());
    for line in document.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        for character in line.chars() {
            match escape_control_chars(character.encode_utf8(&mut [0; 4])) {
                Cow::Borrowed(same) => escaped.push_str(same),
                Cow::Owned(_) => escaped.push_str(&format!("\\u{:04x}", u32::from(character))),
            }
        }
        escaped.push_str(end);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_json_keeps_document_and_escapes_controls() {
        let seen = "\u{1b}[2J\u{7}\r\u{7f}\u{9b}\u{202e} and `é`";
        let document = serde_json::json!({"seen": seen});
        let escaped = escape_json(&format!("{document:#}"));
        assert!(!escaped.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}'), "{escaped:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).ok(), Some(document));
    }
}
