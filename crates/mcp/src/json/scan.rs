//! `LineScanner`: counts the values of a line of JSON and classifies the line, before it is parsed.

use serde_json::Value;

use super::trailing::trailing_id;

/// The maximum number of values in a line. A parsed value takes some hundred bytes, whatever it is.
const MAX_NODES: usize = 1_000_000;
/// The maximum nesting depth, which is also the parser's limit.
const MAX_DEPTH: usize = 127;
/// The maximum length of an id, and of a key that is compared.
const MAX_TOKEN_LEN: usize = 128;
/// The number of bytes kept from the end of a line: enough for an id and the members next to it.
const MAX_TAIL: usize = 256;

/// The member of the message that a value at the top level belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Member {
    #[default]
    Other,
    Id,
    /// `result` or `error`.
    Outcome,
}

/// The kind and the id of a message that cannot be read.
#[derive(Debug, PartialEq)]
pub(super) struct Meant {
    /// `None` if the line ends before the id or the id was lost.
    pub(super) id: Option<Value>,
    /// Whether the message is a request rather than a response.
    pub(super) is_request: bool,
}

/// Scans a line in chunks of any size. The line need not be valid JSON: only strings, brackets, commas and colons
/// matter.
#[derive(Debug, Default)]
pub(super) struct LineScanner {
    depth: usize,
    max_depth: usize,
    nodes: usize,
    in_string: bool,
    is_escaped: bool,
    /// The text of a string or bare value at the top level.
    token: Vec<u8>,
    member: Member,
    id: Option<Vec<u8>>,
    has_method: bool,
    has_version: bool,
    /// Whether `result` or `error` is an object or array. In MCP it always is; in logs it often is not.
    has_outcome: bool,
    /// The first byte that is not white space.
    first: Option<u8>,
    /// Whether the first bracket is closed. Text after it is not part of the message.
    is_closed: bool,
    /// Whether text follows the message.
    has_more: bool,
    tail: Vec<u8>,
}

impl LineScanner {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.scan_byte(byte));
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(MAX_TAIL)..]);
        self.tail.drain(..self.tail.len().saturating_sub(MAX_TAIL));
    }

    fn scan_byte(&mut self, byte: u8) {
        if self.in_string {
            self.scan_string_byte(byte);
            return;
        }
        if !byte.is_ascii_whitespace() {
            self.first.get_or_insert(byte);
            self.has_more |= self.is_closed;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.start_token();
                self.push_token_byte(byte);
            }
            b'{' | b'[' => {
                self.has_outcome |= self.is_top() && self.member == Member::Outcome;
                self.depth += 1;
                self.max_depth = self.max_depth.max(self.depth);
                self.nodes += 1;
            }
            b'}' | b']' => {
                self.end_value();
                self.is_closed |= self.depth == 1;
                self.depth = self.depth.saturating_sub(1);
            }
            b',' => self.end_value(),
            b':' if self.is_top() => self.end_key(),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.push_token_byte(byte),
        }
    }

    fn scan_string_byte(&mut self, byte: u8) {
        self.push_token_byte(byte);
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
    }

    /// Whether the position is directly inside the brackets of the message.
    fn is_top(&self) -> bool {
        self.depth == 1 && !self.is_closed
    }

    fn end_key(&mut self) {
        self.member = match self.token.as_slice() {
            b"\"id\"" => Member::Id,
            b"\"result\"" | b"\"error\"" => Member::Outcome,
            _ => Member::Other,
        };
        self.has_method |= self.token == b"\"method\"";
        self.has_version |= self.token == b"\"jsonrpc\"";
        self.token.clear();
    }

    /// Handles the end of a value, at a comma or a closing bracket.
    fn end_value(&mut self) {
        self.nodes += 1;
        if self.is_top() && std::mem::take(&mut self.member) == Member::Id {
            self.id = Some(std::mem::take(&mut self.token));
        }
        if self.depth <= 1 {
            self.token.clear();
        }
    }

    fn start_token(&mut self) {
        if self.depth == 1 {
            self.token.clear();
        }
    }

    fn push_token_byte(&mut self, byte: u8) {
        if self.depth == 1 && self.token.len() < MAX_TOKEN_LEN {
            self.token.push(byte);
        }
    }

    /// Returns which limit the line exceeds, if any.
    pub(super) fn exceeded_limit(&self) -> Option<&'static str> {
        if self.nodes > MAX_NODES {
            Some("holds more than 1,000,000 values")
        } else if self.max_depth > MAX_DEPTH {
            Some("is nested more than 127 levels deep")
        } else {
            None
        }
    }

    /// Classifies a line that cannot be parsed; returns `None` if it is not a message that needs a reply.
    ///
    /// The log of a server may be JSON with ids, and may quote a message after other text. Therefore a message must
    /// start at the beginning of the line, and a response must have `jsonrpc`, `result` or `error`. An id directly
    /// inside the brackets of the message belongs to the message. If quotation marks or brackets do not match, there
    /// may be no such id, and the end of the line is searched instead. A complete message without an id is a
    /// notification, or a response to a notification, and needs no reply.
    pub(super) fn meant_as(&self) -> Option<Meant> {
        if self.first != Some(b'{') {
            return None;
        }
        let is_whole = self.is_closed && !self.has_more && !self.in_string;
        let (id, has_version) = match (&self.id, trailing_id(&self.tail)) {
            (Some(id), _) => (Some(read_id(id)?), self.has_version),
            (None, Some(trailing)) => (Some(trailing.id), self.has_version || trailing.has_version),
            (None, None) if is_whole => return None,
            (None, None) => (None, self.has_version),
        };
        let is_response = self.has_outcome || (has_version && id.is_some());
        (self.has_method || is_response).then_some(Meant { id, is_request: self.has_method })
    }
}

