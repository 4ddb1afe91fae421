//! `StoreError`: why an operation of a store failed.

use valetkey_core::{Error, ErrorKind};

use crate::{RecordError, RecordGeneration};

/// Why an operation of a store failed. The state of a session and the state of the store are separate variants: an
/// outage never reads as a session that does not exist.
///
/// # Examples
/// ```
/// # use valetkey_core::{Error, ErrorKind};
/// # use valetkey_store::StoreError;
/// assert_eq!(Error::from(StoreError::NoSession).kind(), ErrorKind::Closed);
/// assert!(StoreError::ReadOnly.is_transient() && !StoreError::NoSession.is_transient());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No session has this id: it never existed, was closed, or has ended.
    #[error("no session is open under this handle")]
    NoSession,
    /// The id has a record already, or had one.
    #[error("the id of the session is used already")]
    Exists,
    /// The record has another generation than the operation expects: load it again.
    #[error("another node has changed the session")]
    Superseded {
        /// The generation of the record.
        current: RecordGeneration,
    },
    /// The record cannot be used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The store cannot be reached, is starting, or fails over.
    #[error("the session store is unavailable ({0})")]
    Unavailable(&'static str),
    /// The store did not respond in time.
    #[error("the session store did not respond in time")]
    TimedOut,
    /// The store accepts no writes: it is a replica, or has lost its replicas.
    #[error("the session store accepts no writes")]
    ReadOnly,
    /// The store has no memory for further records.
    #[error("the session store is out of memory")]
    OutOfMemory,
    /// The store refused the user or a command.
    #[error("the session store denies access")]
    Denied,
    /// The store, or its address, is not configured as it has to be.
    #[error("the session store is not usable: {0}")]
    Misconfigured(&'static str),
    /// The store returned something that no version of it returns.
    #[error("the session store returned an unexpected reply")]
    Unexpected,
}

impl StoreError {
    /// Returns whether the same operation may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.kind().is_transient()
    }

    /// Returns a short name of the variant, for metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSession => "no_session",
            Self::Exists => "exists",
            Self::Superseded { .. } => "superseded",
            Self::Record(_) => "record",
            Self::Unavailable(_) => "unavailable",
            Self::TimedOut => "timed_out",
            Self::ReadOnly => "read_only",
            Self::OutOfMemory => "out_of_memory",
            Self::Denied => "denied",
            Self::Misconfigured(_) => "misconfigured",
            Self::Unexpected => "unexpected",
        }
    }

    const fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSession => ErrorKind::Closed,
            Self::Record(error) => error.kind(),
            Self::TimedOut => ErrorKind::TimedOut,
            Self::Superseded { .. } | Self::Unavailable(_) | Self::ReadOnly | Self::OutOfMemory => {
                ErrorKind::Unavailable
            }
            Self::Denied => ErrorKind::Denied,
            Self::Misconfigured(_) => ErrorKind::Invalid,
            Self::Exists | Self::Unexpected => ErrorKind::Internal,
        }
    }

    const fn next_step(&self) -> &'static str {
        match self {
            Self::NoSession | Self::Exists => "open a new session",
            Self::Record(error) => error.next_step(),
            Self::OutOfMemory => "raise `maxmemory` of the store, or close sessions",
            Self::Denied => "check the user, the password and the permissions of the store's user",
            Self::Misconfigured(_) => "correct the configuration of the store",
            Self::Unexpected => "check that the store is Redis 7 or Valkey 8, or newer",
            _ => "try again",
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::new(error.kind(), error.to_string()).with_next_step(error.next_step()).with_source(error)
    }
}
