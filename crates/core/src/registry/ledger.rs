//! `Ledger`: who has how many sessions, and which is due next. It has one lock, so that the caps hold exactly.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use super::builder::Limits;
use super::entry::Entry;
use super::pool::{Pool, Use, is_used};
use super::timeline::Moment;
use super::{SessionHandle, faults};
use crate::{Principal, Result};

/// Knows entries by their handles: the one reference that is no use is the pool's. Under its lock nothing is closed and no
/// reference is dropped: what leaves is handed out, to be closed after.
#[derive(Default)]
pub(super) struct Ledger {
    /// Sessions by when to look at them. Use does not move one: when it comes due, its real time is computed, and it is
    /// booked again or leaves.
    due: BTreeSet<(Moment, SessionHandle)>,
    tenants: HashMap<Principal, BTreeSet<SessionHandle>>,
}

/// By when the ledger has an entry. Read and written only under the ledger's lock.
#[derive(Default)]
pub(super) struct Booking(AtomicU64);

impl Ledger {
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    pub(super) fn next_due(&self) -> Option<Moment> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Makes room for one more session of `principal`, or says why there is none. Who has to make way is added to
    /// `leaving`.
    pub(super) fn make_room(
        &mut self,
        principal: &Principal,
        limits: &Limits,
        pool: &Pool<Entry>,
        now: Moment,
        leaving: &mut Vec<Use<Entry>>,
    ) -> Result<()> {
        let has = self.tenants.get(principal).map_or(0, BTreeSet::len);
        if has >= limits.per_principal && !self.displace(principal, pool, now, leaving) {
            return Err(faults::principal_full());
        }
        if self.len() >= limits.capacity {
            self.sweep(pool, now, usize::MAX, leaving);
        }
        if self.len() >= limits.capacity && !self.displace(principal, pool, now, leaving) {
            return Err(faults::registry_full());
        }
        Ok(())
    }

    pub(super) fn enter(&mut self, entry: &Entry, now: Moment) {
        self.book(entry, now);
        match self.tenants.get_mut(&entry.principal) {
            Some(tenant) => tenant.insert(entry.handle),
            None => self.tenants.entry(entry.principal.clone()).or_default().insert(entry.handle),
        };
    }

    /// Takes a session out of the pool if its time is up, and strikes it.
    pub(super) fn expire(
        &mut self,
        handle: &SessionHandle,
        pool: &Pool<Entry>,
        now: Moment,
    ) -> Option<Use<Entry>> {
        self.struck(pool.take_expired(handle, now))
    }

    /// Takes a session out of the pool, in use or not, and strikes it.
    pub(super) fn remove(&mut self, handle: &SessionHandle, pool: &Pool<Entry>) -> Option<Use<Entry>> {
        self.struck(pool.take(handle, |_, _| true))
    }

    /// Looks at up to `most` of the sessions that are due. True when more may be.
    pub(super) fn sweep(
        &mut self,
        pool: &Pool<Entry>,
        now: Moment,
        most: usize,
        leaving: &mut Vec<Use<Entry>>,
    ) -> bool {
        for _ in 0..most {
            // The end of time never comes: what is due then could not be booked for later.
            let Some(&(_, handle)) = self.due.first().filter(|(due, _)| *due <= now && *due < Moment::MAX)
            else {
                return false;
            };
            match self.expire(&handle, pool, now) {
                Some(entry) => leaving.push(entry),
                None => {
                    self.due.pop_first();
                    pool.view(&handle, |entry| self.book(entry, now));
                }
            }
        }
        true
    }

    /// All that one principal has, in use or not.
    pub(super) fn remove_all(&mut self, principal: &Principal, pool: &Pool<Entry>) -> Vec<Use<Entry>> {
        self.of(principal).iter().filter_map(|handle| self.remove(handle, pool)).collect()
    }

    /// All there is, in use or not.
    pub(super) fn drain(&mut self, pool: &Pool<Entry>) -> Vec<Use<Entry>> {
        let handles: Vec<_> = self.due.iter().map(|(_, handle)| *handle).collect();
        handles.iter().filter_map(|handle| self.remove(handle, pool)).collect()
    }

    /// Has sessions of `principal` make way: those whose time is up, else the one least recently used. False when all
    /// are in use.
    fn displace(
        &mut self,
        principal: &Principal,
        pool: &Pool<Entry>,
        now: Moment,
        leaving: &mut Vec<Use<Entry>>,
    ) -> bool {
        let handles = self.of(principal);
        let before = leaving.len();
        leaving.extend(handles.iter().filter_map(|handle| self.expire(handle, pool, now)));
        if leaving.len() == before {
            leaving.extend(self.struck(least_recently_used(pool, &handles)));
        }
        leaving.len() > before
    }

    fn of(&self, principal: &Principal) -> BTreeSet<SessionHandle> {
        self.tenants.get(principal).cloned().unwrap_or_default()
    }

    /// What was taken out of the pool is struck under the same lock, so that the two agree.
    fn struck(&mut self, taken: Option<Use<Entry>>) -> Option<Use<Entry>> {
        let entry = taken?;
        self.due.remove(&(entry.booking.0.load(Ordering::Relaxed), entry.handle));
        if let Some(tenant) = self.tenants.get_mut(&entry.principal) {
            tenant.remove(&entry.handle);
            if tenant.is_empty() {
                self.tenants.remove(&entry.principal);
            }
        }
        Some(entry)
    }

    fn book(&mut self, entry: &Entry, now: Moment) {
        let due = entry.due(now);
        entry.booking.0.store(due, Ordering::Relaxed);
        self.due.insert((due, entry.handle));
    }
}

/// Looks again when a call takes the one that was chosen.
fn least_recently_used(pool: &Pool<Entry>, handles: &BTreeSet<SessionHandle>) -> Option<Use<Entry>> {
    loop {
        let unused = |entry: &Use<Entry>| (!is_used(entry)).then(|| entry.last_used());
        let idle = handles.iter().filter_map(|handle| Some((pool.view(handle, unused)??, handle)));
        let (since, handle) = idle.min()?;
        if let Some(entry) = pool.take(handle, |entry, used| !used && entry.last_used() == since) {
            return Some(entry);
        }
    }
}
