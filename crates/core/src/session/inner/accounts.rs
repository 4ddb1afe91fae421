//! The accounts of a session: their credentials and regions, and the operations on them, within the limits of the session.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use super::SessionInner;
use super::tree::clear_provider_caches;
use crate::audit::AuditEvent;
use crate::cache::{AccountCache, ClearKind, CurrentCredentials, Generation, RenewalChain};
use crate::clock::LONGEST_SLEEP;
use crate::session::AccountStatus;
use crate::session::narrow::NarrowState;
use crate::session::outstanding::expiry_from_nanos;
use crate::{
    AccessKeyId, AccountName, CredentialId, CredentialProvider, Credentials, Expiry, KeyExchange, Region,
    Result,
};

impl SessionInner {
    /// Returns the list of allowed accounts of this session; `None` without such a list, even if an ancestor has
    /// one.
    pub(in crate::session) fn allowed_accounts(&self) -> Option<&[AccountName]> {
        self.restrictions.as_ref()?.allowed.as_deref()
    }

    /// Returns how the session was narrowed; `None` for a session with the full authority of its parent.
    pub(in crate::session) fn narrow_state(&self) -> Option<&NarrowState> {
        self.restrictions.as_ref()?.narrowed.as_ref()
    }

    /// Returns whether the session holds nothing itself and shows some of its parent's accounts.
    pub(in crate::session) fn is_read_only(&self) -> bool {
        self.narrow_state().is_some_and(|narrowed| !narrowed.own_accounts)
    }

    /// Returns when the session ends by itself. It includes the deadlines of the ancestors, since a child never
    /// outlives its parent.
    #[inline]
    pub(in crate::session) fn deadline(&self) -> Option<SystemTime> {
        self.narrow_state()?.deadline
    }

    /// Returns the time until the deadline.
    ///
    /// `None` without a deadline, and once it has passed.
    fn remaining(&self) -> Option<Duration> {
        self.deadline()?.duration_since(self.shared.now()).ok()
    }

    /// Returns whether the deadline has passed. The first check that sees this closes the session, so that a clock
    /// that jumps back does not revive it.
    #[inline]
    pub(in crate::session) fn close_if_expired(&self) -> bool {
        let expired = self.deadline().is_some_and(|deadline| deadline <= self.shared.now());
        if expired {
            self.close();
        }
        expired
    }

    /// Waits until the deadline of a narrowed session has passed; forever if there is none. Cancel safe.
    pub(in crate::session) async fn wait_expired(session: &Weak<Self>) {
        let has_deadline = session.upgrade().is_some_and(|session| session.deadline().is_some());
        sleep_until_deadline(has_deadline, || session.upgrade()?.remaining()).await;
    }

    /// Returns the expiry that this session reports for credentials: at the latest its own end.
    pub(in crate::session) fn announced_expiry(&self, expiry: Expiry) -> Expiry {
        self.deadline().map_or(expiry, |deadline| expiry.min(Expiry::At(deadline)))
    }

    /// Returns valid credentials of the default account.
    ///
    /// The warm path: it allocates a future only when there is a decision to make.
    ///
    /// # Errors
    /// As [`credentials_for`](Self::credentials_for).
    pub(in crate::session) async fn credentials(&self) -> Result<Credentials> {
        match self.cached_default() {
            Some(fresh) => Ok(fresh),
            None => Box::pin(self.credentials_for(self.default_account().name())).await,
        }
    }

    /// Returns valid credentials of any account.
    ///
    /// Begins again when another cache serves the account at the end of a fetch, so that a caller never receives
    /// credentials from a cache that this session no longer uses.
    ///
    /// # Errors
    /// As [`account_cache`](Self::account_cache), and the errors of the fetch.
    pub(in crate::session) async fn credentials_for(&self, name: &AccountName) -> Result<Credentials> {
        loop {
            let cache = self.account_cache(name)?;
            let result = match self.find_own_account(name) {
                Some(_) => Some(cache.credentials().await),
                None => self.inherited_credentials(&cache).await,
            };
            // The cache may belong to a parent, which continues after this session was cleared or closed in the
            // meantime.
            if let Some(result) = result
                && Arc::ptr_eq(&cache, &self.account_cache(name)?)
            {
                return result.map(|credentials| self.clamp(credentials));
            }
        }
    }