/// Parses an id; returns `None` unless it is a number or a string.
pub(super) fn read_id(text: &[u8]) -> Option<Value> {
    let id: Value = serde_json::from_slice(text).ok()?;
    (id.is_string() || id.is_i64() || id.is_u64()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn scan_text(text: &str) -> LineScanner {
        let mut scan = LineScanner::default();
        scan.push(text.as_bytes());
        scan
    }

    fn response(id: Value) -> Option<Meant> {
        Some(Meant { id: Some(id), is_request: false })
    }

    fn request(id: Value) -> Option<Meant> {
        Some(Meant { id: Some(id), is_request: true })
    }

    #[test]
    fn scan_between_its_brackets_finds_the_id() {
        for (text, meant) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"id":8}}"#, response(json!(7))),
            (r#"{"result":{"id":8,"x":[{"id":9}]},"id": "a,\"}b" }"#, response(json!("a,\"}b"))),
            (r#"{"result":{"value":NaN},"id":3}"#, response(json!(3))),
            (r#"{"error":{"message":"\ud83d"},"id":4}"#, response(json!(4))),
            (r#"{"id":1,"method":"x"}"#, request(json!(1))),
            (r#"{"id":1,"result":{"method":"x"}}"#, response(json!(1))),
            // The rest of the line is lost.
            (r#"{"jsonrpc":"2.0","id":7,"result":{"items":[{"a":1,"id":3}"#, response(json!(7))),
            // What follows the message is not part of it.
            (r#"{"jsonrpc":"2.0","id":7,"result":{}}{"id":8}"#, response(json!(7))),
            (r#"{"jsonrpc":"2.0","result":{}},"x":{"id":3},"id":7}"#, response(json!(7))),
        ] {
            assert_eq!(scan_text(text).meant_as(), meant, "{text}");
        }
    }

    #[test]
    fn scan_out_of_balance_finds_the_id_at_the_end() {
        let lost = |is_request| Some(Meant { id: None, is_request });
        for (text, meant) in [
            (r#"{"jsonrpc":"2.0","result":{"content":[{"text":"abc ...,"id":7}"#, response(json!(7))),
            (r#"{"result":{"content":[{"text":"abc,"jsonrpc":"2.0","id":7}"#, response(json!(7))),
            (r#"{"jsonrpc":"2.0","result":{"content":[{"a":1,"id":"x"}"#, response(json!("x"))),
            (r#"{"jsonrpc":"2.0","error":{"code":1,"message":"a"b", "id": 7 }"#, response(json!(7))),
            (r#"{"method":"x","params":{"a":"abc ...,"jsonrpc":"2.0","id":5}"#, request(json!(5))),
            // The id is lost.
            (r#"{"jsonrpc":"2.0","result":{"content":[{"text":"abc"#, lost(false)),
            (r#"{"result":{"items":[{"id":7}"#, lost(false)),
            (r#"{"error":{"message":"#, lost(false)),
            (r#"{"jsonrpc":"2.0","method":"x","params":{"#, lost(true)),
            (r#"{"jsonrpc":"2.0","result":{"a":1},"id":7"#, lost(false)),
        ] {
            assert_eq!(scan_text(text).meant_as(), meant, "{text}");
        }
    }

    #[test]
    fn scan_of_noise_finds_no_message() {
        for text in [
            "",
            "Hello!",
            r#"[{"id":1,"result":{}}]"#,
            r#"{"note":"\"id\":5"}"#,
            // Logs.
            r#"{"level":"info","id":7,"took":NaN}"#,
            r#"{"level":"info","message":"said "hi","id":7}"#,
            r#"{"level":"error","error":"said "hi","id":7}"#,
            r#"{"level":"info","payload":{"jsonrpc":"2.0","result":{},"id":7}"#,
            r#"sent {"jsonrpc":"2.0","id":7,"result":{}}"#,
            r#"sent {"jsonrpc":"2.0","result":{"a":"b,"id":7}"#,
            // A response that belongs to no request.
            r#"{"jsonrpc":"2.0","result":{"value":NaN}}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"value":NaN}}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"value":"#,
            // A notification.
            r#"{"jsonrpc":"2.0","method":"x","params":{"value":NaN}}"#,
        ] {
            assert_eq!(scan_text(text).meant_as(), None, "{text}");
        }
    }

    #[test]
    fn line_scanner_reports_exceeded_limits() {
        assert_eq!(scan_text(&format!("[{}1]", "1,".repeat(MAX_NODES - 2))).exceeded_limit(), None);
        assert!(
            scan_text(&format!("[{}1]", "{},".repeat(MAX_NODES)))
                .exceeded_limit()
                .unwrap()
                .contains("values")
        );
        assert_eq!(scan_text(&"[".repeat(MAX_DEPTH)).exceeded_limit(), None);
        assert!(scan_text(&"[".repeat(MAX_DEPTH + 1)).exceeded_limit().unwrap().contains("levels"));
        assert_eq!(
            scan_text(&format!("{:?}", "[{,".repeat(10_000))).exceeded_limit(),
            None,
            "strings do not count"
        );
    }

    proptest! {
        #[test]
        fn line_scanner_result_is_independent_of_chunks(text in r#"[{}\[\],:"\\id0-9 ]{0,80}"#, at in 0_usize..80) {
            let (at, mut pieces) = (at.min(text.len()), LineScanner::default());
            pieces.push(&text.as_bytes()[..at]);
            pieces.push(&text.as_bytes()[at..]);
            prop_assert_eq!(format!("{:?}", pieces), format!("{:?}", scan_text(&text)));
        }

        #[test]
        fn line_scanner_counts_all_values_of_valid_json(text in "[a-z\"\\\\]{0,20}", number in any::<i64>()) {
            let value = json!({"id": number, "x": [text, {"y": [null, true]}], "method": "m"});
            let scan = scan_text(&value.to_string());
            prop_assert_eq!(scan.meant_as(), request(json!(number)));
            prop_assert!(scan.nodes >= 8);
        }
    }
}
