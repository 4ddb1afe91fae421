//! The audit log: which credentials were issued and served, to which consumer, when, and why a request failed. No
//! field of a record can hold a secret.
//!
//! A session without a sink drops its records. `InMemoryAudit` is for tests, `JsonLines` for a file or a pipe.
//!
//! # Examples
//! ```
//! # use std::sync::Arc;
//! # use valetkey_core::SessionContext;
//! use valetkey_core::audit::{AuditEvent, InMemoryAudit};
//!
//! let audit = Arc::new(InMemoryAudit::default());
//! let session = SessionContext::builder().audit(audit.clone()).build();
//! session.close();
//! assert_eq!(audit.records().last().map(|record| record.event), Some(AuditEvent::Close));
//! ```

mod json_lines;
mod memory;
mod record;
mod request;

use std::fmt;

pub use json_lines::JsonLines;
pub use memory::InMemoryAudit;
pub use record::{AuditEvent, AuditRecord, DecisionChannel, NarrowDetails};
pub use request::{RequestDetails, RequestRecord};

/// Receives audit records.
///
/// # Contract
/// Sessions call the sink synchronously, possibly from many tasks: it must not block for long and must not fail. A
/// panic is logged, and the audited operation continues.
///
/// # Examples
/// ```
/// use valetkey_core::audit::{AuditRecord, AuditSink};
///
/// #[derive(Debug)]
/// struct Stderr;
///
/// impl AuditSink for Stderr {
///     fn record(&self, record: &AuditRecord) {
///         eprintln!("{:?} in session {}", record.event, record.session);
///     }
/// }
/// ```
pub trait AuditSink: fmt::Debug + Send + Sync {
    /// Stores one record.
    ///
    /// Keep what is needed by cloning the record. An error must be handled here: the session cannot act on it.
    fn record(&self, record: &AuditRecord);
}
