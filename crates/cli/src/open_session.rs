//! Opens the session and the account in which a command runs, from the settings or, without settings, from the shell.

use valetkey::backends::{AwsClientConfig, EnvProvider};
use valetkey::{AccountName, ErrorKind, SessionAccount, SessionContext};

use crate::arguments::AccountArgs;
use crate::build::{self, BuildMode};
use crate::error::CliError;
use crate::progress::with_progress;
use crate::serve::config_error;
use crate::settings::{Consent, Settings};
use crate::terminal::Terminal;

const NO_ACCOUNTS_MESSAGE: &str = "the settings have no accounts; add an `[accounts.NAME]`";
const NO_KEYS_REMEDY: &str = "export them, or name a settings file that has accounts with `--config`";
const NO_SETTINGS_FILE_MESSAGE: &str = "there is no `valetkey.toml` here, so there are no accounts to choose from; name the file with \
                       `--config`, or leave `--account` out to use the keys of this environment";

/// Opens the session that the settings describe, and returns it with the account of `choice` or the default account.
/// The user of the terminal can consent to a discovered settings file.
pub(crate) async fn open_session(
    choice: &AccountArgs,
    terminal: &Terminal,
) -> Result<(SessionContext, SessionAccount), CliError> {
    open_session_with_consent(choice, terminal, Consent::Prompt(terminal)).await
}

/// Like [`open_session`], with the given consent rule for a discovered settings file.
pub(crate) async fn open_session_with_consent(
    choice: &AccountArgs,
    terminal: &Terminal,
    consent: Consent<'_>,
) -> Result<(SessionContext, SessionAccount), CliError> {
    let mut diagnostics = Vec::new();
    let settings = Settings::read(choice.config.as_deref(), consent, &mut diagnostics).await;
    let settings = settings.for_principal(choice.principal.as_ref());
    let base = AwsClientConfig::from_process().await;
    let session = build::build_session(&settings, &base, terminal, BuildMode::Run, &mut diagnostics);
    if !diagnostics.is_empty() {
        return Err(config_error(&diagnostics));
    }
    if settings.is_absent() {
        // Without a settings file, a user who runs this command intends the keys of the shell.
        session.set_provider(EnvProvider::from_process())?;
    }
    let alias =
        select_account(choice, &settings, &session).map_err(|what| CliError::invalid_config(vec![what]))?;
    let account = session.account(&alias)?;
    // Fetched here and not at the first use, where the program would wait without a message.
    let fetched = with_progress(account.credentials(), fetch_description(&settings, &account, &base)).await;
    fetched.map_err(|error| match error.kind() {
        ErrorKind::NotConfigured if settings.is_absent() => error.with_next_step(NO_KEYS_REMEDY),
        _ => error,
    })?;
    Ok((session, account))
}

/// Returns the selected account or the default account. Errors do not repeat the name, because it may be a pasted key.
fn select_account(
    choice: &AccountArgs,
    settings: &Settings,
    session: &SessionContext,
) -> Result<AccountName, String> {
    let default = session.default_account();
    match &choice.account {
        None if settings.is_absent() => Ok(default.clone()),
        None if settings.is_without_accounts() => Err(NO_ACCOUNTS_MESSAGE.to_owned()),
        None => match settings.missing_default_account(", or choose with `--account`") {
            Some(diagnostic) => Err(diagnostic.to_string()),
            None => Ok(default.clone()),
        },
        Some(alias) if settings.is_absent() && alias != default => Err(NO_SETTINGS_FILE_MESSAGE.to_owned()),
        Some(alias) if !settings.is_absent() && !settings.contains_account(alias.as_str()) => {
            Err(format!("the account of `--account` {}", settings.unknown_account_message()))
        }
        Some(alias) => Ok(alias.clone()),
    }
}

/// Describes what a fetch for this account waits for.
fn fetch_description(settings: &Settings, account: &SessionAccount, base: &AwsClientConfig) -> String {
    let name = account.account_name();
    let region =
        account.region().or_else(|| base.config().region().and_then(|region| region.as_ref().parse().ok()));
    let from = settings.accounts.get(name.as_str()).map(|account| account.origin(region.as_ref()));
    format!(
        "credentials of the account `{name}`, from {}",
        from.unwrap_or_else(|| "this environment".to_owned())
    )
}
