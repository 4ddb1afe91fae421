//! `Entry`: one session in a registry, and whether its time is up.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::SessionHandle;
use super::ledger::Booking;
use super::pool::{Pool, Use};
use super::shelf::Shelf;
use super::timeline::Moment;
use crate::sync::AtomicU64;
use crate::{Principal, SessionContext};

/// Ends its session when the last reference to it is dropped; so none is dropped under a lock. It is taken out of the
/// pool and struck from the ledger in one.
pub(super) struct Entry {
    /// When the last call ended, or the session was opened.
    last_used: AtomicU64,
    /// The end of its lifetime.
    ends_at: Moment,
    pub(super) handle: SessionHandle,
    pub(super) principal: Principal,
    pub(super) session: SessionContext,
    /// A cycle while the session is in the pool; whatever takes it out cuts it.
    pub(super) shelf: Arc<Shelf>,
    pub(super) booking: Booking,
}

/// How a session stands at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    /// No call ended within the idle time: it leaves, unless one is in flight.
    Idle,
    /// Its lifetime has passed: it is found no more, and leaves when no call is in flight.
    Over,
    /// It was closed, by whoever: nothing is left to wait for.
    Closed,
}

impl Entry {
    /// A session that is opened `now`.
    pub(super) fn new(
        handle: SessionHandle,
        principal: Principal,
        session: SessionContext,
        shelf: Arc<Shelf>,
        now: Moment,
    ) -> Self {
        Self {
            last_used: AtomicU64::new(now),
            ends_at: now.saturating_add(shelf.limits.lifetime),
            handle,
            principal,
            session,
            shelf,
            booking: Booking::default(),
        }
    }

    /// Runs no code but ours, since it is asked under locks.
    pub(super) fn standing(&self, now: Moment) -> Standing {
        if self.session.was_closed() {
            Standing::Closed
        } else if self.ends_at <= now {
            Standing::Over
        } else if self.idle_until() <= now {
            Standing::Idle
        } else {
            Standing::Good
        }
    }

    /// When to look again at a session that stays. It stays beyond a limit because it is in use, and is idle after one more
    /// idle time at the earliest. Its last call closes it when it is over, unless that read the time just before.
    pub(super) fn due(&self, now: Moment) -> Moment {
        let again = now.saturating_add(self.shelf.limits.soonest());
        let look = |limit: Moment| if limit > now { limit } else { again };
        // Later than now in any case, so that who sweeps gets on.
        look(self.idle_until()).min(look(self.ends_at)).max(now.saturating_add(1))
    }

    pub(super) fn last_used(&self) -> Moment {
        self.last_used.load(Ordering::Relaxed)
    }

    pub(super) fn used(&self, now: Moment) {
        self.last_used.store(now, Ordering::Relaxed);
    }

    fn idle_until(&self) -> Moment {
        self.last_used().saturating_add(self.shelf.limits.idle_ttl)
    }
}

impl Pool<Entry> {
    /// Takes the session out if its time is up: it was closed, or it is idle or over and nobody uses it.
    pub(super) fn take_expired(&self, handle: &SessionHandle, now: Moment) -> Option<Use<Entry>> {
        self.take(handle, |entry, used| match entry.standing(now) {
            Standing::Good => false,
            Standing::Idle | Standing::Over => !used,
            Standing::Closed => true,
        })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.session.end();
    }
}
