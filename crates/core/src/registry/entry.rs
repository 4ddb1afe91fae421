//! `Entry`: one session in a registry, and whether its time is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::SessionHandle;
use super::shelf::Shelf;
use super::timeline::Moment;
use super::usage::{Idle, Usage};
use crate::{Principal, SessionContext};

pub(super) struct Entry {
    usage: Usage,
    /// The end of its lifetime.
    ends_at: Moment,
    pub(super) handle: SessionHandle,
    pub(super) principal: Principal,
    pub(super) session: SessionContext,
    /// A cycle while the session is on the shelf; whatever ends the session cuts it.
    pub(super) shelf: Arc<Shelf>,
    pub(super) booking: Booking,
}

/// Where the ledger has the entry. Read and written only under the ledger's lock.
#[derive(Default)]
pub(super) struct Booking {
    due: AtomicU64,
    place: AtomicUsize,
}

/// What becomes of a session that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    /// It is retired, and closed by the last of the calls in flight.
    Lingers,
    /// It is retired, and whoever is told so closes it.
    Leaves,
}

impl Entry {
    /// A session that is opened `now`, with one call in flight.
    pub(super) fn new(
        handle: SessionHandle,
        principal: Principal,
        session: SessionContext,
        shelf: Arc<Shelf>,
        now: Moment,
    ) -> Self {
        Self {
            usage: Usage::begun(),
            ends_at: now.saturating_add(shelf.limits.lifetime),
            handle,
            principal,
            session,
            shelf,
            booking: Booking::default(),
        }
    }

    pub(super) fn begin(&self) -> bool {
        self.usage.begin()
    }

    /// The end of a call. True when the caller has to let the session go.
    pub(super) fn end(&self, now: Moment) -> bool {
        // Retires it if its time is up. As this call is still counted in, the count decides who lets it go.
        let _counted = self.review(now);
        self.usage.end(now)
    }

    /// Retires the session if its time is up. What closed itself has nothing to wait for.
    pub(super) fn review(&self, now: Moment) -> Fate {
        if self.session.is_closed() {
            self.usage.retire();
            return Fate::Leaves;
        }
        if now >= self.ends_at {
            return if self.usage.retire() { Fate::Leaves } else { Fate::Lingers };
        }
        match self.usage.idle().filter(|idle| self.idle_until(idle) <= now) {
            Some(idle) if self.usage.retire_if_still(idle) => Fate::Leaves,
            _ => Fate::Stays,
        }
    }

    /// When to look again at a session that stays.
    pub(super) fn due(&self, now: Moment) -> Moment {
        let in_use_until = now.saturating_add(self.shelf.limits.idle_ttl);
        let until = self.usage.idle().map_or(in_use_until, |idle| self.idle_until(&idle));
        // Later than now in any case, so that who sweeps gets on.
        until.min(self.ends_at).max(now.saturating_add(1))
    }

    pub(super) fn idle(&self) -> Option<Idle> {
        self.usage.idle()
    }

    /// Retires it to make room, unless a call has begun since it was seen idle.
    pub(super) fn make_way(&self, idle: Idle) -> bool {
        self.usage.retire_if_still(idle)
    }

    fn idle_until(&self, idle: &Idle) -> Moment {
        idle.since.saturating_add(self.shelf.limits.idle_ttl)
    }
}

impl Booking {
    pub(super) fn due(&self) -> Moment {
        self.due.load(Ordering::Relaxed)
    }

    pub(super) fn set_due(&self, due: Moment) {
        self.due.store(due, Ordering::Relaxed);
    }

    pub(super) fn place(&self) -> usize {
        self.place.load(Ordering::Relaxed)
    }

    pub(super) fn set_place(&self, place: usize) {
        self.place.store(place, Ordering::Relaxed);
    }
}
