//! `VersionedCell`: the value that one account serves, and the lock under which it changes; `LazyArcSwap`: an optional
//! value without a lock.
//!
//! The value is read without a lock. Writers enter the cell one at a time. A fetch remembers the epoch in which it
//! began, and publishes its result only if the epoch has not changed since. The interleavings are model-checked in
//! `versioned_cell/model.rs`.

#[cfg(all(test, valetkey_loom))]
mod model;

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwapOption, Guard};

use crate::sync::{Mutex, MutexGuard, PoisonError, Swap};

/// Holds a value that is read without a lock, and the state `S` that is accessed only under the lock.
///
/// Invariants:
///
/// - Only the holder of the lock changes the value, so the value and the state agree whenever the lock is free.
/// - A closed cell is in the last epoch, serves nothing, and stays so.
/// - A reader may still use a value that it read before the value was replaced; the value is dropped with its last
///   reader.
pub(super) struct VersionedCell<V, S> {
    /// Created with the first value, as in [`LazyArcSwap`].
    value: OnceLock<Swap<V>>,
    inside: Mutex<Locked<S>>,
}

struct Locked<S> {
    epoch: Epoch,
    state: S,
}

/// Counts the changes that invalidate a running fetch: set, clear and close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Epoch {
    const FIRST: Self = Self(0);
    /// Marks a closed cell, permanently. Unreachable by counting (2^64 updates).
    const LAST: Self = Self(u64::MAX);

    fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A type with a value that stands for "nothing". An emptied cell holds this value, so that readers need no separate
/// check for an empty cell.
pub(crate) trait Sentinel {
    fn sentinel() -> Arc<Self>;

    /// Returns whether this value stands for nothing.
    fn is_sentinel(&self) -> bool;
}

impl<V: Sentinel, S> VersionedCell<V, S> {
    pub(super) fn new(state: S) -> Self {
        Self { value: OnceLock::new(), inside: Mutex::new(Locked { epoch: Epoch::FIRST, state }) }
    }

    /// Returns the current value, borrowed; it may stand for nothing.
    #[inline]
    pub(super) fn read(&self) -> Option<Guard<Arc<V>>> {
        self.value.get().map(Swap::load)
    }

    /// Returns the current value, owned.
    pub(super) fn current(&self) -> Option<Arc<V>> {
        self.value.get().map(Swap::load_full).filter(|value| !value.is_sentinel())
    }

    /// Returns whether the cell holds a value other than nothing.
    pub(super) fn has_value(&self) -> bool {
        self.read().is_some_and(|value| !value.is_sentinel())
    }

    /// Waits for the lock. It is held briefly: no code awaits or runs user code inside.
    ///
    /// A lock that is poisoned by a panic is entered nevertheless, so that the cell can always be emptied and
    /// closed.
    pub(super) fn lock(&self) -> WriteGuard<'_, V, S> {
        WriteGuard { value: &self.value, inside: self.inside.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Enters unless the cell is closed.
    pub(super) fn lock_open(&self) -> Option<WriteGuard<'_, V, S>> {
        Some(self.lock()).filter(|guard| !guard.is_closed())
    }

    /// Enters unless another epoch has begun, which invalidates what was fetched in `epoch`.
    pub(super) fn lock_in_epoch(&self, epoch: Epoch) -> Option<WriteGuard<'_, V, S>> {
        Some(self.lock()).filter(|guard| guard.epoch() == epoch)
    }
}

/// Exclusive access to the state, with the right to change the value.
pub(super) struct WriteGuard<'a, V, S> {
    value: &'a OnceLock<Swap<V>>,
    inside: MutexGuard<'a, Locked<S>>,
}

