//! Repairs invalid JSON that JavaScript and Python programs write: unpaired surrogates, and bytes that are not UTF-8.
//!
//! `JSON.stringify` and `json.dumps` write half of a surrogate pair as an escape when a program has cut a text in two.
//! Parsers reject it, and with it the whole message. Each such half becomes the replacement character.

use std::borrow::Cow;

const HIGH_SURROGATES: std::ops::Range<u16> = 0xD800..0xDC00;
const LOW_SURROGATES: std::ops::Range<u16> = 0xDC00..0xE000;

/// Replaces each unpaired surrogate and each byte that is not UTF-8 with U+FFFD.
pub(super) fn repair_text(line: &[u8]) -> String {
    let text: Cow<'_, str> = String::from_utf8_lossy(line);
    let mut repaired = String::with_capacity(text.len());
    let mut rest: &str = &text;
    while let Some(at) = rest.find('\\') {
        repaired.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match parse_unicode_escape(rest) {
            Some(unit)
                if HIGH_SURROGATES.contains(&unit)
                    && parse_unicode_escape(&rest[6..]).is_some_and(|low| LOW_SURROGATES.contains(&low)) =>
            {
                repaired.push_str(&rest[..12]);
                12
            }
            Some(unit) if HIGH_SURROGATES.contains(&unit) || LOW_SURROGATES.contains(&unit) => {
                repaired.push_str("\\ufffd");
                6
            }
            Some(_) => {
                repaired.push_str(&rest[..6]);
                6
            }
            // Another escape: copy the backslash and the character after it.
            None => {
                let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                repaired.push_str(&rest[..length]);
                length
            }
        };
        rest = &rest[taken..];
    }
    repaired.push_str(rest);
    repaired
}

/// Returns the code unit of a `\uXXXX` escape at the start of `text`.
fn parse_unicode_escape(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repair_text_replaces_lone_surrogates_only() {
        for (text, repaired) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\ude00 \ud83d x""#, r#""\ufffd \ufffd x""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\\ud83d \" \u00e9 ü""#, r#""\\ud83d \" \u00e9 ü""#),
            (r#""\u12"#, r#""\u12"#),
            ("\\", "\\"),
            ("\\ü", "\\ü"),
        ] {
            assert_eq!(repair_text(text.as_bytes()), repaired, "{text}");
        }
        assert_eq!(repair_text(b"\"\xff\""), "\"\u{fffd}\"");
    }
}
