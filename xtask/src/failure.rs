//! Why a chore did not succeed.

use std::{io, process::ExitStatus};

/// The result of a chore.
pub type Result<T> = std::result::Result<T, XtaskError>;

/// Why a chore did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XtaskError {
    /// A program that a chore runs said no; it has printed why.
    #[error("`{command}` failed ({status})")]
    CommandFailed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A program that a chore needs is not there.
    #[error("could not run `{command}`: {source}")]
    CommandNotStarted {
        /// The command line.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// The rig is not to be had.
    #[error(transparent)]
    Rig(#[from] valetkey_rig::Error),
    /// The rig is not to be had, and tests were asked for.
    #[error("{0}\n`cargo xtask test --no-rig` runs the tests that do without")]
    RigMissingForTests(valetkey_rig::Error),
    /// The tree could not be read.
    #[error("reading {path}: {reason}")]
    ReadFailed {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// Faults were found, and printed.
    #[error("{0} faults; each line above says what to do")]
    Violations(usize),
}
