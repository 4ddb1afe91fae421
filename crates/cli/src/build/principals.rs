//! Checks the accounts of each principal before a session acts for one of them.

use valetkey::Principal;

use super::BuildMode;
use crate::settings::{Diagnostic, Settings};

/// Reports lists with unknown accounts, and a session whose principal is not listed.
pub(super) fn check_principals(settings: &Settings, mode: BuildMode, diagnostics: &mut Vec<Diagnostic>) {
    let principals = &settings.principals;
    for (name, principal) in principals {
        if let Err(error) = Principal::parse("name", name) {
            diagnostics.push(settings.to_diagnostic(&["principals", name], &error));
        }
        let at_list = ["principals", name, "accounts"];
        if principal.accounts.is_empty() {
            diagnostics.push(settings.diagnostic(&at_list, "must name one account at least"));
        } else if !principal.accounts.iter().all(|account| settings.contains_account(account)) {
            let what = settings.unknown_account_in_list_message(&principal.accounts);
            diagnostics.push(settings.diagnostic(&at_list, what));
        } else if !principal.accounts.iter().any(|account| settings.allows_for_any_principal(account)) {
            let what = "has none of the `allowed_accounts` of the session; add one of them";
            diagnostics.push(settings.diagnostic(&at_list, what));
        }
    }
    let known_names = || principals.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    match &settings.session.principal {
        Some(_) if settings.is_for_caller_by_rule() => {}
        Some(principal) if !principals.is_empty() && !principals.contains_key(principal) => {
            let what = format!("is none of the principals; act for one of: {}", known_names());
            diagnostics.push(settings.diagnostic(&["session", "principal"], what));
        }
        // `--principal` names the principal when the session runs.
        None if !principals.is_empty() && mode == BuildMode::Run => {
            let what = format!("needs a principal; name with `--principal` one of: {}", known_names());
            diagnostics.push(settings.diagnostic(&["principals"], what));
        }
        _ => {}
    }
}
