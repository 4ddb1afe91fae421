//! `valetkey report`: what the sessions of an audit file were issued, what they called, and when they ended.

mod activity;
mod document;
mod record;
mod sessions;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::arguments::ReportArgs;
use crate::error::CliError;
use crate::output::{print_json, write_stdout};
use crate::serve::config_error;
use crate::settings::{Consent, Settings};
use record::RecordLines;
use sessions::AuditReport;

/// How many damaged lines are listed one by one.
const MAX_LISTED_LINES: usize = 5;

pub(crate) async fn run(command: &ReportArgs) -> Result<ExitCode, CliError> {
    let path = match &command.file {
        Some(path) => path.clone(),
        None => audit_file(command).await?,
    };
    let name = path.display().to_string();
    let unreadable = |error: io::Error| CliError::failed(format!("{name} cannot be read: {error}"));
    let mut report = AuditReport::default();
    let mut lines = RecordLines::new(BufReader::new(open(&path).map_err(unreadable)?));
    while let Some((number, record)) = lines.next_record().map_err(unreadable)? {
        report.add(number, record);
    }
    print_skipped_lines(&name, &report.skipped_lines);
    if let Some(id) = &command.session {
        report.select(id).map_err(CliError::failed)?;
    }
    if command.json {
        print_json(&report)?;
    } else {
        let text = if command.markdown { document::markdown(&report) } else { document::text(&report) };
        write_stdout(text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the file that `[audit]` names.
async fn audit_file(command: &ReportArgs) -> Result<PathBuf, CliError> {
    let mut diagnostics = Vec::new();
    let settings = Settings::read(command.config.as_deref(), Consent::NotNeeded, &mut diagnostics).await;
    if !diagnostics.is_empty() {
        return Err(config_error(&diagnostics));
    }
    let audit = settings.audit.as_ref().map(|audit| audit.file.clone());
    audit.ok_or_else(|| CliError::usage("the settings have no `[audit]` file; name the file to report on"))
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path.as_os_str() == "-" { Ok(Box::new(io::stdin())) } else { Ok(Box::new(File::open(path)?)) }
}

/// Reports the lines that hold no record: one that was torn when its writer was killed, or one that was changed since.
#[allow(clippy::print_stderr, reason = "the report on standard output may be JSON")]
fn print_skipped_lines(name: &str, lines: &[u64]) {
    let listed: Vec<_> = lines.iter().take(MAX_LISTED_LINES).map(ToString::to_string).collect();
    match lines.len().checked_sub(MAX_LISTED_LINES) {
        _ if lines.is_empty() => {}
        None | Some(0) => eprintln!("{name}: no audit record in line {}", listed.join(", ")),
        Some(more) => eprintln!("{name}: no audit record in line {} and {more} more", listed.join(", ")),
    }
}
