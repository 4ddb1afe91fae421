//! `Scan`: counts what a line of JSON holds, and finds its id, before anything is parsed.

use serde_json::Value;

/// The most values in one line. A parsed value takes some hundred bytes whatever it is.
const MAX_NODES: usize = 1_000_000;
/// The deepest nesting; the parser's own limit.
const MAX_DEPTH: usize = 127;
/// The longest id, and the longest key that is compared.
const MAX_TOKEN: usize = 128;

/// Reads the bytes of a line as they come, in pieces of any size. It needs no valid JSON: only strings, brackets and
/// commas count.
#[derive(Debug, Default)]
pub(super) struct Scan {
    depth: usize,
    deepest: usize,
    nodes: usize,
    in_string: bool,
    is_escaped: bool,
    /// The text of a string or a bare value at the top level.
    token: Vec<u8>,
    /// The last string at the top level was the key `id`, or is not known yet.
    is_id: bool,
    id: Option<Vec<u8>>,
    has_method: bool,
}

impl Scan {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.step(byte));
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            self.string(byte);
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.start_token();
                self.keep(byte);
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.deepest = self.deepest.max(self.depth);
                self.nodes += 1;
            }
            b'}' | b']' => {
                self.end_value();
                self.depth = self.depth.saturating_sub(1);
            }
            b',' => self.end_value(),
            b':' if self.depth == 1 => {
                self.is_id = self.token == b"\"id\"";
                self.has_method |= self.token == b"\"method\"";
                self.token.clear();
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.keep(byte),
        }
    }

    fn string(&mut self, byte: u8) {
        self.keep(byte);
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
    }

    /// A value ends at a comma or a bracket.
    fn end_value(&mut self) {
        self.nodes += 1;
        if self.depth == 1 && std::mem::take(&mut self.is_id) {
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

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.token.len() < MAX_TOKEN {
            self.token.push(byte);
        }
    }

    /// What is beyond the limits, if anything is.
    pub(super) fn excess(&self) -> Option<&'static str> {
        if self.nodes > MAX_NODES {
            Some("holds more than 1,000,000 values")
        } else if self.deepest > MAX_DEPTH {
            Some("is nested more than 127 levels deep")
        } else {
            None
        }
    }

    /// The id of the message at the top level, if it is a number or a string.
    pub(super) fn id(&self) -> Option<Value> {
        let id: Value = serde_json::from_slice(self.id.as_ref()?).ok()?;
        (id.is_string() || id.is_i64() || id.is_u64()).then_some(id)
    }

    /// Whether the message has a method, which a response does not.
    pub(super) fn has_method(&self) -> bool {
        self.has_method
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn scan(text: &str) -> Scan {
        let mut scan = Scan::default();
        scan.push(text.as_bytes());
        scan
    }

    #[test]
    fn scan_finds_the_id_wherever_it_is() {
        for (text, id) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"id":8}}"#, Some(json!(7))),
            (r#"{"result":{"id":8,"x":[{"id":9}]},"id": "a,\"}b" }"#, Some(json!("a,\"}b"))),
            (r#"{"result":{"value":NaN},"id":3}"#, Some(json!(3))),
            (r#"{"result":"\ud83d","id":4}"#, Some(json!(4))),
            (r#"{"note":"\"id\":5","result":1}"#, None),
            (r#"{"id":null}"#, None),
            (r#"[{"id":1}]"#, None),
            ("", None),
        ] {
            assert_eq!(scan(text).id(), id, "{text}");
        }
        assert!(scan(r#"{"id":1,"method":"x"}"#).has_method());
        assert!(!scan(r#"{"id":1,"result":{"method":"x"}}"#).has_method());
    }

    #[test]
    fn scan_reports_too_many_values_and_too_deep_nesting() {
        assert_eq!(scan(&format!("[{}1]", "1,".repeat(MAX_NODES - 2))).excess(), None);
        assert!(scan(&format!("[{}1]", "{},".repeat(MAX_NODES))).excess().unwrap().contains("values"));
        assert_eq!(scan(&"[".repeat(MAX_DEPTH)).excess(), None);
        assert!(scan(&"[".repeat(MAX_DEPTH + 1)).excess().unwrap().contains("levels"));
        assert_eq!(scan(&format!("{:?}", "[{,".repeat(10_000))).excess(), None, "strings do not count");
    }

    proptest! {
        #[test]
        fn scan_in_pieces_equals_scan_at_once(text in r#"[{}\[\],:"\\id0-9 ]{0,80}"#, at in 0_usize..80) {
            let (at, mut pieces) = (at.min(text.len()), Scan::default());
            pieces.push(&text.as_bytes()[..at]);
            pieces.push(&text.as_bytes()[at..]);
            prop_assert_eq!(format!("{:?}", pieces), format!("{:?}", scan(&text)));
        }

        #[test]
        fn scan_counts_at_least_the_values_of_valid_json(text in "[a-z\"\\\\]{0,20}", number in any::<i64>()) {
            let value = json!({"id": number, "x": [text, {"y": [null, true]}], "method": "m"});
            let scan = scan(&value.to_string());
            prop_assert_eq!(scan.id(), Some(json!(number)));
            prop_assert!(scan.nodes >= 8);
        }
    }
}
