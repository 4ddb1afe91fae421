//! `check --live`: every account is asked for credentials, and AWS whose they are.

use std::io::Write;
use std::sync::Arc;

use futures_util::future::join_all;
use valetkey::backends::{SdkBase, StsCallerIdentityProvider};
use valetkey::{
    AccountId, AccountStatus, Alias, CallerIdentity, Error, ErrorKind, Result, RoleArn, SessionContext,
    WhoAmI, printable,
};

use crate::failure::{Failure, with_causes};
use crate::progress::reported;
use crate::settings::{AccountSettings, Settings};

/// An account to be asked, and whose it should be, if the settings say that.
pub(super) struct Asked {
    alias: Alias,
    owner: Option<AccountId>,
    /// Where its credentials come from.
    origin: String,
}

/// The accounts that the session may have.
pub(super) fn accounts(settings: &Settings, base: &SdkBase) -> Vec<Asked> {
    let region = base.config().region().and_then(|region| region.as_ref().parse().ok());
    let asked = |(name, account): (&String, &AccountSettings)| {
        let owner = account.role_arn().and_then(|role| role.parse::<RoleArn>().ok());
        Some(Asked {
            alias: name.parse().ok()?,
            owner: owner.map(|role| role.account().clone()),
            origin: account
                .origin(account.region().and_then(|region| region.parse().ok()).as_ref().or(region.as_ref())),
        })
    };
    settings.accounts.iter().filter(|(name, _)| settings.allows(name)).filter_map(asked).collect()
}

/// Asks all accounts at once. One that fails does not keep the others from being told.
pub(super) async fn run(session: &SessionContext, accounts: &[Asked], base: &SdkBase) -> Result<(), Failure> {
    let answers = accounts.iter().map(|asked| async { (&asked.alias, answer(session, asked, base).await) });
    let mut failures = Vec::new();
    let mut lines = Vec::new();
    for (alias, answer) in join_all(answers).await {
        match answer {
            Ok(line) => lines.push(format!("{alias}: {line}")),
            // Nobody set it: that is for the tools to do, and no fault of the settings.
            Err(error) if error.kind() == ErrorKind::NotConfigured => {
                lines.push(format!("{alias}: nothing is set, and that is up to whoever uses the session"));
            }
            Err(error) => failures.push(format!("{alias}: {}", with_causes(&error))),
        }
    }
    write(&lines).map_err(|error| Failure::failed(format!("standard output cannot be written: {error}")))?;
    if failures.is_empty() { Ok(()) } else { Err(Failure::failures(failures)) }
}

/// What one account got, and whose it is.
async fn answer(session: &SessionContext, asked: &Asked, base: &SdkBase) -> Result<String> {
    let account = session.account(&asked.alias)?;
    let what = format!("credentials of the account `{}`, from {}", asked.alias, asked.origin);
    reported(account.credentials(), what).await?;
    let lookup = StsCallerIdentityProvider::new(&base.clone().region(&account.resolved_region()));
    let caller = WhoAmI::new(account.clone(), Arc::new(lookup)).caller().await?;
    let status = account.status()?;
    let told = asked.owner.as_ref().map(|owner| (owner, "its role is"));
    let told = told.or(status.account_id.as_ref().map(|owner| (owner, "its provider says that they are")));
    match told.filter(|(owner, _)| *owner != caller.account()) {
        None => Ok(got(&status, &caller)),
        Some((owner, says)) => {
            let what =
                format!("AWS takes its credentials for {}, and {says} of account {owner}", caller.arn());
            Err(Error::new(ErrorKind::Invalid, what)
                .with_next_step("correct the account, or the credentials that it leads to"))
        }
    }
}

fn got(status: &AccountStatus, caller: &CallerIdentity) -> String {
    let mut line = format!("…{}", status.key_suffix.as_deref().unwrap_or_default());
    if let Some(provider) = &status.provider {
        line.push_str(&format!(" from {provider}"));
    }
    line.push_str(&format!(", account {}", caller.account()));
    if let Some(region) = &status.region {
        line.push_str(&format!(", {region}"));
    }
    if let Some(expiry) = status.expires_at {
        line.push_str(&format!(", until {expiry}"));
    }
    line.push_str(&format!(", as {}", caller.arn()));
    line
}

fn write(lines: &[String]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{}", printable(line)))
}
