//! `valetkey list`: the accounts of the settings, without a request to AWS.

use std::process::ExitCode;

use serde::Serialize;
use valetkey::backends::AwsClientConfig;
use valetkey::{AccountId, Region, RoleArn};

use crate::arguments::ListArgs;
use crate::error::CliError;
use crate::output::{print_json, write_stdout};
use crate::serve::config_error;
use crate::settings::{AccountSettings, Consent, Settings};
use crate::table::table_text;

const HEADINGS: [&str; 5] = ["ACCOUNT", "PROVIDER", "REGION", "AWS ACCOUNT", "DEFAULT"];

/// An account of the settings.
#[derive(Debug, Serialize)]
struct ListedAccount<'a> {
    account: &'a str,
    provider: &'static str,
    /// The account whose credentials fetch those of this one.
    source: Option<&'a str>,
    region: String,
    /// The AWS account, if the settings name a role in it.
    account_id: Option<AccountId>,
    default: bool,
}

pub(crate) async fn run(command: &ListArgs) -> Result<ExitCode, CliError> {
    let mut diagnostics = Vec::new();
    let settings = Settings::read(command.config.as_deref(), Consent::NotNeeded, &mut diagnostics).await;
    let settings = settings.for_principal(command.principal.as_ref());
    if !diagnostics.is_empty() {
        return Err(config_error(&diagnostics));
    }
    if settings.is_absent() {
        return Err(CliError::usage("there is no valetkey.toml here; name the file with `--config`"));
    }
    let base = AwsClientConfig::from_process().await;
    let environment_region = base.config().region().map(|region| region.as_ref().to_owned());
    let accounts = listed_accounts(&settings, environment_region.as_deref());
    if command.json {
        print_json(&serde_json::json!({ "accounts": accounts }))?;
    } else {
        write_stdout(accounts_table(&accounts).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the accounts that the session may use.
fn listed_accounts<'a>(settings: &'a Settings, environment_region: Option<&str>) -> Vec<ListedAccount<'a>> {
    let default_region = settings.session.region.as_deref().or(environment_region);
    let listed = |(name, account): (&'a String, &'a AccountSettings)| ListedAccount {
        account: name,
        provider: account.provider.name(),
        source: account.source(),
        region: account
            .region()
            .or(default_region)
            .map_or_else(|| Region::us_east_1().to_string(), str::to_owned),
        account_id: account
            .role_arn()
            .and_then(|role| role.parse::<RoleArn>().ok())
            .map(|role| role.account().clone()),
        default: settings.default_account() == Some(name),
    };
    settings.accounts.iter().filter(|(name, _)| settings.allows(name)).map(listed).collect()
}

fn accounts_table(accounts: &[ListedAccount<'_>]) -> String {
    let rows = accounts.iter().map(|account| {
        let id = account.account_id.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let default = if account.default { "yes" } else { "" };
        [account.account, account.provider, &account.region, &id, default].map(str::to_owned)
    });
    table_text(HEADINGS, rows)
}
