//! Opens the session and the account in which a command runs, from the settings or, without settings, from the shell.

use std::time::Duration;

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
    let mut settings = settings.for_principal(choice.principal.as_ref());
    if let Some(duration) = choice.duration {
        request_duration(choice, &mut settings, duration).map_err(CliError::usage)?;
    }
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

/// Requests credentials of this lifetime for the selected account. A missing account is reported later.
fn request_duration(choice: &AccountArgs, settings: &mut Settings, duration: Duration) -> Result<(), String> {
    let default = settings.default_account().map(str::to_owned);
    let name = choice.account.as_ref().map(ToString::to_string).or(default);
    let Some(account) = name.and_then(|name| settings.accounts.get_mut(&name)) else { return Ok(()) };
    if account.set_duration(duration.as_secs()) {
        return Ok(());
    }
    let provider = account.provider.name();
    Err(format!(
        "`--duration` does not apply to an account of provider `{provider}`; leave it out, or exchange the keys of the \
         account (`exchange = true`)"
    ))
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
            Err(format!("the account of `--account` {}", settings.unknown_account_message(alias.as_str())))
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
