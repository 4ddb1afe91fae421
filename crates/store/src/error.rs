//! The errors of records: why one cannot be sealed, opened or read.

use valetkey_core::{Error, ErrorKind};

/// Why a record cannot be sealed, opened or read. A session with such a record is refused, never served in part.
///
/// No variant is transient: to try again with the same record and the same ring changes nothing.
///
/// # Examples
/// ```
/// # use valetkey_core::{Error, ErrorKind};
/// # use valetkey_store::RecordError;
/// assert_eq!(Error::from(RecordError::Rejected).kind(), ErrorKind::Denied);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The record is larger than any that is written. It was not parsed.
    #[error("the record is larger than the limit")]
    Oversized,
    /// The record ends before its contents.
    #[error("the record is truncated")]
    Truncated,
    /// The record has a layout of another version of valetkey.
    #[error("the record has a format that this version does not know")]
    UnknownFormat,
    /// The key ring has no key of the record's term.
    #[error("the record was sealed in a term that the key ring lacks")]
    UnknownTerm,
    /// The record was changed, moved, or sealed for another handle, owner or generation.
    #[error("the record does not open with this handle for this principal")]
    Rejected,
    /// The record is authentic and older than what this node has seen of the session: the store lost or replaced it.
    #[error("the record is older than the session")]
    Replayed,
    /// The record opened, and its contents break a rule.
    #[error("the contents of the record are malformed")]
    Malformed,
    /// A failure that has no cause in the record, such as missing randomness.
    #[error("the record cannot be processed")]
    Internal,
}

impl RecordError {
    /// Returns a short name of the variant, for metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Oversized => "oversized",
            Self::Truncated => "truncated",
            Self::UnknownFormat => "unknown_format",
            Self::UnknownTerm => "unknown_term",
            Self::Rejected => "rejected",
            Self::Replayed => "replayed",
            Self::Malformed => "malformed",
            Self::Internal => "internal",
        }
    }

    pub(crate) const fn kind(self) -> ErrorKind {
        match self {
            Self::Rejected | Self::Replayed => ErrorKind::Denied,
            Self::Internal => ErrorKind::Internal,
            _ => ErrorKind::Invalid,
        }
    }

    pub(crate) const fn next_step(self) -> &'static str {
        match self {
            Self::UnknownFormat => "update every node to the same version of valetkey",
            Self::UnknownTerm => "give every node the key ring that has this term, then try again",
            _ => "open a new session",
        }
    }
}

impl From<RecordError> for Error {
    fn from(error: RecordError) -> Self {
        Self::new(error.kind(), error.to_string()).with_next_step(error.next_step()).with_source(error)
    }
}
