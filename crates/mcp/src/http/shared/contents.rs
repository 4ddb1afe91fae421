//! What a record holds of a session, and how a session takes over what another node has saved.

use futures_util::FutureExt;
use serde_json::Value;
use valetkey_core::{AccountName, SessionContext};
use valetkey_store::{AccountContents, CredentialSource, SessionContents};

use super::narrowed;
use crate::http::tenant::Tenant;

/// Describes a session: what was set on it, and what was cleared. All else comes from the configuration of each node. What
/// providers have issued is left out, since it may depend on what has changed.
pub(super) fn describe(session: &SessionContext, tenant: &Tenant) -> SessionContents {
    let mut contents = describe_session(session);
    contents.label.clone_from(&tenant.label);
    contents.narrowed = narrowed::describe(tenant);
    contents
}

fn describe_session(session: &SessionContext) -> SessionContents {
    let mut contents = SessionContents::new(session.id());
    contents.default_account = session.default_account().clone();
    for name in session.accounts() {
        let source = describe_account(session, &name);
        contents.accounts.insert(name, AccountContents::new(source));
    }
    contents.service_context = session.service_context().and_then(|facts| facts.as_object().cloned());
    contents
}

fn describe_account(session: &SessionContext, name: &AccountName) -> CredentialSource {
    let account = session.for_account(name);
    match account.explicit_credentials() {
        Some(credentials) => CredentialSource::Set(credentials),
        None if account.is_cleared() => CredentialSource::Cleared,
        None => CredentialSource::Configured,
    }
}

/// Whether `after` has less than `before`: credentials were removed.
pub(super) fn is_clear(before: &SessionContents, after: &SessionContents) -> bool {
    let was_removed = |(name, earlier): (&AccountName, &AccountContents)| {
        let now = after.accounts.get(name).map(|account| &account.source);
        match (&earlier.source, now) {
            (CredentialSource::Cleared, _) | (_, Some(CredentialSource::Set(_))) => false,
            (CredentialSource::Set(_), _) => true,
            (_, now) => matches!(now, None | Some(CredentialSource::Cleared)),
        }
    };
    before.accounts.iter().any(was_removed)
}

/// Whether both have the same effect.
pub(super) fn is_same(before: &SessionContents, after: &SessionContents) -> bool {
    has_same_facts(before, after) && narrowed::is_same(&before.narrowed, &after.narrowed)
}

/// Whether both are the same but for the sessions that were narrowed.
fn has_same_facts(before: &SessionContents, after: &SessionContents) -> bool {
    before.service_context == after.service_context && has_same_accounts(before, after)
}

/// Whether the same was set and cleared, so that what providers issue is the same.
pub(super) fn has_same_accounts(before: &SessionContents, after: &SessionContents) -> bool {
    let is_same_account = |(name, earlier): (&AccountName, &AccountContents)| {
        after.accounts.get(name).is_some_and(|now| is_same_source(&earlier.source, &now.source))
    };
    before.accounts.len() == after.accounts.len() && before.accounts.iter().all(is_same_account)
}

fn is_same_source(before: &CredentialSource, after: &CredentialSource) -> bool {
    match (before, after) {
        (CredentialSource::Set(before), CredentialSource::Set(after)) => before.has_same_values(after),
        (CredentialSource::Configured, CredentialSource::Configured) => true,
        (CredentialSource::Cleared, CredentialSource::Cleared) => true,
        _ => false,
    }
}

/// Makes a session what the record says, and returns whether that changed it. What is the same already does not
/// change, so servers that run keep their credentials.
pub(super) fn restore(contents: &SessionContents, session: &SessionContext, tenant: &Tenant) -> bool {
    let is_changed = restore_session(contents, session);
    // After the accounts, since a clear ends what was narrowed before.
    narrowed::restore(&contents.narrowed, tenant) || is_changed
}

fn restore_session(contents: &SessionContents, session: &SessionContext) -> bool {
    let before = describe_session(session);
    if has_same_facts(&before, contents) {
        return false;
    }
    let is_cleared = |account: &AccountContents| matches!(account.source, CredentialSource::Cleared);
    if contents.accounts.values().all(is_cleared) && !contents.accounts.is_empty() {
        session.clear();
    }
    for name in session.accounts().iter().filter(|name| !contents.accounts.contains_key(name)) {
        restore_account(session, name, &CredentialSource::Configured);
    }
    for (name, account) in &contents.accounts {
        restore_account(session, name, &account.source);
    }
    let facts = contents.service_context.clone().map(Value::Object);
    if let Some(facts) = facts.filter(|facts| session.service_context().as_deref() != Some(facts)) {
        // Fails only for a session that was closed meanwhile.
        let _closed = session.set_service_context(facts);
    }
    // A record may name accounts that the configuration of this node lacks.
    !has_same_facts(&before, &describe_session(session))
}

fn restore_account(session: &SessionContext, name: &AccountName, source: &CredentialSource) {
    if is_same_source(&describe_account(session, name), source) {
        return;
    }
    let account = session.for_account(name);
    let is_done = match source {
        CredentialSource::Set(credentials) => account.set_credentials(credentials.clone()).is_ok(),
        CredentialSource::Configured => {
            if account.explicit_credentials().is_some() {
                let _unknown = account.clear();
            }
            // One poll resumes the provider. The next call fetches.
            let _pending = account.resume().now_or_never();
            true
        }
        _ => false,
    };
    if !is_done {
        // Credentials that have expired are not set. The provider of the account must not take their place.
        let _unknown = account.clear();
    }
}
