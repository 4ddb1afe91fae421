//! The scopes of the settings: sessions with less authority, which `serve --scope` serves.

use std::time::Duration;

use valetkey::{AccessScope, SessionContext};

use super::ConfiguredPolicies;
use crate::settings::{Diagnostic, ScopeSettings, Settings, suggest_name};

/// Checks every scope against a session with all accounts. Sends no requests.
pub(crate) fn check_scopes(
    settings: &Settings,
    session: &SessionContext,
    policies: &ConfiguredPolicies,
    diagnostics: &mut Vec<Diagnostic>,
) {
    // An account with errors cannot be checked.
    let is_sound = diagnostics.is_empty();
    for (name, scope) in &settings.scopes {
        let built = build_scope(settings, name, scope, policies, diagnostics);
        if let (Some(scope), true) = (built, is_sound)
            && let Err(error) = session.narrow(scope)
        {
            diagnostics.push(settings.to_diagnostic(&["scopes", name], &error));
        }
    }
}

/// Returns the session that `serve` serves: `session`, narrowed to the scope of this name if there is one.
pub(crate) fn narrow_to_scope(
    settings: &Settings,
    session: &SessionContext,
    policies: &ConfiguredPolicies,
    name: Option<&str>,
) -> Result<SessionContext, String> {
    let Some(name) = name else { return Ok(session.clone()) };
    let Some(scope) = settings.scopes.get(name) else {
        return Err(format!("`--scope` {}", unknown_scope(settings, name)));
    };
    let built = build_scope(settings, name, scope, policies, &mut Vec::new());
    let built = built.ok_or_else(|| "the scope is invalid".to_owned())?;
    session.narrow(built).map_err(|error| error.to_string())
}

/// Returns what is wrong with a name of no scope.
pub(super) fn unknown_scope(settings: &Settings, name: &str) -> String {
    let names: Vec<_> = settings.scopes.keys().map(String::as_str).collect();
    match names.as_slice() {
        [] => "names no scope of the settings; add a `[scopes.NAME]`".to_owned(),
        _ => format!("names no scope of the settings; {}", suggest_name(name, &names)),
    }
}

fn build_scope(
    settings: &Settings,
    name: &str,
    scope: &ScopeSettings,
    policies: &ConfiguredPolicies,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<AccessScope> {
    let mut built = AccessScope::new();
    let errors_before = diagnostics.len();
    if let Some(accounts) = &scope.accounts {
        if accounts.iter().all(|account| settings.contains_account(account)) {
            built = built.accounts(accounts.iter().filter_map(|account| account.parse().ok()));
        } else {
            let what = settings.unknown_account_in_list_message(accounts);
            diagnostics.push(settings.diagnostic(&["scopes", name, "accounts"], what));
        }
    }
    match scope.policy.as_deref().map(|text| policies.find(text)) {
        Some(Ok(Some(policy))) => built = built.policy(policy),
        Some(Ok(None)) => return None,
        Some(Err(what)) => diagnostics.push(settings.diagnostic(&["scopes", name, "policy"], what)),
        None => {}
    }
    if let Some(seconds) = scope.lifetime_seconds {
        built = built.lifetime(Duration::from_secs(seconds));
    }
    (diagnostics.len() == errors_before).then_some(built)
}
