//! `printable`: escapes characters that control a terminal or a log.

use std::borrow::Cow;
use std::fmt::Write;

/// Returns `text` on one line. Characters that would control a terminal, begin a line of a log or change the direction
/// of writing are escaped: `\u{1b}` for an escape, `\u{a}` for a line break. Tabs stay.
///
/// Use it for all text from a server, a file or a user that is written to a terminal or a log.
///
/// # Examples
/// ```
/// # use valetkey_core::escape_control_chars;
/// assert_eq!(escape_control_chars("a name"), "a name");
/// assert_eq!(escape_control_chars("\x1b[2Ja\rname\u{202e}"), r"\u{1b}[2Ja\u{d}name\u{202e}");
/// ```
#[must_use]
pub fn escape_control_chars(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control_or_bidi) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_control_or_bidi(character) {
            // Writing to a string does not fail.
            let _ok = write!(escaped, "{}", character.escape_unicode());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Returns whether a character is a control character except tab, a line or paragraph separator, or a mark of the
/// direction of writing (Unicode, *Bidirectional Algorithm*).
fn is_control_or_bidi(character: char) -> bool {
    let is_bidi_or_separator = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    is_bidi_or_separator || (character.is_control() && character != '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_control_chars_escapes_only_controls() {
        let controls = ('\0'..=' ').chain('\x7f'..='\u{a0}').filter(|c| c.is_control() && *c != '\t');
        for control in controls.chain(['\u{61c}', '\u{200e}', '\u{2028}', '\u{202e}', '\u{2066}', '\u{2069}'])
        {
            let text = format!("a{control}b");
            assert_eq!(escape_control_chars(&text), format!("a{}b", control.escape_unicode()));
        }
        let text = "naïve\t日本語 שלום 👍🏽 \\u{1b} [31m";
        assert!(matches!(escape_control_chars(text), Cow::Borrowed(same) if same == text));
    }
}
