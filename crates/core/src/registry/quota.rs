//! `SessionIndex`: the sessions of each principal, and the limits on how many there may be.

use std::collections::HashMap;
use std::sync::Arc;

use super::SessionHandle;
use super::builder::Limits;
use super::entry::Entry;
use super::handle::BuildIdentityHasher;
use super::monotonic_clock::Moment;
use crate::clock::duration_nanos;
use crate::{Error, ErrorKind, Principal, Result};

type Entries<T> = Vec<Arc<Entry<T>>>;
type SessionMap<T> = HashMap<SessionHandle, Arc<Entry<T>>, BuildIdentityHasher>;

/// Owns the entries of a registry. It has one lock, so that the limits hold exactly. No session is closed while that lock
/// is held, since closing runs the code of providers and audit sinks: removed entries are returned to the caller instead.
///
/// Invariants: `len` is the number of entries of all principals, no principal has an empty map, and an entry that
/// left the index is retired, so that no call can start on it.
pub(super) struct SessionIndex<T> {
    by_principal: HashMap<Principal, SessionMap<T>>,
    len: usize,
    /// When `remove_ended` last ran.
    swept_at: Moment,
}

impl<T> Default for SessionIndex<T> {
    fn default() -> Self {
        Self { by_principal: HashMap::new(), len: 0, swept_at: 0 }
    }
}

