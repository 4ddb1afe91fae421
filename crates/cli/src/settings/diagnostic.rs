//! `Diagnostic`: an error in a file, and its position.

use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    pub(crate) file: PathBuf,
    /// The line, counted from 1.
    pub(crate) line: Option<usize>,
    /// The column in characters, counted from 1. For text that is not TOML.
    pub(crate) column: Option<usize>,
    /// The error and its remedy, without any value of the file.
    pub(crate) message: String,
}

impl Diagnostic {
    pub(crate) fn in_file(path: &Path, what: impl Into<String>) -> Self {
        Self { file: path.to_owned(), line: None, column: None, message: what.into() }
    }

    pub(crate) fn at_line(self, line: Option<usize>) -> Self {
        Self { line, ..self }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}
