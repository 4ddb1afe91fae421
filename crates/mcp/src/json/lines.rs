//! `JsonLineDecoder`: decodes messages from a program that may also print other text.
//!
//! Other text is skipped. A message that cannot be read is reported, with its id if the id can be recovered, so that no
//! caller waits for it.

use std::io;

use serde_json::Value;
use tokio_util::bytes::{Buf, BytesMut};
use tokio_util::codec::Decoder;

use super::exact::mark_numbers;
use super::repair::repair_text;
use super::scan::{LineScanner, Meant};

/// The maximum length of a line, in bytes.
const MAX_LINE_LEN: usize = 16 * 1024 * 1024;

/// The content of a line.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    /// A JSON object.
    Message(Value),
    /// A message that cannot be read.
    Unreadable(UnreadableMessage),
}

/// A message that is too large, or is not valid JSON.
#[derive(Debug, PartialEq)]
pub(crate) struct UnreadableMessage {
    /// The id; `None` if the line ends before the id or the id was lost.
    pub(crate) id: Option<Value>,
    /// Whether the message has a method, that is, is a request rather than a response.
    pub(crate) is_request: bool,
    /// Why the message cannot be read. Contains nothing of its content.
    pub(crate) reason: String,
}

/// Decodes one JSON object per line. Limits are checked before a line is parsed.
#[derive(Default)]
pub(crate) struct JsonLineDecoder {
    /// The length of the scanned start of the buffer, which contains no end of line.
    scanned: usize,
    scanner: LineScanner,
    /// Whether the current line is too long and its remainder is being dropped.
    is_dropping: bool,
}

impl Decoder for JsonLineDecoder {
    type Item = Line;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Line>> {
        while let Some(length) = buffer[self.scanned..].iter().position(|&byte| byte == b'\n') {
            let end = self.scanned + length;
            self.scanner.push(&buffer[self.scanned..end]);
            let line = buffer.split_to(end + 1);
            if let Some(line) = self.finish_line(&line) {
                return Ok(Some(line));
            }
        }
        self.scanner.push(&buffer[self.scanned..]);
        self.scanned = buffer.len();
        if self.is_dropping || self.scanned > MAX_LINE_LEN {
            buffer.advance(self.scanned);
            (self.scanned, self.is_dropping) = (0, true);
        }
        Ok(None)
    }

