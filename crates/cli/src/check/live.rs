//! `check --live`: fetches the credentials of every account and looks up their AWS identity.

use std::sync::Arc;

use futures_util::future::join_all;
use valetkey::backends::{AwsClientConfig, StsCallerIdentityProvider};
use valetkey::{
    AccountId, AccountName, AccountStatus, CallerIdentity, CallerIdentityCache, Error, ErrorKind, Result,
    RoleArn, SessionContext,
};

use crate::build::is_decided_by_caller;
use crate::error::error_chain;
use crate::progress::with_progress;
use crate::settings::{AccountSettings, Settings};

use super::report::{LiveResult, LiveStatus};

/// An account to check, and the AWS account that must own its credentials, if the settings name it.
pub(super) struct Probe {
    alias: AccountName,
    expected_owner: Option<AccountId>,
    /// The description of the source of its credentials.
    origin: String,
}

/// Returns a probe for each account that the session may use, except those that a caller of the gateway decides.
pub(super) fn probes(settings: &Settings, base: &AwsClientConfig) -> Vec<Probe> {
    let region = base.config().region().and_then(|region| region.as_ref().parse().ok());
    let to_probe = |(name, account): (&String, &AccountSettings)| {
        let owner = account.role_arn().and_then(|role| role.parse::<RoleArn>().ok());
        Some(Probe {
            alias: name.parse().ok()?,
            expected_owner: owner.map(|role| role.account().clone()),
            origin: account
                .origin(account.region().and_then(|region| region.parse().ok()).as_ref().or(region.as_ref())),
        })
    };
    let is_probed = |(name, account): &(&String, &AccountSettings)| {
        settings.allows(name) && !is_decided_by_caller(settings, account)
    };
    settings.accounts.iter().filter(is_probed).filter_map(to_probe).collect()
}

/// Checks all accounts concurrently. A failure of one account does not suppress the results of the others.
pub(super) async fn probe_accounts(
    session: &SessionContext,
    accounts: &[Probe],
    base: &AwsClientConfig,
) -> Vec<LiveResult> {
    let probes = accounts.iter().map(|asked| async {
        let (status, detail) = match probe(session, asked, base).await {
            Ok(line) => (LiveStatus::Valid, line),
            // No credentials are set: the tools set them later, so this is not an error of the settings.
            Err(error) if error.kind() == ErrorKind::NotConfigured => {
                let what = "no credentials are set; tools set them while the session runs";
                (LiveStatus::Unset, what.to_owned())
            }
            Err(error) => (LiveStatus::Failed, error_chain(&error)),
        };
        LiveResult { account: asked.alias.to_string(), status, detail }
    });
    join_all(probes).await
}

/// Fetches the credentials of one account and returns a line that describes their owner.
async fn probe(session: &SessionContext, asked: &Probe, base: &AwsClientConfig) -> Result<String> {
    let account = session.account(&asked.alias)?;
    let what = format!("credentials of the account `{}`, from {}", asked.alias, asked.origin);
    with_progress(account.credentials(), what).await?;
    let lookup = StsCallerIdentityProvider::new(&base.clone().region(&account.resolved_region()));
    let caller = CallerIdentityCache::new(account.clone(), Arc::new(lookup)).get().await?;
    let status = account.status()?;
    let expected = asked.expected_owner.as_ref().map(|owner| (owner, "its role is"));
    let expected_or_reported =
        expected.or(status.account_id.as_ref().map(|owner| (owner, "its provider says that they are")));
    match expected_or_reported.filter(|(owner, _)| *owner != caller.account()) {
        None => Ok(success_line(&status, &caller)),
        Some((owner, says)) => {
            let what =
                format!("AWS takes its credentials for {}, and {says} of account {owner}", caller.arn());
            Err(Error::new(ErrorKind::Invalid, what)
                .with_next_step("correct the account, or the credentials that it leads to"))
        }
    }
}

fn success_line(status: &AccountStatus, caller: &CallerIdentity) -> String {
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
