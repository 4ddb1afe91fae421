//! `CheckReport`: what `check` found, as lines for a person or as JSON for a program.

use std::process::ExitCode;

use serde::Serialize;
use valetkey::escape_control_chars;

use super::deliveries::ServerDeliveries;
use crate::error::CliError;
use crate::output::{print_json, print_lines};
use crate::serve::config_error;
use crate::settings::Diagnostic;

/// The errors, the warnings and the numbers of valid accounts and servers.
#[derive(Debug, Default)]
pub(super) struct CheckReport {
    pub(super) errors: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
    pub(super) accounts: usize,
    pub(super) servers: usize,
    /// Whether there are accounts and none of them is the default.
    pub(super) needs_default_account: bool,
    /// Which deliveries each server can use.
    pub(super) deliveries: Vec<ServerDeliveries>,
    /// The results of `--live`, in the order of the accounts.
    pub(super) live: Vec<LiveResult>,
}

/// The result of fetching the credentials of an account.
#[derive(Debug, Serialize)]
pub(super) struct LiveResult {
    pub(super) account: String,
    pub(super) status: LiveStatus,
    /// The identity, or the error.
    pub(super) detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LiveStatus {
    /// AWS accepted the credentials.
    Valid,
    /// There are none yet: tools set them while the session runs.
    Unset,
    /// They could not be fetched, or belong to another AWS account.
    Failed,
}

#[derive(Serialize)]
struct JsonReport<'a> {
    ok: bool,
    accounts: usize,
    servers: usize,
    errors: Vec<JsonDiagnostic>,
    warnings: Vec<JsonDiagnostic>,
    deliveries: &'a [ServerDeliveries],
    live: &'a [LiveResult],
}

#[derive(Serialize)]
struct JsonDiagnostic {
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
}

impl JsonDiagnostic {
    fn new(diagnostic: &Diagnostic) -> Self {
        Self {
            file: diagnostic.file.display().to_string(),
            line: diagnostic.line,
            column: diagnostic.column,
            message: diagnostic.message.clone(),
        }
    }
}

impl CheckReport {
    /// Prints the report for a person, and returns the exit code.
    pub(super) fn print(&self) -> Result<ExitCode, CliError> {
        self.warnings.iter().for_each(print_warning);
        if !self.errors.is_empty() {
            return Err(config_error(&self.errors));
        }
        let (failed, fetched): (Vec<_>, Vec<_>) =
            self.live.iter().partition(|result| result.status == LiveStatus::Failed);
        let line = |result: &LiveResult| format!("{}: {}", result.account, result.detail);
        print_lines(self.summary().into_iter().chain(fetched.into_iter().map(line)))?;
        if failed.is_empty() {
            Ok(ExitCode::SUCCESS)
        } else {
            Err(CliError::failed_lines(failed.into_iter().map(line).collect()))
        }
    }

    /// Prints the report as JSON, and returns the exit code that [`print`](Self::print) returns.
    pub(super) fn print_json(&self) -> Result<ExitCode, CliError> {
        let has_failure = self.live.iter().any(|result| result.status == LiveStatus::Failed);
        let report = JsonReport {
            ok: self.errors.is_empty() && !has_failure,
            accounts: self.accounts,
            servers: self.servers,
            errors: self.errors.iter().map(JsonDiagnostic::new).collect(),
            warnings: self.warnings.iter().map(JsonDiagnostic::new).collect(),
            deliveries: &self.deliveries,
            live: &self.live,
        };
        print_json(&report)?;
        match (self.errors.is_empty(), has_failure) {
            (false, _) => Err(CliError::invalid_config(Vec::new())),
            (true, true) => Err(CliError::failed_lines(Vec::new())),
            (true, false) => Ok(ExitCode::SUCCESS),
        }
    }

    fn summary(&self) -> Vec<String> {
        let counts = format!("no faults; accounts: {}, servers: {}", self.accounts, self.servers);
        let needs_default = "no account is the default: `serve` needs one, `exec` needs one or `--account`";
        let hint = self.needs_default_account.then(|| needs_default.to_owned());
        let deliveries = self.deliveries.iter().map(ServerDeliveries::line);
        std::iter::once(counts).chain(hint).chain(deliveries).collect()
    }
}

/// Prints a warning. It does not change the exit code.
#[allow(clippy::print_stderr, reason = "what `check` has to say goes to standard error, whatever is logged")]
fn print_warning(warning: &Diagnostic) {
    eprintln!("warning: {}", escape_control_chars(&warning.to_string()));
}
