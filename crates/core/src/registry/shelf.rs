//! `Shelf`: where the open sessions of a registry are, shared by its handles and by the sessions in use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::SessionHandle;
use super::builder::Limits;
use super::entry::{Entry, Standing};
use super::ledger::Ledger;
use super::pool::{Pool, Use, is_used};
use super::timeline::{Moment, Timeline};
use crate::clock::WallClock;
use crate::session::agenda::Agenda;
use crate::{Principal, Result, SessionContext};

pub(super) struct Shelf {
    timeline: Timeline,
    pub(super) limits: Limits,
    /// What `find` reads. Put in and taken out under the ledger's lock, so that the two agree.
    sessions: Pool<Entry>,
    ledger: Mutex<Ledger>,
    closed: AtomicBool,
    /// Of whoever keeps the sessions warm.
    pub(super) agendas: Mutex<Vec<Weak<Agenda>>>,
    /// Tells whoever sweeps of the end.
    pub(super) ended: Notify,
}

impl Shelf {
    pub(super) fn new(timeline: Timeline, limits: Limits) -> Self {
        Self {
            timeline,
            limits,
            sessions: Pool::new(),
            ledger: Mutex::default(),
            closed: AtomicBool::new(false),
            agendas: Mutex::default(),
            ended: Notify::new(),
        }
    }

    pub(super) fn clock(&self) -> WallClock {
        self.timeline.clock().clone()
    }

    /// Every session there is now.
    pub(super) fn sessions(&self) -> Vec<SessionContext> {
        self.sessions.each(|entry| entry.session.clone())
    }

    pub(super) fn now(&self) -> Moment {
        self.timeline.now()
    }

    /// The session of this handle, if it is this principal's and its time is not up. It is in use from here on.
    pub(super) fn find(&self, principal: &Principal, handle: &SessionHandle) -> Option<Use<Entry>> {
        let now = self.now();
        let look = |entry: &Use<Entry>| {
            let standing = entry.standing(now);
            let stays = standing == Standing::Good || (standing == Standing::Idle && is_used(entry));
            let found = || if stays { Ok(Use::clone(entry)) } else { Err(standing) };
            (entry.principal == *principal).then(found)
        };
        loop {
            match self.sessions.view(handle, look).flatten()? {
                Ok(found) => return Some(found),
                Err(standing) => {
                    self.expire(handle, now);
                    // What was idle may be in use since, and is looked at again.
                    if standing != Standing::Idle {
                        return None;
                    }
                }
            }
        }
    }

    /// Closes a session if its time is up and nobody uses it. One that was closed frees its place also if somebody does.
    pub(super) fn expire(&self, handle: &SessionHandle, now: Moment) {
        // Dropped, and so closed, once the ledger is free again.
        let expired = self.ledger().expire(handle, &self.sessions, now);
        drop(expired);
    }

    pub(super) fn put(&self, entry: &Use<Entry>, now: Moment) -> Result<()> {
        let mut leaving = Vec::new();
        let admitted = {
            let mut ledger = self.ledger();
            let room = ledger.make_room(&entry.principal, &self.limits, &self.sessions, now, &mut leaving);
            room.map(|()| {
                ledger.enter(entry, now);
                self.sessions.put(entry.handle, entry);
            })
        };
        see_off(leaving);
        admitted
    }

    /// Closes a session, in use or not, if it is this principal's. True when it was open until now.
    pub(super) fn close_one(&self, principal: &Principal, handle: &SessionHandle) -> bool {
        if self.sessions.view(handle, |entry| entry.principal == *principal) != Some(true) {
            return false;
        }
        let removed = self.ledger().remove(handle, &self.sessions);
        removed.is_some_and(|entry| {
            let was_open = !entry.session.was_closed();
            entry.session.end();
            was_open
        })
    }

    /// Closes all that one principal has, and tells how many they were.
    pub(super) fn close_all(&self, principal: &Principal) -> usize {
        let leaving = self.ledger().remove_all(principal, &self.sessions);
        see_off(leaving)
    }

    /// Closes up to `most` of the sessions that are due. True when more may be.
    pub(super) fn sweep(&self, now: Moment, most: usize) -> (usize, bool) {
        let mut leaving = Vec::new();
        let more = self.ledger().sweep(&self.sessions, now, most, &mut leaving);
        (see_off(leaving), more)
    }

    /// Closes everything for good.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.ended.notify_waiters();
        self.wake_warmers();
        let leaving = self.ledger().drain(&self.sessions);
        see_off(leaving);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what has left, in use or not. Runs providers' `Drop` and the audit sink, so no lock is held.
fn see_off(leaving: Vec<Use<Entry>>) -> usize {
    leaving.iter().for_each(|entry| entry.session.end());
    leaving.len()
}
