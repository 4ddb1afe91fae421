//! `AuditLine`: one line of an audit file, read leniently: of this release, an earlier or a later one.

use std::io::{self, BufRead, Read};

use serde::Deserialize;

/// Limit on a line, in bytes. A record of valetkey has less than a kilobyte.
const MAX_LINE: u64 = 1 << 20;

/// The parts of a record that a report shows.
#[derive(Debug, Deserialize)]
pub(super) struct AuditLine {
    pub(super) at: String,
    pub(super) session: String,
    pub(super) principal: Option<String>,
    pub(super) event: String,
    pub(super) account: Option<String>,
    pub(super) component: Option<String>,
    pub(super) key_suffix: Option<String>,
    pub(super) expires_at: Option<String>,
    pub(super) failure: Option<String>,
    pub(super) narrow: Option<NarrowLine>,
    pub(super) request: Option<RequestLine>,
    pub(super) decided_by: Option<String>,
}

/// The restrictions of a narrowed session.
#[derive(Debug, Deserialize)]
pub(super) struct NarrowLine {
    pub(super) child: String,
    #[serde(default)]
    pub(super) accounts: Vec<String>,
    pub(super) policy: Option<String>,
}

/// A request to AWS.
#[derive(Debug, Deserialize)]
pub(super) struct RequestLine {
    pub(super) service: Option<String>,
    pub(super) operation: Option<String>,
    pub(super) region: Option<String>,
    pub(super) status: Option<u16>,
    #[serde(default)]
    pub(super) request_bytes: u64,
    #[serde(default)]
    pub(super) response_bytes: u64,
}

/// Reads the records of a file, one at a time.
pub(super) struct RecordLines<R> {
    reader: R,
    number: u64,
    line: Vec<u8>,
}

impl<R: BufRead> RecordLines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, number: 0, line: Vec::new() }
    }

    /// Returns the number of the next line that is not blank, and its record, or `None` instead of a record if it holds
    /// none. A line over the limit is read past, and never kept.
    pub(super) fn next_record(&mut self) -> io::Result<Option<(u64, Option<AuditLine>)>> {
        loop {
            self.line.clear();
            self.number += 1;
            let length = self.reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut self.line)?;
            if length == 0 {
                return Ok(None);
            }
            let is_whole = self.line.ends_with(b"\n") || !self.skip_rest_of_line()?;
            if !self.line.trim_ascii().is_empty() {
                let record = if is_whole { serde_json::from_slice(&self.line).ok() } else { None };
                return Ok(Some((self.number, record)));
            }
        }
    }

    /// Returns whether there was a rest.
    fn skip_rest_of_line(&mut self) -> io::Result<bool> {
        let mut skipped = false;
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(skipped);
            }
            skipped = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(buffer.len(), |end| end + 1);
            self.reader.consume(length);
            if end.is_some() {
                return Ok(skipped);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &[u8]) -> Vec<(u64, bool)> {
        let mut lines = RecordLines::new(io::BufReader::with_capacity(7, text));
        let next = || lines.next_record().unwrap().map(|(number, record)| (number, record.is_some()));
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn next_record_damaged_line_costs_that_line() {
        let record = r#"{"at":"2026-11-28T12:00:00Z","session":"s","event":"close"}"#;
        let long = "x".repeat(usize::try_from(MAX_LINE).unwrap() + 20);
        let text = format!("{record}\n\n{{\"at\":\n{long}\n{record}\n\u{0}\n{record}");
        let expected = [(1, true), (3, false), (4, false), (5, true), (6, false), (7, true)];
        assert_eq!(numbers(text.as_bytes()), expected);
        assert_eq!(numbers(b""), []);
        assert_eq!(numbers(b"\xff\n"), [(1, false)]);
    }
}
