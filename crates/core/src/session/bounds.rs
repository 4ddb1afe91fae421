//! `Bounds` of a session: which accounts it may have, and how a narrowed session limits what it serves.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use super::family::Member;
use super::slot::Slot;
use super::{ServedSet, SessionContext};
use crate::clock::LONGEST_SLEEP;
use crate::{Alias, Credentials, Expiry, Result};

/// Limits which accounts a session may have and what it may do.
pub(super) struct Bounds {
    /// The aliases allowed in this session and its children (default: any).
    pub(super) allowed: Option<Box<[Alias]>>,
    pub(super) narrowed: Option<Narrowed>,
}

/// Marks a session with less authority than its parent.
pub(super) struct Narrowed {
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
        let mut topology = self.member().reshaped();
        let session = Arc::downgrade(self.member());
        async move {
            while session.upgrade().is_some_and(|session| !session.is_closed()) {
                tokio::select! {
                    biased;
                    // The sender is dropped with the session.
                    changed = topology.changed() => if changed.is_err() { return },
                    () = over(&session) => {}
                }
            }
        }
    }
}

impl Member {
    pub(super) fn allowed(&self) -> Option<&[Alias]> {
        self.bounds.as_ref()?.allowed.as_deref()
    }

    pub(super) fn narrowed(&self) -> Option<&Narrowed> {
        self.bounds.as_ref()?.narrowed.as_ref()
    }

    /// Returns whether the session holds nothing itself and shows some of its parent's accounts.
    pub(super) fn is_view(&self) -> bool {
        self.narrowed().is_some_and(|narrowed| !narrowed.own_accounts)
    }

    #[inline]
    pub(super) fn until(&self) -> Option<SystemTime> {
        self.narrowed()?.until
    }

    /// Returns the time until the deadline.
    fn left(&self) -> Option<Duration> {
        self.until()?.duration_since(self.surroundings.now()).ok()
    }

    /// Returns whether the deadline has passed. The first check that sees this closes the session, so that a clock
    /// that jumps back does not revive it.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        let over = self.until().is_some_and(|until| until <= self.surroundings.now());
        if over {
            self.close();
        }
        over
    }

    /// Returns the expiry that this session reports for credentials: at the latest its own end.
    pub(super) fn told(&self, expiry: Expiry) -> Expiry {
        self.until().map_or(expiry, |until| expiry.min(Expiry::At(until)))
    }

    /// Returns valid credentials of the default account.
    pub(super) async fn credentials(&self) -> Result<Credentials> {
        match self.fresh_by_default() {
            Some(fresh) => Ok(fresh),
            None => Box::pin(self.credentials_for(self.default_slot().alias())).await,
        }
    }

    /// Returns valid credentials of any account.
    pub(super) async fn credentials_for(&self, alias: &Alias) -> Result<Credentials> {
        loop {
            let slot = self.slot(alias)?;
            let answer = match self.own(alias) {
                Some(_) => Some(slot.credentials().await),
                None => self.inherited(&slot).await,
            };
            // The slot may belong to a parent, which continues after this session was cleared or closed in the
            // meantime.
            if let Some(answer) = answer
                && Arc::ptr_eq(&slot, &self.slot(alias)?)
            {
                return answer.map(|credentials| self.bounded(credentials));
            }
        }
    }

    /// Returns the result of a parent's slot; `None` when this session is cleared, changes its accounts or ends before
    /// that.
    async fn inherited(&self, slot: &Arc<Slot>) -> Option<Result<Credentials>> {
        if let Some(fresh) = slot.fresh() {
            return Some(Ok(fresh));
        }
        // Subscribe before the check, so that a change in between is not missed.
        let mut reshaped = self.reshaped();
        if !self.slot(slot.alias()).is_ok_and(|now| Arc::ptr_eq(slot, &now)) {
            return None;
        }
        tokio::select! {
            biased;
            answer = slot.credentials() => Some(answer),
            _ = reshaped.changed() => None,
            () = elapsed(self.until().is_some(), || self.left()) => None,
        }
    }

    /// Returns the credentials of the default account if they are fresh.
    #[inline]
    pub(super) fn fresh_by_default(&self) -> Option<Credentials> {
        match self.narrowed() {
            None => self.default_slot().fresh(),
            Some(_) => self.fresh(self.default_slot().alias()),
        }
    }

    pub(super) fn fresh(&self, alias: &Alias) -> Option<Credentials> {
        Some(self.bounded(self.slot(alias).ok()?.fresh()?))
    }

    /// Returns what the default account serves without a fetch.
    pub(super) fn served_by_default(&self) -> Option<ServedSet> {
        match self.narrowed() {
            None => self.default_slot().served(),
            Some(_) => self.served(self.default_slot().alias()),
        }
    }

    pub(super) fn served(&self, alias: &Alias) -> Option<ServedSet> {
        let served = self.slot(alias).ok()?.served()?;
        Some(ServedSet { credentials: self.bounded(served.credentials), ..served })
    }

    /// Returns credentials as this session may serve them: they expire with the session at the latest.
    fn bounded(&self, credentials: Credentials) -> Credentials {
        match self.until() {
            Some(until) => credentials.ending(until),
            None => credentials,
        }
    }
}

/// Waits until the deadline of a narrowed session has passed; forever if there is none. Cancel safe.
pub(super) async fn over(session: &Weak<Member>) {
    let bounded = session.upgrade().is_some_and(|session| session.until().is_some());
    elapsed(bounded, || session.upgrade()?.left()).await;
}

async fn elapsed(bounded: bool, left: impl Fn() -> Option<Duration>) {
    if !bounded {
        std::future::pending::<()>().await;
    }
    while let Some(left) = left().filter(|left| !left.is_zero()) {
        tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
    }
}
