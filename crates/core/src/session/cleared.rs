//! Reports whether an account serves nothing because its session was cleared, and not for another reason.

use std::sync::Arc;

use super::family::Member;
use super::slot::Slot;
use super::{Generation, SessionAccount, SessionContext, SetId};
use crate::{Alias, Result};

impl SessionContext {
    /// Returns whether the session was cleared or closed, and nothing was set on it since.
    #[must_use]
    pub fn is_cleared(&self) -> bool {
        self.member().is_account_cleared(self.default_account())
    }
}

impl SessionContext {
    /// Refreshes the account as [`refresh`](Self::refresh) does. After a [`clear`](Self::clear), it also resumes the
    /// session's providers, if this account has one. Credentials that were set before the clear are not restored.
    ///
    /// Call it only when a user or a model requests it: nothing else may refill a session that was cleared.
    ///
    /// # Errors
    /// As [`refresh`](Self::refresh).
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionContext;
    /// # async fn demo(session: SessionContext) -> valetkey_core::Result<()> {
    /// session.clear();
    /// assert!(session.is_cleared());
    /// session.resume(session.default_account()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn resume(&self, account: &Alias) -> Result<Generation> {
        let slot = self.member().slot(account)?;
        self.member().wake_for(&slot);
        slot.refresh().await
    }
}

impl SessionAccount {
    /// Returns whether the account serves nothing because its session was cleared or closed, and nothing was set on it
    /// since.
    ///
    /// False for an account that never had credentials, and for one whose credentials expired, were rejected, were
    /// invalidated by a change of another account, or were withdrawn after a permanent failure: its provider is called
    /// again at the next use. An account that was inherited stays cleared after a clear of the child session, until
    /// credentials for it are set on the child session. [`rotations`](Self::rotations) announces a clear after this
    /// returns true.
    ///
    /// A watcher may miss this state when credentials follow a clear at once; see
    /// [`was_cleared_since`](Self::was_cleared_since).
    #[must_use]
    pub fn is_cleared(&self) -> bool {
        self.open_member().is_none_or(|member| member.is_account_cleared(self.alias()))
    }

    /// Returns whether the account was cleared or closed after it published the credentials `id`, even if other
    /// credentials followed. Copies of cleared credentials must no longer be used; copies that were only replaced may
    /// finish their work.
    #[must_use]
    pub fn was_cleared_since(&self, id: SetId) -> bool {
        self.open_member().is_none_or(|member| member.was_account_cleared_since(self.alias(), id))
    }

    fn open_member(&self) -> Option<Arc<Member>> {
        self.member().ok()
    }
}

impl Member {
    /// Resumes the providers of all accounts, since providers derive credentials from those of other accounts.
    fn wake_for(&self, slot: &Slot) {
        let _order = self.order();
        if slot.is_dormant() && slot.has_provider() {
            self.own_slots().iter().for_each(|slot| slot.wake());
        }
    }

    fn is_account_cleared(&self, alias: &Alias) -> bool {
        self.is_closed() || self.find(alias).map_or(self.is_detached(), |slot| slot.is_dormant())
    }

    fn was_account_cleared_since(&self, alias: &Alias, id: SetId) -> bool {
        self.is_closed() || self.find(alias).map_or(self.is_detached(), |slot| slot.was_cleared_since(id))
    }

    /// Creates a slot. In a session that was cleared, it begins cleared, as the other slots are.
    pub(super) fn new_slot(&self, alias: &Alias) -> Arc<Slot> {
        let slot = Arc::new(Slot::new(alias.clone(), Arc::clone(&self.surroundings)));
        if self.is_detached() {
            slot.begin_cleared(self.default_slot().is_dormant());
        }
        slot
    }
}
