//! The audit trail: who was given what, when, and why not. No record can hold a secret, since no field can.

mod json_lines;
mod memory;
mod record;

use std::fmt;

pub use json_lines::JsonLines;
pub use memory::InMemoryAudit;
pub use record::{AuditEvent, AuditRecord, NarrowDetails};

/// Takes audit records. Called in line, possibly from many tasks: it must not block for long and must not fail. If it
/// panics, that is logged, and what it was told of goes on.
pub trait AuditSink: fmt::Debug + Send + Sync {
    /// Keeps one record.
    fn record(&self, record: &AuditRecord);
}