    /// Returns the result of a parent's slot; `None` when this session is cleared, changes its accounts or ends before
    /// that.
    async fn inherited_credentials(&self, cache: &Arc<AccountCache>) -> Option<Result<Credentials>> {
        if let Some(fresh) = cache.cached() {
            return Some(Ok(fresh));
        }
        // Subscribe before the check, so that a change in between is not missed.
        let mut topology = self.subscribe_topology();
        if !self.account_cache(cache.name()).is_ok_and(|now| Arc::ptr_eq(cache, &now)) {
            return None;
        }
        tokio::select! {
            biased;
            result = cache.credentials() => Some(result),
            _ = topology.changed() => None,
            () = sleep_until_deadline(self.deadline().is_some(), || self.remaining()) => None,
        }
    }

    /// Returns the credentials of the default account if they are fresh.
    #[inline]
    pub(in crate::session) fn cached_default(&self) -> Option<Credentials> {
        match self.narrow_state() {
            None => self.default_account().cached(),
            Some(_) => self.cached(self.default_account().name()),
        }
    }

    /// Returns the credentials of any account if they are fresh.
    pub(in crate::session) fn cached(&self, name: &AccountName) -> Option<Credentials> {
        Some(self.clamp(self.account_cache(name).ok()?.cached()?))
    }

    /// Returns what the default account serves without a fetch.
    pub(in crate::session) fn current_default(&self) -> Option<CurrentCredentials> {
        match self.narrow_state() {
            None => self.default_account().current_credentials(),
            Some(_) => self.current(self.default_account().name()),
        }
    }

    /// Returns what an account serves without a fetch, with its version.
    pub(in crate::session) fn current(&self, name: &AccountName) -> Option<CurrentCredentials> {
        let current = self.account_cache(name).ok()?.current_credentials()?;
        Some(CurrentCredentials { credentials: self.clamp(current.credentials), ..current })
    }

    /// Returns credentials as this session may serve them: they expire with the session at the latest.
    ///
    /// The keys stay the same: AWS accepts them for as long as they were issued. The earlier expiry makes consumers
    /// such as SDK clients return in time.
    fn clamp(&self, credentials: Credentials) -> Credentials {
        match self.deadline() {
            Some(deadline) => credentials.capped_at(deadline),
            None => credentials,
        }
    }

    /// Returns the configured region: of the credentials, the account, or the session. `None` leaves the choice to
    /// the environment.
    pub(in crate::session) fn region_for(&self, name: &AccountName) -> Option<Region> {
        self.account_region(name).or_else(|| self.region.as_deref().cloned())
    }

    /// Returns the region to use. `us-east-1`, the last resort, applies when no source specifies one.
    pub(in crate::session) fn resolved_region(&self, name: &AccountName) -> Region {
        let configured = self.region_for(name).or_else(|| self.environment_region(name));
        configured.unwrap_or_else(Region::us_east_1)
    }

    /// Returns the region that the credentials or the account specify.
    fn account_region(&self, name: &AccountName) -> Option<Region> {
        let own = self.account_cache(name).ok().and_then(|cache| cache.region());
        own.or_else(|| self.narrowed_parent()?.account_region(name))
    }

    /// Returns the region of the environment in which the credentials were fetched, otherwise that of the host.
    pub(in crate::session) fn environment_region(&self, name: &AccountName) -> Option<Region> {
        let fetched = self.account_cache(name).ok().and_then(|cache| cache.environment_region());
        let inherited = || self.narrowed_parent()?.environment_region(name);
        fetched.or_else(inherited).or_else(|| self.shared.environment_region())
    }

    /// Returns the session whose accounts this session narrows by a policy: they are used in the same regions.
    fn narrowed_parent(&self) -> Option<&Self> {
        let narrowed = self.narrow_state().filter(|narrowed| narrowed.own_accounts);
        narrowed.and(self.parent.as_deref())
    }

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
            self.invalidate_others(&cache);
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

/// Sleeps in steps, and reads the clock after each: a machine that was suspended, or a clock that jumped, is
/// noticed within one step. Returns at once if `remaining` is `None`; forever pending without a deadline.
async fn sleep_until_deadline(has_deadline: bool, remaining: impl Fn() -> Option<Duration>) {
    if !has_deadline {
        std::future::pending::<()>().await;
    }
    while let Some(remaining) = remaining().filter(|remaining| !remaining.is_zero()) {
        tokio::time::sleep(remaining.min(LONGEST_SLEEP)).await;
    }
}
