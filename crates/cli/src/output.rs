//! Writes the results of commands to standard output.

use std::io::Write;

use serde::Serialize;
use valetkey::escape_control_chars;

use crate::error::CliError;

/// Prints a value as indented JSON. Characters that would control a terminal are escaped as JSON has it.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::failed(error.to_string()))?;
    write_stdout(format!("{}\n", escape_controls(&text)).as_bytes())
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

/// Escapes the characters outside ASCII that control a terminal. Those of ASCII are escaped in JSON text already.
fn escape_controls(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        let is_control = !c.is_ascii() && escape_control_chars(c.encode_utf8(&mut [0; 4])) != c.to_string();
        if is_control {
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_controls_keeps_value_of_json() {
        let text = "a\u{1b}\u{9b}\u{202e}\nü";
        let json = serde_json::to_string_pretty(&[text]).unwrap();
        let escaped = escape_controls(&json);
        assert!(escaped.contains("\\u009b\\u202e") && escaped.contains('ü'), "{escaped}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&escaped).unwrap(), [text]);
    }
}
