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
///
/// The writer is called under a lock, by the task that caused the record: a slow one delays the session.
///
/// # Examples
/// ```
/// # use valetkey_core::SessionContext;
/// use valetkey_core::audit::{AuditSink, InMemoryAudit, JsonLines};
/// # let audit = std::sync::Arc::new(InMemoryAudit::default());
/// # SessionContext::builder().audit(audit.clone()).build().close();
/// # let records = audit.records();
///
/// let mut log = Vec::new();
/// let sink = JsonLines::new(&mut log);
/// records.iter().for_each(|record| sink.record(record));
/// drop(sink);
/// let line: serde_json::Value = serde_json::from_slice(&log).unwrap();
/// assert_eq!(line["event"], "close");
/// ```
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
    ///
    /// The writer need not be buffered: each record is one call of `write`, unless the writer takes only a part.
    pub fn new(writer: W) -> Self {
        Self { lines: Mutex::new(LineWriter { writer, partial_line: false }) }
    }

    /// Creates a sink for a `writer` whose last line is incomplete, because the process that wrote it was killed or
    /// the disk was full.
    ///
    /// The first record is written on a new line.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{SessionContext, audit::{AuditSink, InMemoryAudit, JsonLines}};
    /// # let audit = std::sync::Arc::new(InMemoryAudit::default());
    /// # SessionContext::builder().audit(audit.clone()).build().close();
    /// # let record = audit.records().remove(0);
    /// let mut log = br#"{"id":"0192"#.to_vec();
    /// JsonLines::after_partial_line(&mut log).record(&record);
    /// assert_eq!(String::from_utf8(log).unwrap().lines().count(), 2);
    /// ```
    pub fn after_partial_line(writer: W) -> Self {
        Self { lines: Mutex::new(LineWriter { writer, partial_line: true }) }
    }
}

impl<W: Write> LineWriter<W> {
    /// Serializes first, so that a record that cannot be serialized leaves nothing in the log.
    fn write_record(&mut self, record: &AuditRecord) -> io::Result<()> {
        let mut line = if self.partial_line { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut line, record)?;
        line.push(b'\n');
        self.write_line(&line)?;
        self.writer.flush()
    }

    /// Writes the whole line, and notes how the log ends. `write_all` does not report after an error whether a part
    /// was written.
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
