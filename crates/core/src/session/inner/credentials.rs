//! The credentials of a session's accounts, own and inherited, within the limits of the session.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use super::SessionInner;
use crate::cache::{AccountCache, CurrentCredentials};
use crate::clock::LONGEST_SLEEP;
use crate::session::narrow::NarrowState;
use crate::{AccountName, Credentials, Expiry, Result};

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
            None => Box::pin(self.credentials_for(self.default_account().alias())).await,
        }
    }

    /// Returns valid credentials of any account.
    ///
    /// Begins again when another cache serves the account at the end of a fetch, so that a caller never receives
    /// credentials from a cache that this session no longer uses.
    ///
    /// # Errors
    /// As [`account_cache`](Self::account_cache), and the errors of the fetch.
    pub(in crate::session) async fn credentials_for(&self, alias: &AccountName) -> Result<Credentials> {
        loop {
            let cache = self.account_cache(alias)?;
            let result = match self.find_own_account(alias) {
                Some(_) => Some(cache.credentials().await),
                None => self.inherited_credentials(&cache).await,
            };
            // The cache may belong to a parent, which continues after this session was cleared or closed in the
            // meantime.
            if let Some(result) = result
                && Arc::ptr_eq(&cache, &self.account_cache(alias)?)
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
        if !self.account_cache(cache.alias()).is_ok_and(|now| Arc::ptr_eq(cache, &now)) {
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
            Some(_) => self.cached(self.default_account().alias()),
        }
    }

    /// Returns the credentials of any account if they are fresh.
    pub(in crate::session) fn cached(&self, alias: &AccountName) -> Option<Credentials> {
        Some(self.clamp(self.account_cache(alias).ok()?.cached()?))
    }

    /// Returns what the default account serves without a fetch.
    pub(in crate::session) fn current_default(&self) -> Option<CurrentCredentials> {
        match self.narrow_state() {
            None => self.default_account().current_credentials(),
            Some(_) => self.current(self.default_account().alias()),
        }
    }

    /// Returns what an account serves without a fetch, with its version.
    pub(in crate::session) fn current(&self, alias: &AccountName) -> Option<CurrentCredentials> {
        let current = self.account_cache(alias).ok()?.current_credentials()?;
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
