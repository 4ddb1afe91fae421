//! `Restrictions` of a session: which accounts it may have, and how a narrowed session limits what it serves.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use super::family::SessionInner;
use super::slot::AccountCache;
use super::{CurrentCredentials, SessionContext};
use crate::clock::LONGEST_SLEEP;
use crate::{AccountName, Credentials, Expiry, Result};

/// Limits which accounts a session may have and what it may do.
pub(super) struct Restrictions {
    /// The aliases allowed in this session and its children (default: any).
    pub(super) allowed: Option<Box<[AccountName]>>,
    pub(super) narrowed: Option<NarrowState>,
}

/// Marks a session with less authority than its parent.
pub(super) struct NarrowState {
    /// Whether its accounts are its own, narrowed by a policy; otherwise it is a view of its parent's accounts.
    pub(super) own_accounts: bool,
    /// When the session ends.
    pub(super) until: Option<SystemTime>,
}

impl SessionContext {
    /// Waits until the session is closed: by [`close`](Self::close), by the end of its lifetime, with its parent, or when
    /// its last clone is dropped. The future holds no clone and does not keep the session alive.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionContext;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let session = SessionContext::builder().build();
    /// let closed = session.closed();
    /// session.close();
    /// closed.await;
    /// # }
    /// ```
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut topology = self.inner().subscribe_topology();
        let session = Arc::downgrade(self.inner());
        async move {
            while session.upgrade().is_some_and(|session| !session.is_closed()) {
                tokio::select! {
                    biased;
                    // The sender is dropped with the session.
                    changed = topology.changed() => if changed.is_err() { return },
                    () = wait_expired(&session) => {}
                }
            }
        }
    }
}

impl SessionInner {
    pub(super) fn allowed_accounts(&self) -> Option<&[AccountName]> {
        self.bounds.as_ref()?.allowed.as_deref()
    }

    pub(super) fn narrow_state(&self) -> Option<&NarrowState> {
        self.bounds.as_ref()?.narrowed.as_ref()
    }

    /// Returns whether the session holds nothing itself and shows some of its parent's accounts.
    pub(super) fn is_read_only(&self) -> bool {
        self.narrow_state().is_some_and(|narrowed| !narrowed.own_accounts)
    }

    #[inline]
    pub(super) fn deadline(&self) -> Option<SystemTime> {
        self.narrow_state()?.until
    }

    /// Returns the time until the deadline.
    fn remaining(&self) -> Option<Duration> {
        self.deadline()?.duration_since(self.surroundings.now()).ok()
    }

    /// Returns whether the deadline has passed. The first check that sees this closes the session, so that a clock
    /// that jumps back does not revive it.
    #[inline]
    pub(super) fn close_if_expired(&self) -> bool {
        let over = self.deadline().is_some_and(|until| until <= self.surroundings.now());
        if over {
            self.close();
        }
        over
    }

    /// Returns the expiry that this session reports for credentials: at the latest its own end.
    pub(super) fn announced_expiry(&self, expiry: Expiry) -> Expiry {
        self.deadline().map_or(expiry, |until| expiry.min(Expiry::At(until)))
    }

    /// Returns valid credentials of the default account.
    pub(super) async fn credentials(&self) -> Result<Credentials> {
        match self.cached_default() {
            Some(fresh) => Ok(fresh),
            None => Box::pin(self.credentials_for(self.default_account().alias())).await,
        }
    }

    /// Returns valid credentials of any account.
    pub(super) async fn credentials_for(&self, alias: &AccountName) -> Result<Credentials> {
        loop {
            let slot = self.account_cache(alias)?;
            let answer = match self.find_own_account(alias) {
                Some(_) => Some(slot.credentials().await),
                None => self.inherited_credentials(&slot).await,
            };
            // The slot may belong to a parent, which continues after this session was cleared or closed in the
            // meantime.
            if let Some(answer) = answer
                && Arc::ptr_eq(&slot, &self.account_cache(alias)?)
            {
                return answer.map(|credentials| self.clamp(credentials));
            }
        }
    }

    /// Returns the result of a parent's slot; `None` when this session is cleared, changes its accounts or ends before
    /// that.
    async fn inherited_credentials(&self, slot: &Arc<AccountCache>) -> Option<Result<Credentials>> {
        if let Some(fresh) = slot.cached() {
            return Some(Ok(fresh));
        }
        // Subscribe before the check, so that a change in between is not missed.
        let mut reshaped = self.subscribe_topology();
        if !self.account_cache(slot.alias()).is_ok_and(|now| Arc::ptr_eq(slot, &now)) {
            return None;
        }
        tokio::select! {
            biased;
            answer = slot.credentials() => Some(answer),
            _ = reshaped.changed() => None,
            () = sleep_until_deadline(self.deadline().is_some(), || self.remaining()) => None,
        }
    }

    /// Returns the credentials of the default account if they are fresh.
    #[inline]
    pub(super) fn cached_default(&self) -> Option<Credentials> {
        match self.narrow_state() {
            None => self.default_account().cached(),
            Some(_) => self.cached(self.default_account().alias()),
        }
    }

    pub(super) fn cached(&self, alias: &AccountName) -> Option<Credentials> {
        Some(self.clamp(self.account_cache(alias).ok()?.cached()?))
    }

    /// Returns what the default account serves without a fetch.
    pub(super) fn current_default(&self) -> Option<CurrentCredentials> {
        match self.narrow_state() {
            None => self.default_account().current_credentials(),
            Some(_) => self.current(self.default_account().alias()),
        }
    }

    pub(super) fn current(&self, alias: &AccountName) -> Option<CurrentCredentials> {
        let served = self.account_cache(alias).ok()?.current_credentials()?;
        Some(CurrentCredentials { credentials: self.clamp(served.credentials), ..served })
    }

    /// Returns credentials as this session may serve them: they expire with the session at the latest.
    fn clamp(&self, credentials: Credentials) -> Credentials {
        match self.deadline() {
            Some(until) => credentials.capped_at(until),
            None => credentials,
        }
    }
}

/// Waits until the deadline of a narrowed session has passed; forever if there is none. Cancel safe.
pub(super) async fn wait_expired(session: &Weak<SessionInner>) {
    let bounded = session.upgrade().is_some_and(|session| session.deadline().is_some());
    sleep_until_deadline(bounded, || session.upgrade()?.remaining()).await;
}

async fn sleep_until_deadline(bounded: bool, left: impl Fn() -> Option<Duration>) {
    if !bounded {
        std::future::pending::<()>().await;
    }
    while let Some(left) = left().filter(|left| !left.is_zero()) {
        tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
    }
}
