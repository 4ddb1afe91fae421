//! `JsonLines`: one JSON object a line, to any writer the host hands in.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use super::{AuditRecord, AuditSink};

/// Writes each record as one line of JSON and flushes it. A failing writer is reported through `tracing`; the
/// session goes on, since losing the trail must not lose the work.
pub struct JsonLines<W> {
    writer: Mutex<W>,
}

impl<W: Write + Send> JsonLines<W> {
    /// Writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self { writer: Mutex::new(writer) }
    }
}

impl<W: Write + Send> AuditSink for JsonLines<W> {
    fn record(&self, record: &AuditRecord) {
        let line = serde_json::to_vec(record).map(|mut line| {
            line.push(b'\n');
            line
        });
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let written = line.map_err(std::io::Error::from).and_then(|line| {
            writer.write_all(&line)?;
            writer.flush()
        });
        if let Err(error) = written {
            tracing::error!(%error, event = ?record.event, "audit record lost");
        }
    }
}

impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").finish_non_exhaustive()
    }
}
