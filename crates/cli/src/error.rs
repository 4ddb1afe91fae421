//! `CliError`: why a command failed, and its exit code.

use std::error::Error as _;
use std::process::ExitCode;

use valetkey::{Error, ErrorKind, escape_control_chars};

/// The command failed.
const EXIT_FAILURE: u8 = 1;
/// The command line is wrong.
const EXIT_USAGE: u8 = 2;
/// The configuration is wrong (`EX_CONFIG` of sysexits.h).
const EXIT_CONFIG: u8 = 78;

#[derive(Debug)]
pub(crate) struct CliError {
    exit_code: u8,
    lines: Vec<String>,
}

impl CliError {
    /// The command ran and failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { exit_code: EXIT_FAILURE, lines: vec![message.into()] }
    }

    /// Several operations failed; each is reported on its own line.
    pub(crate) fn failed_lines(lines: Vec<String>) -> Self {
        Self { exit_code: EXIT_FAILURE, lines }
    }

    /// The command line is not valid for this command.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit_code: EXIT_USAGE, lines: vec![message.into()] }
    }

    /// The configuration must be changed first.
    pub(crate) fn invalid_config(lines: Vec<String>) -> Self {
        Self { exit_code: EXIT_CONFIG, lines }
    }

    /// Prints the error to standard error and returns the exit code.
    #[allow(clippy::print_stderr, reason = "the only place where an error is printed")]
    pub(crate) fn print(&self, color: bool) -> ExitCode {
        let label = if color { "\x1b[31merror\x1b[0m" } else { "error" };
        for line in &self.lines {
            eprintln!("{label}: {}", escape_control_chars(line));
        }
        ExitCode::from(self.exit_code)
    }
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        let code = if error.kind() == ErrorKind::Invalid { EXIT_CONFIG } else { EXIT_FAILURE };
        Self { exit_code: code, lines: vec![error_chain(&error)] }
    }
}

/// Formats an error and its causes in one line.
pub(crate) fn error_chain(error: &Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(&format!(": {error}"));
        cause = error.source();
    }
    line
}
