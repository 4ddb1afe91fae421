//! Until when AWS accepts what the accounts of a session and of its children have held.

use std::sync::Arc;

use super::SessionInner;
use crate::AccountName;
use crate::clock::Nanos;

impl SessionInner {
    /// Returns the latest expiry by account, for own and inherited accounts, including those no longer inherited.
    pub(in crate::session) fn latest_expiry(&self) -> Vec<(AccountName, Nanos)> {
        let mut latest = self.parent.as_ref().map(|parent| parent.latest_expiry()).unwrap_or_default();
        latest.retain(|(alias, _)| self.is_visible(alias));
        for cache in self.own_accounts() {
            let own = cache.latest_expiry();
            match latest.iter_mut().find(|(alias, _)| alias == cache.alias()) {
                Some((_, inherited)) if self.never_inherited(cache.alias()) => *inherited = own,
                Some((_, inherited)) => *inherited = own.max(*inherited),
                None => latest.push((cache.alias().clone(), own)),
            }
        }
        latest
    }

    /// Returns whether the account has never been inherited from the parent.
    fn never_inherited(&self, alias: &AccountName) -> bool {
        !self.is_read_only() && (self.narrow_state().is_some() || self.default.alias() == alias)
    }

    /// Counts what living children hold, as is done when they end.
    pub(in crate::session) fn collect_children(&self) {
        self.for_each_child(|child| {
            child.collect_children();
            child.propagate_to_parent();
        });
    }

    /// Adds the latest expiries of this session to its parent, which reports them after this session is gone.
    pub(in crate::session) fn propagate_to_parent(&self) {
        let Some(parent) = &self.parent else { return };
        for cache in self.own_accounts() {
            let account = parent.find_account(cache.alias()).unwrap_or_else(|| Arc::clone(&parent.default));
            account.extend_latest_expiry(cache.latest_expiry());
        }
    }
}
