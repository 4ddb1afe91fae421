//! `Fault`: what is wrong with a file, and where.

use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) file: PathBuf,
    /// Counted from 1.
    pub(crate) line: Option<usize>,
    /// What is wrong and what to do, without any value of the file.
    pub(crate) what: String,
}

impl Fault {
    pub(crate) fn file(path: &Path, what: impl Into<String>) -> Self {
        Self { file: path.to_owned(), line: None, what: what.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.what)
    }
}
