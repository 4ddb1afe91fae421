//! The access of the settings: the scope that a client begins with, and the scopes that its model may request.

use std::time::Duration;

use valetkey::SessionContext;
use valetkey::tools::RequestableAccess;

use super::ConfiguredPolicies;
use super::scopes::unknown_scope;
use crate::settings::{Diagnostic, ScopeSettings, Settings};

/// A grant is for a task. For longer access, a person starts a session that has it.
const MAX_LIFETIME_SECONDS: u64 = 12 * 60 * 60;

/// What a client begins with, and what its model may request.
#[derive(Debug, Default)]
pub(crate) struct ConfiguredAccess {
    /// The name of the scope, or `None` for a session without a floor.
    pub(crate) floor: Option<String>,
    pub(crate) offers: Vec<(String, RequestableAccess)>,
}

impl ConfiguredAccess {
    /// Reads `[access]`. The scopes themselves are checked where all scopes are.
    pub(crate) fn read(
        settings: &Settings,
        policies: &ConfiguredPolicies,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let Some(access) = &settings.access else { return Self::default() };
        let mut report =
            |key: &str, what: String| diagnostics.push(settings.diagnostic(&["access", key], what));
        if !settings.scopes.contains_key(&access.floor) {
            report("floor", unknown_scope(settings, &access.floor));
        }
        let mut offers = Vec::new();
        for name in &access.requests {
            match offer(settings, name, policies) {
                Ok(Some(offer)) => offers.push((name.clone(), offer)),
                Ok(None) => {}
                Err(what) => report("requests", what),
            }
        }
        Self { floor: Some(access.floor.clone()), offers }
    }

    /// Returns the access that may be requested beyond a session: the offers whose accounts it has.
    pub(crate) fn offers_for(
        &self,
        session: &SessionContext,
    ) -> impl Iterator<Item = (String, RequestableAccess)> {
        let accounts = session.accounts();
        let offers = self.offers.iter().filter(move |(_, offer)| offer.is_within(&accounts));
        offers.cloned()
    }

    /// Returns the scope to serve, and what may be requested beyond it. A scope of the command line is a decision of the
    /// person who starts the gateway: nothing can be requested beyond it.
    pub(crate) fn select(self, scope: Option<&str>) -> Self {
        match scope {
            Some(scope) => Self { floor: Some(scope.to_owned()), offers: Vec::new() },
            None => self,
        }
    }
}

/// Reports that gateways that share sessions would not know the grants of each other.
pub(crate) fn refuse_access_with_store(settings: &Settings, diagnostics: &mut Vec<Diagnostic>) {
    if settings.access.is_some() && settings.store.is_some() {
        let what = "cannot be combined with `[store]`: a grant is known to one gateway only; remove one of the sections";
        diagnostics.push(settings.diagnostic(&["access"], what));
    }
}

/// Returns the access that a scope describes; `None` if its error is reported elsewhere.
fn offer(
    settings: &Settings,
    name: &str,
    policies: &ConfiguredPolicies,
) -> Result<Option<RequestableAccess>, String> {
    let Some(scope) = settings.scopes.get(name) else { return Err(unknown_scope(settings, name)) };
    let seconds = scope.lifetime_seconds.filter(|seconds| (1..=MAX_LIFETIME_SECONDS).contains(seconds));
    let Some(seconds) = seconds else {
        return Err(format!(
            "names `{name}`, whose `lifetime_seconds` must be set, 1 to {MAX_LIFETIME_SECONDS}: a grant ends by itself"
        ));
    };
    Ok(requestable(scope, Duration::from_secs(seconds), policies))
}

fn requestable(
    scope: &ScopeSettings,
    lifetime: Duration,
    policies: &ConfiguredPolicies,
) -> Option<RequestableAccess> {
    let mut access = RequestableAccess::new(lifetime);
    if let Some(accounts) = &scope.accounts {
        let accounts: Result<Vec<_>, _> = accounts.iter().map(|account| account.parse()).collect();
        access = access.accounts(accounts.ok()?);
    }
    if let Some(policy) = scope.policy.as_deref() {
        access = access.policy(policies.find(policy).ok()??);
    }
    Some(access)
}