impl<V: Sentinel, S> WriteGuard<'_, V, S> {
    /// Returns the epoch to remember with a fetch that begins now.
    pub(super) fn epoch(&self) -> Epoch {
        self.inside.epoch
    }

    pub(super) fn is_closed(&self) -> bool {
        self.inside.epoch == Epoch::LAST
    }

    /// Begins another epoch, unless this is the last, so that running fetches cannot publish their results.
    pub(super) fn advance_epoch(&mut self) {
        self.inside.epoch = self.inside.epoch.next();
    }

    /// Serves `value` from now on, unless the cell is closed.
    pub(super) fn publish(&mut self, value: Arc<V>) {
        match self.value.get() {
            _ if self.is_closed() => {}
            Some(swap) => swap.store(value),
            // Only the holder of the lock gets here, so no other writer was faster.
            None => drop(self.value.set(Swap::new(value))),
        }
    }

    /// Serves nothing from now on. Storing scans all readers, so an empty cell is left as it is.
    pub(super) fn unpublish(&mut self) {
        if let Some(swap) = self.value.get()
            && !swap.load().is_sentinel()
        {
            swap.store(V::sentinel());
        }
    }

    /// Closes the cell permanently.
    ///
    /// Values that are published from now on are ignored.
    pub(super) fn close(&mut self) {
        self.inside.epoch = Epoch::LAST;
        self.unpublish();
    }
}

impl<V, S> Deref for WriteGuard<'_, V, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.inside.state
    }
}

impl<V, S> DerefMut for WriteGuard<'_, V, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.inside.state
    }
}

/// Holds an optional value that is read without a lock.
///
/// Allocates the `ArcSwapOption` with the first value: dropping one scans the reader list even when it is empty, which
/// dominates the cost of a short session.
pub(crate) struct LazyArcSwap<V>(OnceLock<ArcSwapOption<V>>);

impl<V> LazyArcSwap<V> {
    /// Returns the value, borrowed.
    #[inline]
    pub(crate) fn load(&self) -> Guard<Option<Arc<V>>> {
        self.0.get().map_or_else(|| Guard::from_inner(None), ArcSwapOption::load)
    }

    /// Returns the value, owned.
    pub(crate) fn load_full(&self) -> Option<Arc<V>> {
        self.0.get()?.load_full()
    }

    /// Stores the value. Storing `None` before the first value allocates nothing.
    pub(crate) fn store(&self, value: Option<Arc<V>>) {
        if self.0.get().is_some() || value.is_some() {
            self.0.get_or_init(ArcSwapOption::empty).store(value);
        }
    }

    /// Replaces the value with one that is computed from it. `update` runs again if another thread stored a value
    /// meanwhile.
    pub(crate) fn rcu(&self, update: impl FnMut(&Option<Arc<V>>) -> Option<Arc<V>>) {
        self.0.get_or_init(ArcSwapOption::empty).rcu(update);
    }
}

impl<V> Default for LazyArcSwap<V> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

#[cfg(test)]
#[cfg(not(valetkey_loom))]
mod tests {
    use std::sync::Weak;

    use super::*;

    struct Number(u32);

    impl Sentinel for Number {
        fn sentinel() -> Arc<Self> {
            Arc::new(Self(0))
        }

        fn is_sentinel(&self) -> bool {
            self.0 == 0
        }
    }

    /// Returns a cell that serves a value, and a weak reference to the value.
    fn serving() -> (VersionedCell<Number, ()>, Weak<Number>) {
        let (cell, served) = (VersionedCell::new(()), Arc::new(Number(1)));
        let there = Arc::downgrade(&served);
        cell.lock().publish(served);
        (cell, there)
    }

    #[test]
    fn versioned_cell_unpublish_drops_unheld_value() {
        let (cell, there) = serving();
        cell.lock().unpublish();
        assert!(there.upgrade().is_none());
        let (cell, there) = serving();
        cell.lock().close();
        assert!(there.upgrade().is_none());
    }

    #[test]
    fn versioned_cell_publish_after_close_is_ignored() {
        let (cell, _) = serving();
        cell.lock().close();
        cell.lock().publish(Arc::new(Number(2)));
        assert!(!cell.has_value());
    }

    #[test]
    fn versioned_cell_value_drops_with_last_reader() {
        let (cell, there) = serving();
        let held = [cell.read().unwrap(), cell.read().unwrap()];
        assert_eq!(there.strong_count(), 1, "the cell's own");
        cell.lock().unpublish();
        assert!(!cell.has_value() && cell.current().is_none());
        let [one, other] = held;
        assert_eq!(there.strong_count(), 2);
        drop(one);
        assert_eq!(other.0, 1);
        drop(other);
        assert!(there.upgrade().is_none());
    }
}
