//! Prints results as JSON on standard output.

use std::io::Write;

use serde::Serialize;
use valetkey::escape_control_chars;

use crate::error::CliError;

/// Prints a value as indented JSON. Characters that would control a terminal are escaped as JSON has it.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::failed(error.to_string()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", escape_controls(&text))
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
