//! `OutstandingCredentials`: the credentials that AWS still accepts after a session has ended.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use super::SessionInner;
use crate::clock::Nanos;
use crate::{AccountName, Expiry, Principal, SessionId};

/// Reports which credentials AWS still accepts from any holder of a copy: those that a session and its children held
/// and that have not expired. Clearing and closing stop serving them, but do not revoke them; a
/// [`RevocationPolicy`](crate::RevocationPolicy) does.
///
/// Credentials count from the moment when the session obtained them, since the session cannot know which were copied,
/// and also after they were rotated away. The reported instants are therefore upper bounds: copies *may* work until
/// then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OutstandingCredentials {
    /// The session, as in its audit log, and in the names and tags that [`Attribution`](crate::Attribution) adds to
    /// credentials.
    pub session: SessionId,
    /// The principal that the session acts for.
    pub principal: Option<Principal>,
    /// The accounts whose credentials may still work. Credentials that a child held on an account of its own are
    /// reported under the default account.
    pub accounts: Vec<OutstandingAccount>,
}

/// Reports one account whose credentials may still work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OutstandingAccount {
    /// The alias.
    pub account: AccountName,
    /// When the last credentials of the account expire. `Never` for long-lived keys, which work until their owner
    /// deletes them.
    pub until: Expiry,
}

impl OutstandingCredentials {
    /// Returns whether no credentials work any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Returns when the last credentials expire; `None` when no credentials work any more.
    #[must_use]
    pub fn expires_at(&self) -> Option<Expiry> {
        self.accounts.iter().map(|account| account.until).max()
    }
}

impl SessionInner {
    /// Returns which credentials still work now.
    pub(in crate::session) fn outstanding(&self) -> OutstandingCredentials {
        self.collect_children();
        let now = self.surroundings.now();
        let alive = self
            .latest_expiry()
            .into_iter()
            .map(|(account, until)| OutstandingAccount { account, until: expiry(until) });
        OutstandingCredentials {
            session: self.surroundings.id,
            principal: self.surroundings.principal.clone(),
            accounts: alive.filter(|account| !account.until.has_passed(now)).collect(),
        }
    }

    /// Returns the latest expiry by account, for own and inherited accounts, including those no longer inherited.
    fn latest_expiry(&self) -> Vec<(AccountName, Nanos)> {
        let mut until = self.parent.as_ref().map(|parent| parent.latest_expiry()).unwrap_or_default();
        until.retain(|(alias, _)| self.is_visible(alias));
        for slot in self.own_accounts() {
            let own = slot.lives_until();
            match until.iter_mut().find(|(alias, _)| alias == slot.alias()) {
                Some((_, known)) if self.is_inherited(slot.alias()) => *known = own,
                Some((_, known)) => *known = own.max(*known),
                None => until.push((slot.alias().clone(), own)),
            }
        }
        until
    }

    /// Returns whether the account has never been inherited from the parent.
    fn is_inherited(&self, alias: &AccountName) -> bool {
        !self.is_read_only() && (self.narrow_state().is_some() || self.default.alias() == alias)
    }

    /// Counts what living children hold, as is done when they end.
    fn collect_children(&self) {
        self.for_each_child(|child| {
            child.collect_children();
            child.propagate_to_parent();
        });
    }

    /// Adds the latest expiries of this session to its parent, which reports them after this session is gone.
    pub(super) fn propagate_to_parent(&self) {
        let Some(parent) = &self.parent else { return };
        for slot in self.own_accounts() {
            let heir = parent.find_account(slot.alias()).unwrap_or_else(|| Arc::clone(&parent.default));
            heir.outlive(slot.lives_until());
        }
    }
}

fn expiry(until: Nanos) -> Expiry {
    if until == Nanos::MAX { Expiry::Never } else { Expiry::At(UNIX_EPOCH + Duration::from_nanos(until)) }
}
