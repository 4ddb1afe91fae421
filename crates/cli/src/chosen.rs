//! The one account that a command works in, of the settings or, without any, of the shell.

use valetkey::backends::{EnvProvider, SdkBase};
use valetkey::{Alias, SessionAccount, SessionContext};

use crate::arguments::Choice;
use crate::compose::{self, Purpose};
use crate::failure::Failure;
use crate::serve::configuration;
use crate::settings::{Consent, Settings};
use crate::terminal::Terminal;

/// The session that the settings describe, and the account of it that was named, or its default one. The user of the
/// terminal can consent to a settings file that was found.
pub(crate) async fn account(
    choice: &Choice,
    terminal: &Terminal,
) -> Result<(SessionContext, SessionAccount), Failure> {
    account_with(choice, terminal, Consent::Ask(terminal)).await
}

/// The same with another rule for a settings file that was found.
pub(crate) async fn account_with(
    choice: &Choice,
    terminal: &Terminal,
    consent: Consent<'_>,
) -> Result<(SessionContext, SessionAccount), Failure> {
    let mut faults = Vec::new();
    let settings = Settings::read(choice.config.as_deref(), consent, &mut faults).await;
    let settings = settings.acting_for(choice.principal.as_ref());
    let base = SdkBase::from_process().await;
    let session = compose::session(&settings, &base, terminal, Purpose::Work, &mut faults);
    if !faults.is_empty() {
        return Err(configuration(&faults));
    }
    if settings.is_absent() {
        // Whoever runs this by hand, without a file, means the keys in the shell.
        session.set_provider_for(&Alias::default_account(), EnvProvider::from_process())?;
    }
    let alias = choice.account.as_ref().unwrap_or_else(|| session.default_account());
    if !settings.is_absent() && !settings.has_account(alias.as_str()) {
        let what = format!("the account `{alias}` {}", settings.unknown_account());
        return Err(Failure::configuration(vec![what]));
    }
    let account = session.account(alias)?;
    Ok((session, account))
}
