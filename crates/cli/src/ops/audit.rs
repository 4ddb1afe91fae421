//! `ObservedAudit`: the audit sink of a gateway, which also counts the records and keeps the newest ones.

use std::sync::Arc;

use valetkey::audit::{AuditRecord, AuditSink, InMemoryAudit};

use super::metrics::Metrics;

/// How many records the status shows.
const MAX_RECENT: usize = 50;

/// Passes records on to the file of the settings, if there is one.
#[derive(Debug)]
pub(crate) struct ObservedAudit {
    file: Option<Arc<dyn AuditSink>>,
    recent: InMemoryAudit,
    pub(super) metrics: Metrics,
}

impl ObservedAudit {
    pub(crate) fn new(file: Option<Arc<dyn AuditSink>>) -> Self {
        Self { file, recent: InMemoryAudit::with_limit(MAX_RECENT), metrics: Metrics::new() }
    }

    /// Returns the newest records, oldest first.
    pub(super) fn recent(&self) -> Vec<AuditRecord> {
        self.recent.records()
    }
}

impl AuditSink for ObservedAudit {
    fn record(&self, record: &AuditRecord) {
        if let Some(file) = &self.file {
            file.record(record);
        }
        self.metrics.count(record);
        self.recent.record(record);
    }
}
