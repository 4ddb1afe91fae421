//! Reports whether an account serves nothing because its session was cleared, and not for another reason.

use std::sync::Arc;

use super::family::SessionInner;
use super::slot::AccountCache;
use super::{CredentialsVersion, Generation, SessionAccount, SessionContext};
use crate::{AccountName, Result};

impl SessionContext {
    /// Returns whether the session was cleared or closed, and nothing was set on it since.
    #[must_use]
    pub fn is_cleared(&self) -> bool {
        self.inner().is_account_cleared(self.default_account())
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
    pub async fn resume(&self, account: &AccountName) -> Result<Generation> {
        let slot = self.inner().account_cache(account)?;
        self.inner().resume_for(&slot);
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
    /// credentials for it are set on the child session. [`rotations`](Self::watch_rotations) announces a clear after this
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
    pub fn was_cleared_since(&self, id: CredentialsVersion) -> bool {
        self.open_member().is_none_or(|member| member.was_account_cleared_since(self.alias(), id))
    }

    fn open_member(&self) -> Option<Arc<SessionInner>> {
        self.session().ok()
    }
}

impl SessionInner {
    /// Resumes the providers of all accounts, since providers derive credentials from those of other accounts.
    fn resume_for(&self, slot: &AccountCache) {
        let _order = self.topology_lock();
        if slot.is_dormant() && slot.has_provider() {
            self.own_accounts().iter().for_each(|slot| slot.wake());
        }
    }

    fn is_account_cleared(&self, alias: &AccountName) -> bool {
        self.is_closed() || self.find_account(alias).map_or(self.is_detached(), |slot| slot.is_dormant())
    }

    fn was_account_cleared_since(&self, alias: &AccountName, id: CredentialsVersion) -> bool {
        self.is_closed()
            || self.find_account(alias).map_or(self.is_detached(), |slot| slot.was_cleared_since(id))
    }

    /// Creates a slot. In a session that was cleared, it begins cleared, as the other slots are.
    pub(super) fn new_account(&self, alias: &AccountName) -> Arc<AccountCache> {
        let slot = Arc::new(AccountCache::new(alias.clone(), Arc::clone(&self.surroundings)));
        if self.is_detached() {
            slot.begin_cleared(self.default_account().is_dormant());
        }
        slot
    }
}
