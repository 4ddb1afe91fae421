//! `JsonLines`: writes one JSON object per line to a writer of the host.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use parking_lot::Mutex;

use super::{AuditRecord, AuditSink};

/// Writes each record as one line of JSON and flushes it. A writer error is reported through `tracing` and does not
/// fail the session: a lost audit record must not stop the agent's work.
///
/// A record is passed to the writer in one piece, so that processes which append to the same file do not mix their
/// lines. If only a part of it could be written, the next record begins on a new line: the torn line is not JSON, and
/// every other line is complete.
pub struct JsonLines<W> {
    lines: Mutex<LineWriter<W>>,
}

struct LineWriter<W> {
    writer: W,
    /// Whether the last line was only partly written.
    partial_line: bool,
}

impl<W: Write + Send> JsonLines<W> {
    /// Creates a sink that writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self { lines: Mutex::new(LineWriter { writer, partial_line: false }) }
    }

    /// Creates a sink for a `writer` whose last line is incomplete, because the process that wrote it was killed or
    /// the disk was full.
    pub fn after_partial_line(writer: W) -> Self {
        Self { lines: Mutex::new(LineWriter { writer, partial_line: true }) }
    }
}

impl<W: Write> LineWriter<W> {
    fn write_record(&mut self, record: &AuditRecord) -> io::Result<()> {
        let mut line = if self.partial_line { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut line, record)?;
        line.push(b'\n');
        self.write_line(&line)?;
        self.writer.flush()
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let mut rest = line;
        while !rest.is_empty() {
            match self.writer.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    self.partial_line = !rest.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<W: Write + Send> AuditSink for JsonLines<W> {
    fn record(&self, record: &AuditRecord) {
        let mut lines = self.lines.lock();
        if let Err(error) = lines.write_record(record) {
            tracing::error!(%error, event = ?record.event, "audit record lost");
        }
    }
}

impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").finish_non_exhaustive()
    }
}
