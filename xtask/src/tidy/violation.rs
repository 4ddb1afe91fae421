//! `Violation`: a broken rule, with its position and remedy.

use std::fmt;

/// A broken rule, with its position and remedy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    path: String,
    line: usize,
    message: String,
    remedy: String,
}

impl Violation {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, message: what, remedy } = self;
        write!(f, "{path}:{line}: {what}; {remedy}")
    }
}
