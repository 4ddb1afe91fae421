//! Preserves numbers that no machine word represents exactly, such as integers beyond 64 bits and long decimals.
//!
//! `serde_json` parses them as the nearest `f64` unless its feature `arbitrary_precision` is enabled, which changes how
//! every crate of a program parses numbers and breaks crates that buffer them. Such numbers are therefore parsed as
//! strings with a prefix of private-use characters, and written as numbers again. A peer that sends the prefix itself
//! gains nothing: only valid numbers are written without quotation marks.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};
use serde_json::{Serializer, Value};

/// Precedes the digits of an inexact number in its string. Private-use characters occur in hardly any other text.
const NUMBER_MARK: &str = "\u{e000}exact-number\u{e001}";

/// Returns the text with each inexact number replaced by a marked string, or `None` if it has no inexact number.
pub(super) fn mark_numbers(text: &str) -> Option<String> {
    let mut marked: Option<String> = None;
    let (mut copied, mut at) = (0, 0);
    let bytes = text.as_bytes();
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = find_string_end(bytes, at),
            b'-' | b'0'..=b'9' => {
                let end = find_number_end(bytes, at);
                if !is_exact(&text[at..end]) {
                    let out = marked.get_or_insert_default();
                    out.push_str(&text[copied..at]);
                    out.extend(["\"", NUMBER_MARK, &text[at..end], "\""]);
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    let mut marked = marked?;
    marked.push_str(&text[copied..]);
    Some(marked)
}

fn find_string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn find_number_end(bytes: &[u8], start: usize) -> usize {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    start + bytes[start..].iter().take_while(|byte| is_part(byte)).count()
}

/// Whether `serde_json` parses the number and writes the same digits. Invalid numbers are left to the parser, which
/// reports them.
fn is_exact(number: &str) -> bool {
    // Fast path for almost all numbers: an `f64` represents up to 15 digits exactly.
    if number.len() <= 15 && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    match serde_json::from_str::<serde_json::Number>(number) {
        Ok(read) => read.to_string() == number,
        // A number out of the range of `f64`.
        Err(_) => !is_json_number(number),
    }
}

/// Checks the number grammar of JSON.
fn is_json_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

/// Replaces marked strings with the nearest numbers, for callers that read values and do not write them as JSON.
pub(crate) fn round_numbers(value: &mut Value) {
    match value {
        Value::String(text) => {
            let number = text.strip_prefix(NUMBER_MARK).filter(|number| is_json_number(number));
            if let Some(number) = number.and_then(|number| serde_json::from_str(number).ok()) {
                *value = number;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(round_numbers),
        Value::Object(fields) => fields.values_mut().for_each(round_numbers),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Writes `value` as JSON, with marked strings as their original numbers.
pub(crate) fn write_exact(writer: impl io::Write, value: &impl Serialize) -> serde_json::Result<()> {
    let mut serializer = Serializer::with_formatter(writer, ExactFormatter::default());
    value.serialize(&mut serializer)
}

/// Writes a marked string without quotation marks and mark.
#[derive(Default)]
struct ExactFormatter {
    compact: CompactFormatter,
    /// Whether the opening quotation mark is deferred, because the string may be a marked one.
    is_quote_pending: bool,
    /// Whether a marked string is being written.
    is_in_number: bool,
}

impl Formatter for ExactFormatter {
    fn begin_string<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.is_quote_pending = true;
        Ok(())
    }

    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if std::mem::take(&mut self.is_quote_pending) {
            if let Some(number) = fragment.strip_prefix(NUMBER_MARK).filter(|number| is_json_number(number)) {
                self.is_in_number = true;
                return writer.write_all(number.as_bytes());
            }
            self.compact.begin_string(writer)?;
        }
        self.compact.write_string_fragment(writer, fragment)
    }

    fn write_char_escape<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        escape: serde_json::ser::CharEscape,
    ) -> io::Result<()> {
        if std::mem::take(&mut self.is_quote_pending) {
            self.compact.begin_string(writer)?;
        }
        self.compact.write_char_escape(writer, escape)
    }

    fn end_string<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        if std::mem::take(&mut self.is_in_number) {
            return Ok(());
        }
        if std::mem::take(&mut self.is_quote_pending) {
            self.compact.begin_string(writer)?;
        }
        self.compact.end_string(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(text: &str) -> String {
        let marked = mark_numbers(text);
        let value: Value = serde_json::from_str(marked.as_deref().unwrap_or(text)).unwrap();
        let mut written = Vec::new();
        write_exact(&mut written, &value).unwrap();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn write_exact_number_of_any_length_is_unchanged() {
        for text in [
            r#"{"z":12345678901234567890123,"a":[0.1,-0.30000000000000004441,1e400,1.10,1E5,-0]}"#,
            r#"{"text":"12345678901234567890123 \" 1e400 é\n","":1}"#,
            "[18446744073709551615,18446744073709551616,-9223372036854775809]",
            "3.141592653589793238462643383279",
        ] {
            assert_eq!(round_trip(text), text);
        }
    }

    #[test]
    fn mark_numbers_without_inexact_number_returns_none() {
        assert!(mark_numbers(r#"{"a":[1,-2,0.5,123456789012345],"b":"99999999999999999999"}"#).is_none());
    }

    #[test]
    fn round_numbers_returns_the_nearest_number() {
        let mut value: Value =
            serde_json::from_str(&mark_numbers("[12345678901234567890123]").unwrap()).unwrap();
        round_numbers(&mut value);
        assert_eq!(value[0].as_f64(), Some(1.2345678901234568e22));
    }

    #[test]
    fn write_exact_string_resembling_mark_stays_a_string() {
        for text in [r#""exact-number-0:12345678901234567890123""#, r#""\"""#, r#""""#] {
            assert_eq!(round_trip(text), text);
        }
        let forged = serde_json::to_string(&format!("{}]}} x", NUMBER_MARK)).unwrap();
        assert_eq!(round_trip(&forged), forged, "what is no number is never written bare");
    }

    proptest! {
        #[test]
        fn write_exact_valid_json_is_unchanged(whole in "(0|[1-9][0-9]{0,40})", fraction in "[0-9]{1,30}", text in "\\PC{0,20}") {
            let string = serde_json::to_string(&text).unwrap();
            let json = format!("{{\"a\":{whole},\"b\":[-{whole}.{fraction},{string}],\"c\":{whole}e-{whole}}}");
            prop_assert_eq!(round_trip(&json), json);
        }
    }
}
