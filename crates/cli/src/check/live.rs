//! `check --live`: every account is asked for credentials, and says what it got.

use std::io::Write;

use futures_util::future::join_all;
use valetkey::{AccountStatus, Alias, ErrorKind, SessionContext};

use crate::failure::{Failure, with_causes};

/// Asks all accounts at once. One that fails does not keep the others from being told.
pub(super) async fn run(session: &SessionContext, accounts: &[Alias]) -> Result<(), Failure> {
    let answers =
        accounts.iter().map(|alias| async move { (alias, session.credentials_for(alias).await.err()) });
    let mut failures = Vec::new();
    let mut lines = Vec::new();
    let answers = join_all(answers).await;
    let status = session.status();
    for (alias, failure) in answers {
        match failure {
            None => lines.extend(status.accounts.iter().find(|told| told.account == *alias).map(got)),
            // Nobody set it: that is for the tools to do, and no fault of the settings.
            Some(error) if error.kind() == ErrorKind::NotConfigured => {
                lines.push(format!("{alias}: nothing is set, and that is up to whoever uses the session"));
            }
            Some(error) => failures.push(format!("{alias}: {}", with_causes(&error))),
        }
    }
    write(&lines).map_err(|error| Failure::failed(format!("standard output cannot be written: {error}")))?;
    if failures.is_empty() { Ok(()) } else { Err(Failure::failures(failures)) }
}

fn got(status: &AccountStatus) -> String {
    let mut line = format!("{}: ", status.account);
    line.push_str(&format!("…{}", status.key_suffix.as_deref().unwrap_or_default()));
    if let Some(provider) = &status.provider {
        line.push_str(&format!(" from {provider}"));
    }
    if let Some(id) = &status.account_id {
        line.push_str(&format!(", account {id}"));
    }
    if let Some(region) = &status.region {
        line.push_str(&format!(", {region}"));
    }
    if let Some(expiry) = status.expires_at {
        line.push_str(&format!(", until {expiry}"));
    }
    line
}

fn write(lines: &[String]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}
