//! `OutstandingCredentials`: what AWS goes on accepting when a session has ended.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use super::SessionInner;
use crate::clock::Nanos;
use crate::{AccountName, Expiry, Principal, SessionId};

/// What AWS goes on accepting, whoever holds a copy: the sets that a session and its children held and that have not
/// expired. Clearing and closing stop serving them and recall none; a
/// [`RevocationPolicy`](crate::RevocationPolicy) does.
///
/// A set counts from when the session got it, for it is not known who copied which, and also when it was rotated away.
/// So this says until when copies *may* work, never less than that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OutstandingCredentials {
    /// The session, as in its trail, and in the names and tags that [`Attribution`](crate::Attribution) puts on sets.
    pub session: SessionId,
    /// Whom the session acts for.
    pub principal: Option<Principal>,
    /// The accounts of which sets may still work. What a child held on an account of its own is told under the
    /// default one.
    pub accounts: Vec<OutstandingAccount>,
}

/// One account of which sets may still work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OutstandingAccount {
    /// The alias.
    pub account: AccountName,
    /// Until when the last of them works. `Never` for long-lived keys: they are whoever's they were before, and work
    /// until they are deleted.
    pub until: Expiry,
}

impl OutstandingCredentials {
    /// Whether nothing works any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Until when the last set works; `None` when none does.
    #[must_use]
    pub fn expires_at(&self) -> Option<Expiry> {
        self.accounts.iter().map(|account| account.until).max()
    }
}

impl SessionInner {
    /// What still works now.
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

    /// By account, here and where accounts are inherited from, whether or not they still are.
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

    /// Whether the account never showed what the parent has.
    fn is_inherited(&self, alias: &AccountName) -> bool {
        !self.is_read_only() && (self.narrow_state().is_some() || self.default.alias() == alias)
    }

    /// Counts what children hold that are still there, as at their end.
    fn collect_children(&self) {
        self.for_each_child(|child| {
            child.collect_children();
            child.propagate_to_parent();
        });
    }

    /// Leaves it to the parent to tell what still works, for nobody can ask a child that is gone.
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
