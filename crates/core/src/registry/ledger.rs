//! `Ledger`: who has how many sessions, and which is due next. It has one lock, so that the caps hold exactly.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::builder::Limits;
use super::entry::{Entry, Fate};
use super::timeline::Moment;
use super::{SessionHandle, faults};
use crate::{Principal, Result};

/// Under its lock nothing is closed and no last reference is dropped: what leaves is handed out, to be closed after.
#[derive(Default)]
pub(super) struct Ledger {
    /// Every session that is in the registry, by when to look at it. Use does not move an entry: when it comes due, its
    /// real time is computed, and it is put back or leaves.
    due: BTreeMap<(Moment, SessionHandle), Arc<Entry>>,
    /// The same sessions, each at the place that its booking says.
    tenants: HashMap<Principal, Vec<Arc<Entry>>>,
}

impl Ledger {
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    pub(super) fn next_due(&self) -> Option<Moment> {
        self.due.first_key_value().map(|((due, _), _)| *due)
    }

    pub(super) fn of(&self, principal: &Principal) -> &[Arc<Entry>] {
        self.tenants.get(principal).map_or(&[], Vec::as_slice)
    }

    /// Makes room for one more session of `principal`, or says why there is none. Who has to make way is added to
    /// `leaving`, also if there is no room in the end.
    pub(super) fn make_room(
        &mut self,
        principal: &Principal,
        limits: &Limits,
        now: Moment,
        leaving: &mut Vec<Arc<Entry>>,
    ) -> Result<()> {
        if self.of(principal).len() >= limits.per_principal && !self.displace(principal, now, leaving) {
            return Err(faults::principal_full());
        }
        if self.len() >= limits.capacity {
            self.sweep(now, usize::MAX, leaving);
        }
        if self.len() >= limits.capacity && !self.displace(principal, now, leaving) {
            return Err(faults::registry_full());
        }
        Ok(())
    }

    pub(super) fn enter(&mut self, entry: &Arc<Entry>, now: Moment) {
        self.book(Arc::clone(entry), entry.due(now));
        let tenant = match self.tenants.get_mut(&entry.principal) {
            Some(tenant) => tenant,
            None => self.tenants.entry(entry.principal.clone()).or_default(),
        };
        entry.booking.set_place(tenant.len());
        tenant.push(Arc::clone(entry));
    }

    /// False when it is out already. The caller holds the entry, so nothing is dropped here.
    pub(super) fn strike(&mut self, entry: &Entry) -> bool {
        let booked = self.due.remove(&(entry.booking.due(), entry.handle)).is_some();
        if booked && let Some(tenant) = self.tenants.get_mut(&entry.principal) {
            let place = entry.booking.place();
            tenant.swap_remove(place);
            if let Some(moved) = tenant.get(place) {
                moved.booking.set_place(place);
            }
            if tenant.is_empty() {
                self.tenants.remove(&entry.principal);
            }
        }
        booked
    }

    /// Looks at up to `most` of the sessions that are due. True when more may be.
    pub(super) fn sweep(&mut self, now: Moment, most: usize, leaving: &mut Vec<Arc<Entry>>) -> bool {
        for _ in 0..most {
            let Some(first) = self.due.first_entry().filter(|first| first.key().0 <= now) else {
                return false;
            };
            match first.get().review(now) {
                Fate::Stays => {
                    let entry = first.remove();
                    let due = entry.due(now);
                    self.book(entry, due);
                }
                // Its last call lets it go.
                Fate::Lingers => {
                    let entry = first.remove();
                    self.book(entry, Moment::MAX);
                }
                Fate::Leaves => {
                    let entry = Arc::clone(first.get());
                    self.strike(&entry);
                    leaving.push(entry);
                }
            }
        }
        true
    }

    pub(super) fn strike_all(&mut self, principal: &Principal) -> Vec<Arc<Entry>> {
        let all = self.tenants.remove(principal).unwrap_or_default();
        for entry in &all {
            self.due.remove(&(entry.booking.due(), entry.handle));
        }
        all
    }

    pub(super) fn drain(&mut self) -> Vec<Arc<Entry>> {
        self.tenants.clear();
        std::mem::take(&mut self.due).into_values().collect()
    }

    /// Has sessions of `principal` make way: those whose time is up, else the one least recently used. False when all
    /// are in use.
    fn displace(&mut self, principal: &Principal, now: Moment, leaving: &mut Vec<Arc<Entry>>) -> bool {
        let mut out = self.over(principal, now);
        if out.is_empty() {
            out.extend(self.least_recently_used(principal));
        }
        for entry in &out {
            self.strike(entry);
        }
        leaving.extend_from_slice(&out);
        !out.is_empty()
    }

    fn book(&mut self, entry: Arc<Entry>, due: Moment) {
        entry.booking.set_due(due);
        self.due.insert((due, entry.handle), entry);
    }

    fn over(&self, principal: &Principal, now: Moment) -> Vec<Arc<Entry>> {
        let is_over = |entry: &&Arc<Entry>| entry.review(now) == Fate::Leaves;
        self.of(principal).iter().filter(is_over).cloned().collect()
    }

    /// Retired already. Looks again when a call takes the one that was chosen.
    fn least_recently_used(&self, principal: &Principal) -> Option<Arc<Entry>> {
        loop {
            let idle = self.of(principal).iter().filter_map(|entry| Some((entry.idle()?, entry)));
            let (idle, entry) = idle.min_by_key(|(idle, entry)| (idle.since, entry.handle))?;
            if entry.make_way(idle) {
                return Some(Arc::clone(entry));
            }
        }
    }
}
