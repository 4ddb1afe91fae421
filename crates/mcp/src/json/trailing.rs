//! Finds the id of a message at the end of its line, when quotation marks or brackets before it do not match.

use serde_json::Value;

use super::scan::read_id;

/// The id at the end of a line.
#[derive(Debug, PartialEq)]
pub(super) struct Trailing {
    pub(super) id: Value,
    /// Whether `jsonrpc` is next to the id.
    pub(super) has_version: bool,
}

/// Returns the id if it is the last member of the line, or the last member except `jsonrpc`.
///
/// A message ends like this: exactly one bracket ends the line, and another member precedes the id. A line that is cut
/// off after the id of a nested object may end in the same way, which is rare.
pub(super) fn trailing_id(line: &[u8]) -> Option<Trailing> {
    let members = before(line, "}")?;
    let (members, is_version_last) = match version(members).and_then(|members| before(members, ",")) {
        Some(members) => (members, true),
        None => (members, false),
    };
    let members = members.trim_ascii_end();
    let start = match members.split_last()? {
        (b'"', text) => text.iter().rposition(|&byte| byte == b'"')?,
        _ => members.iter().rposition(|byte| !matches!(byte, b'-' | b'0'..=b'9'))? + 1,
    };
    let id = read_id(&members[start..])?;
    let members = [":", "\"id\"", ","].into_iter().try_fold(&members[..start], before)?;
    Some(Trailing { id, has_version: is_version_last || version(members).is_some() })
}

/// Returns the text before `"jsonrpc":"2.0"`.
fn version(text: &[u8]) -> Option<&[u8]> {
    ["\"2.0\"", ":", "\"jsonrpc\""].into_iter().try_fold(text, before)
}

fn before<'a>(text: &'a [u8], token: &str) -> Option<&'a [u8]> {
    text.trim_ascii_end().strip_suffix(token.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn trailing_id_is_the_last_member() {
        for (line, id, has_version) in [
            (r#"abc,"id":7}"#, json!(7), false),
            (r#"abc , "id" : -7 } "#, json!(-7), false),
            (r#"abc,"id":"x-1"}"#, json!("x-1"), false),
            ("abc,\"id\":7}\r\n", json!(7), false),
            (r#"abc,"jsonrpc":"2.0","id":7}"#, json!(7), true),
            (r#"abc,"id":7,"jsonrpc": "2.0"}"#, json!(7), true),
        ] {
            assert_eq!(trailing_id(line.as_bytes()), Some(Trailing { id, has_version }), "{line}");
        }
    }

    #[test]
    fn trailing_id_of_something_else_is_none() {
        for line in [
            "",
            "}",
            r#"abc,"id":7"#,
            r#"abc,"id":7}}"#,
            r#"abc,"id":7},"x":1}"#,
            r#"abc,"id":}"#,
            r#"abc,"id":1.5}"#,
            r#"abc,"id":null}"#,
            r#"abc,"id":"a\"b"}"#,
            r#"abc,"uid":7}"#,
            // The only member of an object, which is not a message.
            r#"abc:{"id":7}"#,
            // Part of a string.
            r#"abc,\"id\":7}"#,
        ] {
            assert_eq!(trailing_id(line.as_bytes()), None, "{line}");
        }
    }
}
