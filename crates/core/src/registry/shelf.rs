//! `Shelf`: where the open sessions of a registry are, shared by its handles and by the sessions in use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use dashmap::DashMap;
use tokio::sync::Notify;

use super::SessionHandle;
use super::builder::Limits;
use super::entry::Entry;
use super::handle::BuildOwnBits;
use super::ledger::Ledger;
use super::timeline::{Moment, Timeline};
use crate::clock::WallClock;
use crate::session::agenda::Agenda;
use crate::{Principal, Result};

pub(super) struct Shelf {
    timeline: Timeline,
    pub(super) limits: Limits,
    /// What `find` reads. What is in the ledger is here too; what is here and not in the ledger is about to be closed.
    sessions: DashMap<SessionHandle, Arc<Entry>, BuildOwnBits>,
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
            sessions: DashMap::default(),
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
    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        self.sessions.iter().map(|entry| Arc::clone(&entry)).collect()
    }

    pub(super) fn now(&self) -> Moment {
        self.timeline.now()
    }

    /// The session of this handle, if it is this principal's.
    pub(super) fn entry(&self, principal: &Principal, handle: &SessionHandle) -> Option<Arc<Entry>> {
        let entry = self.sessions.get(handle).map(|found| Arc::clone(&found))?;
        (entry.principal == *principal).then_some(entry)
    }

    pub(super) fn put(&self, entry: &Arc<Entry>, now: Moment) -> Result<()> {
        let mut leaving = Vec::new();
        let admitted = {
            let mut ledger = self.ledger();
            let admitted = ledger.make_room(&entry.principal, &self.limits, now, &mut leaving);
            if admitted.is_ok() {
                ledger.enter(entry, now);
                self.sessions.insert(entry.handle, Arc::clone(entry));
            }
            admitted
        };
        self.see_off(leaving);
        admitted
    }

    /// Closes a session and frees its place. True when it was open until now.
    pub(super) fn let_go(&self, entry: &Entry) -> bool {
        let struck = self.ledger().strike(entry);
        let was_open = struck && !entry.session.is_closed();
        self.sessions.remove(&entry.handle);
        entry.session.end();
        was_open
    }

    /// Closes all that one principal has, and tells how many they were.
    pub(super) fn let_all_go(&self, principal: &Principal) -> usize {
        let leaving = self.ledger().strike_all(principal);
        self.see_off(leaving)
    }

    /// Closes up to `most` of the sessions that are due. True when more may be.
    pub(super) fn sweep(&self, now: Moment, most: usize) -> (usize, bool) {
        let mut leaving = Vec::new();
        let more = self.ledger().sweep(now, most, &mut leaving);
        (self.see_off(leaving), more)
    }

    /// Closes everything for good.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.ended.notify_waiters();
        self.wake_warmers();
        let leaving = self.ledger().drain();
        self.see_off(leaving);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what has left the ledger. Runs providers' `Drop` and the audit sink, so no lock is held; and all are out of
    /// the map before the first is closed, should one of those panic.
    fn see_off(&self, leaving: Vec<Arc<Entry>>) -> usize {
        for entry in &leaving {
            self.sessions.remove(&entry.handle);
        }
        leaving.iter().for_each(|entry| entry.session.end());
        leaving.len()
    }
}
