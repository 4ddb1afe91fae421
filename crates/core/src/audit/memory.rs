//! `InMemoryAudit`: keeps the newest records in memory, for tests and for embedded use.

use std::collections::VecDeque;

use parking_lot::Mutex;

use super::{AuditRecord, AuditSink};

/// Keeps the newest records in memory (default: 10,000).
///
/// The limit bounds the memory of a program that runs for a long time and reads the records seldom.
///
/// # Examples
/// ```
/// # use std::sync::Arc;
/// # use valetkey_core::{Credentials, SessionContext, audit::{AuditEvent, InMemoryAudit}};
/// # let text = r#"{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "example"}"#;
/// # let credentials = Credentials::from_json(text, "file")?;
/// let audit = Arc::new(InMemoryAudit::default());
/// let session = SessionContext::builder().audit(audit.clone()).build();
/// session.set_credentials(credentials)?;
/// let records = audit.records();
/// assert_eq!(records[0].event, AuditEvent::Set);
/// assert_eq!(records[0].key_suffix.as_deref(), Some("MPLE"));
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug)]
pub struct InMemoryAudit {
    records: Mutex<VecDeque<AuditRecord>>,
    limit: usize,
}

impl InMemoryAudit {
    /// Creates a sink that keeps at most `limit` records and drops the oldest first.
    ///
    /// With a limit of zero, nothing is kept.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self { records: Mutex::default(), limit }
    }

    /// Returns the records, oldest first.
    ///
    /// A copy: records that are added later do not appear in it.
    #[must_use]
    pub fn records(&self) -> Vec<AuditRecord> {
        self.records.lock().iter().cloned().collect()
    }
}

impl Default for InMemoryAudit {
    fn default() -> Self {
        Self::with_limit(10_000)
    }
}

impl AuditSink for InMemoryAudit {
    fn record(&self, record: &AuditRecord) {
        let mut records = self.records.lock();
        if records.len() >= self.limit {
            records.pop_front();
        }
        if self.limit > 0 {
            records.push_back(record.clone());
        }
    }
}
