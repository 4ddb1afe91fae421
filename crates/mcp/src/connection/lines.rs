//! Lines of JSON from a program that may print anything else in between: noise is skipped and holds nothing up.

use std::io;

use serde_json::Value;
use tokio_util::bytes::{Buf, BytesMut};
use tokio_util::codec::Decoder;

/// The longest line that is read, in bytes. A longer one is dropped, and its request never answered.
const LONGEST: usize = 64 * 1024 * 1024;

/// Decodes one JSON object a line, and nothing else.
#[derive(Default)]
pub(super) struct JsonLines {
    /// How much of the buffer is known to hold no end of line.
    searched: usize,
    /// In the middle of a line that is too long.
    dropping: bool,
}

impl Decoder for JsonLines {
    type Item = Value;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Value>> {
        while let Some(end) = buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
            let line = buffer.split_to(self.searched + end + 1);
            self.searched = 0;
            let dropped = std::mem::take(&mut self.dropping);
            if let Some(object) = object(&line).filter(|_| !dropped) {
                return Ok(Some(object));
            }
        }
        self.searched = buffer.len();
        if self.searched > LONGEST {
            buffer.advance(self.searched);
            (self.searched, self.dropping) = (0, true);
        }
        Ok(None)
    }

    /// A last line may lack its end.
    fn decode_eof(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Value>> {
        if let Some(object) = self.decode(buffer)? {
            return Ok(Some(object));
        }
        let line = buffer.split();
        self.searched = 0;
        Ok(object(&line).filter(|_| !self.dropping))
    }
}

fn object(line: &[u8]) -> Option<Value> {
    serde_json::from_slice(line).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<Value> {
        let (mut lines, mut buffer, mut read) = (JsonLines::default(), BytesMut::new(), Vec::new());
        for chunk in chunks {
            buffer.extend_from_slice(chunk);
            while let Some(value) = lines.decode(&mut buffer).unwrap() {
                read.push(value);
            }
        }
        while let Some(value) = lines.decode_eof(&mut buffer).unwrap() {
            read.push(value);
        }
        read
    }

    #[test]
    fn noise_before_between_and_after_is_skipped() {
        let expected = [serde_json::json!({"a": 1}), serde_json::json!({"b": "\n"})];
        let text = b"Hello!\n\n[1]\n\xff\xfe\n{\"a\": 1}\r\n{\"a\": \n \"text\"\n{\"b\": \"\\n\"}";
        assert_eq!(read(&[text]), expected);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(read(&bytes), expected);
    }

    #[test]
    fn a_line_that_is_too_long_is_dropped_and_the_next_one_read() {
        let long = vec![b' '; LONGEST + 1];
        let chunks: [&[u8]; 3] = [b"{\"a\":", &long, b"1}\n{\"b\": 2}\n"];
        assert_eq!(read(&chunks), [serde_json::json!({"b": 2})]);
    }
}
