//! `InMemoryAudit`: keeps the newest records in memory, for tests and for embedded use.

use std::collections::VecDeque;

use parking_lot::Mutex;

use super::{AuditRecord, AuditSink};

/// Keeps the newest records in memory (default: 10,000).
#[derive(Debug)]
pub struct InMemoryAudit {
    records: Mutex<VecDeque<AuditRecord>>,
    limit: usize,
}

impl InMemoryAudit {
    /// Creates a sink that keeps at most `limit` records and drops the oldest first.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self { records: Mutex::default(), limit }
    }

    /// Returns the records, oldest first.
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
