//! `Ledger`: who has how many sessions, and which is due next. It has one lock, so that the caps hold exactly.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
    /// How many are booked: all but those that are about to be closed.
    len: usize,
}

/// What an entry knows of the ledger. Read and written only under the ledger's lock.
#[derive(Default)]
pub(super) struct Booking {
    booked: AtomicBool,
    due: AtomicU64,
}

impl Ledger {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn next_due(&self) -> Option<Moment> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Makes room for one more session of `principal`, or says why there is none. Who has to make way is added to
    /// `leaving`, also if there is no room in the end.
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
        if self.len >= limits.capacity {
            self.sweep(pool, now, usize::MAX, leaving);
        }
        if self.len >= limits.capacity && !self.displace(principal, pool, now, leaving) {
            return Err(faults::registry_full());
        }
        Ok(())
    }

    pub(super) fn enter(&mut self, entry: &Entry, now: Moment) {
        self.len += 1;
        entry.booking.booked.store(true, Ordering::Relaxed);
        self.book(entry, now);
        match self.tenants.get_mut(&entry.principal) {
            Some(tenant) => tenant.insert(entry.handle),
            None => self.tenants.entry(entry.principal.clone()).or_default().insert(entry.handle),
        };
    }

    /// False when it is out already.
    pub(super) fn strike(&mut self, entry: &Entry) -> bool {
        let booked = entry.booking.booked.swap(false, Ordering::Relaxed);
        if booked {
            self.len -= 1;
            self.due.remove(&(entry.booking.due.load(Ordering::Relaxed), entry.handle));
            if let Some(tenant) = self.tenants.get_mut(&entry.principal) {
                tenant.remove(&entry.handle);
                if tenant.is_empty() {
                    self.tenants.remove(&entry.principal);
                }
            }
        }
        booked
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
            let Some(&(_, handle)) = self.due.first().filter(|(due, _)| *due <= now) else {
                return false;
            };
            self.due.pop_first();
            if let Some(entry) = pool.take_expired(&handle, now) {
                self.leave(entry, leaving);
            } else {
                // What is in the pool no more is about to be closed by whoever took it out.
                pool.view(&handle, |entry| self.book(entry, now));
            }
        }
        true
    }

    /// All that one principal has, in use or not.
    pub(super) fn strike_all(&mut self, principal: &Principal, pool: &Pool<Entry>) -> Vec<Use<Entry>> {
        let handles = self.tenants.get(principal).cloned().unwrap_or_default();
        let all: Vec<_> = handles.iter().filter_map(|handle| pool.take(handle, |_| true)).collect();
        for entry in &all {
            self.strike(entry);
        }
        all
    }

    /// All there is, in use or not.
    pub(super) fn drain(&mut self, pool: &Pool<Entry>) -> Vec<Use<Entry>> {
        let principals: Vec<_> = self.tenants.keys().cloned().collect();
        principals.iter().flat_map(|principal| self.strike_all(principal, pool)).collect()
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
        let handles = self.tenants.get(principal).cloned().unwrap_or_default();
        let mut out: Vec<_> = handles.iter().filter_map(|handle| pool.take_expired(handle, now)).collect();
        if out.is_empty() {
            out.extend(least_recently_used(pool, &handles));
        }
        let any = !out.is_empty();
        out.into_iter().for_each(|entry| self.leave(entry, leaving));
        any
    }

    fn leave(&mut self, entry: Use<Entry>, leaving: &mut Vec<Use<Entry>>) {
        self.strike(&entry);
        leaving.push(entry);
    }

    fn book(&mut self, entry: &Entry, now: Moment) {
        let due = entry.due(now);
        entry.booking.due.store(due, Ordering::Relaxed);
        self.due.insert((due, entry.handle));
    }
}

/// Looks again when a call takes the one that was chosen.
fn least_recently_used(pool: &Pool<Entry>, handles: &BTreeSet<SessionHandle>) -> Option<Use<Entry>> {
    loop {
        let unused = |entry: &Use<Entry>| (!is_used(entry)).then(|| entry.last_used());
        let idle = handles.iter().filter_map(|handle| Some((pool.view(handle, unused)??, handle)));
        let (since, handle) = idle.min()?;
        if let Some(entry) = pool.take_unused(handle, |entry| entry.last_used() == since) {
            return Some(entry);
        }
    }
}
