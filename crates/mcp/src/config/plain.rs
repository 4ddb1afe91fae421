//! Converts JSON with comments and trailing commas to plain JSON of the same length, so that the positions in parse
//! errors match the file.

/// Returns the text with comments and trailing commas replaced by blanks. Its length in bytes and its line breaks are
/// unchanged. Syntax errors remain.
///
/// # Examples
/// ```
/// use valetkey_mcp::config::jsonc_to_json;
///
/// assert_eq!(jsonc_to_json("[1, 2,]"), "[1, 2 ]");
/// ```
///
/// A comment keeps its line breaks, so a parser reports the line and the column of the original text:
/// ```
/// use valetkey_mcp::config::jsonc_to_json;
///
/// let text = "{\n  \"a\": 1, // the first\n  \"b\": x\n}";
/// let plain = jsonc_to_json(text);
/// assert_eq!(plain.len(), text.len());
/// let error = serde_json::from_str::<serde_json::Value>(&plain).unwrap_err();
/// assert_eq!((error.line(), error.column()), (3, 8));
/// ```
#[must_use]
pub fn jsonc_to_json(text: &str) -> String {
    let mut plain = text.as_bytes().to_vec();
    if text.starts_with('\u{feff}') {
        plain[..3].fill(b' ');
    }
    let mut comma = None;
    let mut at = 0;
    while at < plain.len() {
        let end = match plain[at] {
            b'"' => find_string_end(&plain, at),
            b'/' if plain.get(at + 1) == Some(&b'/') => blank_comment(&mut plain, at, b"\n", 0),
            b'/' if plain.get(at + 1) == Some(&b'*') => blank_comment(&mut plain, at, b"*/", 2),
            _ => at + 1,
        };
        match plain[at] {
            b',' => comma = Some(at),
            b'}' | b']' => {
                if let Some(comma) = comma.take() {
                    plain[comma] = b' ';
                }
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        at = end;
    }
    // Always valid UTF-8: blanks replace whole characters only.
    String::from_utf8(plain).unwrap_or_else(|_| text.to_owned())
}

fn find_string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// Blanks a comment up to `end`, of which `included` bytes belong to it, and returns the index after the comment.
fn blank_comment(text: &mut [u8], start: usize, end: &[u8], included: usize) -> usize {
    let body = text.get(start + 2..).unwrap_or_default();
    let length = body.windows(end.len()).position(|window| window == end);
    let stop = length.map_or(text.len(), |length| start + 2 + length + included);
    for byte in text[start..stop].iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
    stop
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn jsonc_to_json_removes_comments_and_trailing_commas() {
        let text = "\u{feff}{ // one\n \"a\": [1, 2, /* ü,\n } */ ], \"b\": \"// no, \\\" /* comment\",\n}";
        let plain = jsonc_to_json(text);
        assert_eq!(plain.len(), text.len());
        assert_eq!(plain.matches('\n').count(), 3);
        let value: Value = serde_json::from_str(&plain).unwrap();
        assert_eq!(value, serde_json::json!({"a": [1, 2], "b": "// no, \" /* comment"}));
    }

    #[test]
    fn jsonc_to_json_keeps_syntax_errors() {
        for text in ["{\"a\": 1,, }", "{,}x", "[1 2]", "{\"a\" /* open", "{\"a\": \"open", "/", "[,]x"] {
            assert!(serde_json::from_str::<Value>(&jsonc_to_json(text)).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn jsonc_to_json_plain_json_is_unchanged(text in "\\PC{0,30}", number in any::<i32>()) {
            let json = serde_json::json!({ text.clone(): [number, text, {"a": null}] }).to_string();
            prop_assert_eq!(jsonc_to_json(&json), json);
        }

        #[test]
        fn jsonc_to_json_any_text_keeps_its_length(text in r#"[ {}\[\],:"\\/*a\nü]{0,60}"#) {
            prop_assert_eq!(jsonc_to_json(&text).len(), text.len());
        }
    }
}