    /// Also decodes a last line without an end of line.
    fn decode_eof(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Line>> {
        if let Some(line) = self.decode(buffer)? {
            return Ok(Some(line));
        }
        let line = buffer.split();
        Ok(self.finish_line(&line))
    }
}

impl JsonLineDecoder {
    /// Decodes a complete line, which has been scanned.
    fn finish_line(&mut self, line: &[u8]) -> Option<Line> {
        let scan = std::mem::take(&mut self.scanner);
        self.scanned = 0;
        let excess = if std::mem::take(&mut self.is_dropping) {
            Some("is longer than 16 MiB")
        } else {
            scan.exceeded_limit()
        };
        let reason = match excess {
            Some(excess) => excess.to_owned(),
            None => match parse_line(line) {
                Ok(value) => return Some(value).filter(Value::is_object).map(Line::Message),
                Err(reason) => reason,
            },
        };
        let Meant { id, is_request } = scan.meant_as()?;
        Some(Line::Unreadable(UnreadableMessage { id, is_request, reason }))
    }
}

/// Parses a whole document within the limits of a line. The error contains nothing of the document.
#[cfg(feature = "http")]
pub(crate) fn read_document(text: &[u8]) -> Result<Value, String> {
    let mut scanner = LineScanner::default();
    scanner.push(text);
    match scanner.exceeded_limit() {
        Some(excess) => Err(excess.to_owned()),
        None => parse_line(text),
    }
}

/// Parses a line, after a repair if needed. The error contains only the position.
fn parse_line(line: &[u8]) -> Result<Value, String> {
    // The parser counts columns from the last end of line, so a trailing one must be removed.
    let line = line.trim_ascii_end();
    let repaired;
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(_) => {
            repaired = repair_text(line);
            &repaired
        }
    };
    let read = |text: &str| match mark_numbers(text) {
        Some(marked) => serde_json::from_str(&marked),
        None => serde_json::from_str(text),
    };
    read(text)
        .or_else(|_| read(&repair_text(text.as_bytes())))
        .map_err(|error| format!("is not valid JSON at column {}", error.column()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decode_all(chunks: &[&[u8]]) -> Vec<Line> {
        let (mut lines, mut buffer, mut read) = (JsonLineDecoder::default(), BytesMut::new(), Vec::new());
        for chunk in chunks {
            buffer.extend_from_slice(chunk);
            while let Some(line) = lines.decode(&mut buffer).unwrap() {
                read.push(line);
            }
        }
        while let Some(line) = lines.decode_eof(&mut buffer).unwrap() {
            read.push(line);
        }
        read
    }

    #[test]
    fn line_decoder_noise_between_messages_is_skipped() {
        let expected = [Line::Message(json!({"a": 1})), Line::Message(json!({"b": "\n"}))];
        let text = b"Hello!\n\n[1]\n\xff\xfe\n{\"a\": 1}\r\n{\"a\": \n \"text\"\n{\"b\": \"\\n\"}";
        assert_eq!(decode_all(&[text]), expected);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(decode_all(&bytes), expected);
    }

    #[test]
    fn line_decoder_lone_surrogate_is_repaired() {
        let text = br#"{"id":1,"result":{"text":"a\ud83d"}}"#;
        assert_eq!(decode_all(&[text]), [Line::Message(json!({"id": 1, "result": {"text": "a\u{fffd}"}}))]);
    }

    #[test]
    fn line_decoder_unreadable_message_is_reported_by_id() {
        let deep = format!(r#"{{"id":"x","result":{}}}"#, "[".repeat(200));
        for (text, id, is_request) in [
            (r#"{"id":1,"result":{"value":NaN}}"#, json!(1), false),
            (r#"{"result":{"value":Infinity},"id":2}"#, json!(2), false),
            (r#"{"id":3,"method":"tools/call","params":{"a":}}"#, json!(3), true),
            (&deep, json!("x"), false),
            (
                r#"{"jsonrpc":"2.0","result":{"content":[{"type":"text","text":"abc ...,"id":7}"#,
                json!(7),
                false,
            ),
        ] {
            let lines = decode_all(&[text.as_bytes(), b"\n{\"b\": 2}\n"]);
            let [Line::Unreadable(unreadable), Line::Message(_)] = &lines[..] else { panic!("{lines:?}") };
            assert_eq!((&unreadable.id, unreadable.is_request), (&Some(id), is_request), "{text}");
        }
    }

    #[test]
    fn line_cut_off_is_reported_with_its_column() {
        let lines = decode_all(&[b"{\"jsonrpc\":\"2.0\",\"result\":{\"a\":[\n"]);
        let reason = "is not valid JSON at column 32".to_owned();
        assert_eq!(lines, [Line::Unreadable(UnreadableMessage { id: None, is_request: false, reason })]);
    }

    #[test]
    fn line_decoder_overlong_line_is_reported_and_next_read() {
        let long = vec![b' '; MAX_LINE_LEN + 1];
        for chunks in [
            [&b"{\"id\":4,\"result\":{"[..], &long, b"}}\n{\"b\": 2}\n"],
            [b"{\"result\":{", &long, b"},\"id\":4}\n{\"b\": 2}\n"],
            [b"{\"result\":{\"a\":\"b", &long, b",\"id\":4}\n{\"b\": 2}\n"],
        ] {
            let lines = decode_all(&chunks);
            let [Line::Unreadable(unreadable), Line::Message(next)] = &lines[..] else { panic!("{lines:?}") };
            assert_eq!((&unreadable.id, next), (&Some(json!(4)), &json!({"b": 2})));
            assert!(unreadable.reason.contains("16 MiB"));
        }
    }
}
