//! `XtaskError`: the reason why a task failed.

use std::{fmt::Display, io, process::ExitStatus};

/// The result of a task.
pub type Result<T> = std::result::Result<T, XtaskError>;

/// The reason why a task failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XtaskError {
    /// A program of the task failed and has printed the reason.
    #[error("`{command}` failed ({status})")]
    CommandFailed {
        /// The command line.
        command: String,
        /// Its exit status.
        status: ExitStatus,
    },
    /// A program that the task needs could not be started.
    #[error("could not run `{command}`: {source}")]
    CommandNotStarted {
        /// The command line.
        command: String,
        /// The cause.
        source: io::Error,
    },
    /// The rig could not be installed.
    #[error(transparent)]
    Rig(#[from] valetkey_rig::Error),
    /// The rig could not be installed, and tests need it.
    #[error("{0}\n`cargo xtask test --no-rig` runs the tests that do without")]
    RigMissingForTests(valetkey_rig::Error),
    /// A file of the workspace could not be read.
    #[error("reading {path}: {reason}")]
    ReadFailed {
        /// The file.
        path: String,
        /// The cause.
        reason: String,
    },
    /// A file of the workspace could not be written.
    #[error("writing {path}: {reason}")]
    WriteFailed {
        /// The file.
        path: String,
        /// The cause.
        reason: String,
    },
    /// The public API differs from its snapshot, and the differences were printed.
    #[error(
        "the public API of {0} libraries has changed; if that is intended, run `cargo xtask api --bless`, commit \
         docs/api and describe the change in CHANGELOG.md"
    )]
    ApiChanged(usize),
    /// The description of the public API that rustdoc has written could not be read.
    #[error(
        "reading {path}: {reason}; another release of Rust writes another format, which needs the version of \
         `public-api` in Cargo.toml that reads it"
    )]
    ApiUnreadable {
        /// The file.
        path: String,
        /// The cause.
        reason: String,
    },
    /// Violations were found and printed.
    #[error("{0} violations; each line above states the remedy")]
    Violations(usize),
}

impl XtaskError {
    /// Reports that something was not read.
    pub(crate) fn read_failed(path: impl ToString, error: &dyn Display) -> Self {
        Self::ReadFailed { path: path.to_string(), reason: error.to_string() }
    }

    /// Reports that something was not written.
    pub(crate) fn write_failed(path: impl ToString, error: &dyn Display) -> Self {
        Self::WriteFailed { path: path.to_string(), reason: error.to_string() }
    }
}