impl<T> SessionIndex<T> {
    /// Returns how many sessions count against the limit of the registry.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the entry if the handle belongs to the principal, whether or not its session has ended.
    pub(super) fn get(&self, principal: &Principal, handle: &SessionHandle) -> Option<&Arc<Entry<T>>> {
        self.by_principal.get(principal)?.get(handle)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Arc<Entry<T>>> {
        self.by_principal.values().flat_map(HashMap::values)
    }

    pub(super) fn entries_of(&self, principal: &Principal) -> impl Iterator<Item = &Arc<Entry<T>>> {
        self.by_principal.get(principal).into_iter().flat_map(HashMap::values)
    }

    /// Inserts an entry if the limits allow it. Entries that leave are added to `removed`, also when it fails: those that
    /// have ended, if the last sweep was an interval ago, and those that make room.
    ///
    /// The limit of the principal is checked first, since the other check may pass over all entries.
    ///
    /// # Errors
    /// `Throttled` when the principal or the registry has no room.
    pub(super) fn insert(
        &mut self,
        entry: &Arc<Entry<T>>,
        limits: &Limits,
        now: Moment,
        removed: &mut Entries<T>,
    ) -> Result<()> {
        let principal = &entry.principal;
        if now.saturating_sub(self.swept_at) >= duration_nanos(limits.sweep_interval()) {
            removed.extend(self.remove_ended(now));
        }
        let count = self.by_principal.get(principal).map_or(0, HashMap::len);
        if count >= limits.max_sessions_per_principal && !self.displace(principal, now, removed) {
            return Err(principal_full());
        }
        if self.len >= limits.max_sessions {
            removed.extend(self.remove_ended(now));
        }
        if self.len >= limits.max_sessions && !self.displace(principal, now, removed) {
            return Err(registry_full());
        }
        self.by_principal.entry(principal.clone()).or_default().insert(entry.handle, Arc::clone(entry));
        self.len += 1;
        Ok(())
    }

    /// Removes an entry, whether or not it is in use.
    pub(super) fn remove(&mut self, principal: &Principal, handle: &SessionHandle) -> Option<Arc<Entry<T>>> {
        let sessions = self.by_principal.get_mut(principal)?;
        let entry = sessions.remove(handle)?;
        if sessions.is_empty() {
            self.by_principal.remove(principal);
        }
        self.len -= 1;
        entry.activity.retire();
        Some(entry)
    }

    /// Removes an entry if its session has ended and no call is in flight.
    pub(super) fn remove_if_ended(&mut self, entry: &Entry<T>, now: Moment) -> Option<Arc<Entry<T>>> {
        if entry.retire_if_ended(now) { self.remove(&entry.principal, &entry.handle) } else { None }
    }

    /// Removes every entry whose session has ended and has no call in flight.
    pub(super) fn remove_ended(&mut self, now: Moment) -> Entries<T> {
        self.swept_at = now;
        let ended = retire_ended(self.entries(), now);
        self.remove_each(ended)
    }

    /// Removes all entries of a principal, whether or not they are in use.
    pub(super) fn remove_principal(&mut self, principal: &Principal) -> Entries<T> {
        let entries: Vec<_> = self.entries_of(principal).cloned().collect();
        self.remove_each(entries)
    }

    /// Removes all entries, whether or not they are in use.
    pub(super) fn remove_all(&mut self) -> Entries<T> {
        let entries: Vec<_> = self.entries().cloned().collect();
        self.remove_each(entries)
    }

    /// Removes those of the entries that are still in the index, and returns them.
    fn remove_each(&mut self, entries: Entries<T>) -> Entries<T> {
        entries.iter().filter_map(|entry| self.remove(&entry.principal, &entry.handle)).collect()
    }

    /// Removes the sessions of `principal` that have ended, or else its least recently used one without a call in flight.
    /// False when all of them are in use.
    fn displace(&mut self, principal: &Principal, now: Moment, removed: &mut Entries<T>) -> bool {
        let mut leaving = retire_ended(self.entries_of(principal), now);
        if leaving.is_empty() {
            leaving.extend(retire_least_recently_used(self.entries_of(principal)));
        }
        let displaced = self.remove_each(leaving);
        let made_room = !displaced.is_empty();
        removed.extend(displaced);
        made_room
    }
}

/// Returns the entries whose sessions have ended and have no call in flight. No call can start on them any more.
fn retire_ended<'a, T: 'a>(entries: impl Iterator<Item = &'a Arc<Entry<T>>>, now: Moment) -> Entries<T> {
    entries.filter(|entry| entry.retire_if_ended(now)).cloned().collect()
}

/// Returns the least recently used entry without a call in flight. No call can start on it any more.
fn retire_least_recently_used<'a, T: 'a>(
    entries: impl Iterator<Item = &'a Arc<Entry<T>>>,
) -> Option<Arc<Entry<T>>> {
    let unused = entries.filter(|entry| !entry.activity.in_use());
    let mut unused: Vec<_> = unused.map(|entry| (entry.activity.last_used(), entry)).collect();
    unused.sort_by_key(|(since, entry)| (*since, entry.handle));
    // An entry that was used since it was listed does not make room; the next one does.
    let retired = unused
        .into_iter()
        .find(|(since, entry)| entry.activity.retire_if(|| entry.activity.last_used() == *since));
    retired.map(|(_, entry)| Arc::clone(entry))
}

/// The limit of one principal. Transient: room is made when a call ends.
fn principal_full() -> Error {
    Error::new(ErrorKind::Throttled, "this principal has as many sessions as it may, and all are in use")
        .with_next_step("close one of them, or try again when a call has ended")
}

/// The limit of the whole registry. Transient: room is made when any session ends.
fn registry_full() -> Error {
    Error::new(ErrorKind::Throttled, "the registry holds as many sessions as it may")
        .with_next_step("try again later, or raise the registry's capacity")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SessionContext;
    use std::time::Duration;

    #[test]
    fn entry_removed_during_call_starts_no_other_call() {
        let minute = Duration::from_secs(60);
        let limits =
            Limits { idle_ttl: minute, max_lifetime: minute, max_sessions_per_principal: 1, max_sessions: 1 };
        let (session, alice) = (SessionContext::builder().build(), "alice".parse::<Principal>().unwrap());
        let entry = Arc::new(Entry::new(alice.clone(), session, (), &limits, 0));
        let mut index = SessionIndex::default();
        index.insert(&entry, &limits, 0, &mut Entries::default()).unwrap();
        assert!(entry.try_start_call(0));
        assert!(index.remove(&alice, &entry.handle).is_some());
        assert!(!entry.try_start_call(0));
    }
}
