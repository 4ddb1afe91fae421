//! The operations on one account of a session.

use std::sync::Arc;

use super::SessionInner;
use super::tree::clear_provider_caches;
use crate::audit::AuditEvent;
use crate::cache::{ClearKind, Generation, RenewalChain};
use crate::session::AccountStatus;
use crate::session::outstanding::expiry_from_nanos;
use crate::{
    AccessKeyId, AccountName, CredentialId, CredentialProvider, Credentials, Expiry, KeyExchange, Region,
    Result,
};

impl SessionInner {
    pub(in crate::session) fn set_credentials(
        &self,
        account: &AccountName,
        credentials: Credentials,
    ) -> Result<Generation> {
        self.apply_update(&*self.own_account(account)?, |cache| cache.set(credentials))
    }

    pub(in crate::session) fn set_provider(
        &self,
        account: &AccountName,
        provider: Arc<dyn CredentialProvider>,
    ) -> Result<()> {
        self.apply_update(&*self.own_account(account)?, |cache| cache.set_provider(provider))
    }

    pub(in crate::session) fn set_key_exchange(
        &self,
        account: &AccountName,
        exchange: Arc<dyn KeyExchange>,
    ) -> Result<()> {
        self.apply_update(&*self.own_account(account)?, |cache| cache.set_key_exchange(exchange))
    }

    /// The last clear is read before the lookup and compared when the credentials are set: a lookup that was slow
    /// does not refill a session that was cleared in the meantime.
    ///
    /// # Errors
    /// As [`SessionContext::set_from_resolver`](crate::SessionContext::set_from_resolver).
    pub(in crate::session) async fn set_from_resolver(
        &self,
        account: &AccountName,
        id: &CredentialId,
        region: Option<Region>,
    ) -> Result<AccountStatus> {
        self.check_writable(account)?;
        let last_clear = self.last_clear(account)?;
        let found = self.resolve(id).await?;
        let found = match region {
            Some(region) => found.with_region(region),
            None => found,
        };
        let cache = self.own_account(account)?;
        self.apply_update(&cache, |cache| cache.set_unless_cleared(last_clear, found))?;
        Ok(AccountStatus::of(self, &cache))
    }

    /// Identifies the last clear of an account that the session owns, or would own if something were set on it.
    fn last_clear(&self, account: &AccountName) -> Result<RenewalChain> {
        match self.find_own_account(account) {
            Some(own) => own.last_clear(),
            // Nothing is inherited any more, so a new account replaces nothing.
            None if self.is_detached() => self.own_account(account)?.last_clear(),
            None => Ok(RenewalChain::default()),
        }
    }

    pub(in crate::session) async fn refresh(&self, account: &AccountName) -> Result<Generation> {
        self.account_cache(account)?.refresh().await
    }

    pub(in crate::session) async fn resume(&self, account: &AccountName) -> Result<Generation> {
        let cache = self.account_cache(account)?;
        self.resume_for(&cache);
        cache.refresh().await
    }

    /// The report goes to the cache that serves the account, which may belong to a parent: the key is then expired
    /// for all sessions that use that cache.
    pub(in crate::session) fn mark_rejected(&self, account: &AccountName, rejected: &AccessKeyId) {
        if let Ok(cache) = self.account_cache(account) {
            cache.mark_rejected(rejected);
        }
    }

    /// Clears one account, and invalidates what the providers of the others issued, since it may have been derived
    /// from what was cleared. Returns when the last credentials that the account held expire, unless that has passed.
    ///
    /// A cleared account of this session replaces an inherited one. It counts what the inherited account has held,
    /// since this session may have passed that on.
    ///
    /// # Errors
    /// As [`account_cache`](Self::account_cache) and [`check_writable`](Self::check_writable).
    pub(in crate::session) fn clear_account(&self, account: &AccountName) -> Result<Option<Expiry>> {
        let inherited = self.account_cache(account)?;
        let cache = self.own_account(account)?;
        cache.extend_latest_expiry(inherited.latest_expiry());
        let cleared = {
            let _topology = self.topology_lock();
            let cleared = cache.clear(ClearKind::Alone);
            self.invalidate_issued();
            cleared
        };
        clear_provider_caches(&cleared);
        let outstanding = expiry_from_nanos(cache.latest_expiry());
        let outstanding = Some(outstanding).filter(|expiry| !expiry.has_passed(self.shared.now()));
        self.shared.audit(AuditEvent::Clear, |record| record.account(account).with_expiry(outstanding));
        self.close_narrowed_children(account);
        Ok(outstanding)
    }

    /// Closes the children whose own account is narrowed from `account`, as a clear of the session does.
    fn close_narrowed_children(&self, account: &AccountName) {
        self.for_each_child(|child| match child.find_own_account(account) {
            Some(_) if child.narrow_state().is_some() => child.close(),
            Some(_) => {}
            None => child.close_narrowed_children(account),
        });
    }
}
