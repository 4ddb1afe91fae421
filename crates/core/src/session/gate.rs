//! `VersionedCell`: what one account serves, and the one door through which that changes.
//!
//! Value and gate are two things. The value is read without a lock; whoever changes it is inside, one at a time. A
//! fetch remembers the epoch in which it began, and gets in afterwards only if nothing was set, cleared or closed since.
//! The interleavings are model-checked in `gate/model.rs`.

#[cfg(all(test, valetkey_loom))]
mod model;

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

use arc_swap::Guard;

use crate::sync::{Mutex, MutexGuard, PoisonError, Swap};

/// A value that is read by anyone, and what decides about it: the state `S`, seen only from inside.
pub(super) struct VersionedCell<V, S> {
    /// Made with the first value, as a [`LazyArcSwap`](super::late::LazyArcSwap) is.
    value: OnceLock<Swap<V>>,
    inside: Mutex<Locked<S>>,
}

struct Locked<S> {
    epoch: Epoch,
    state: S,
}

/// Between one set, clear or close and the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Epoch {
    const FIRST: Self = Self(0);
    /// That of a closed gate, for good. Nobody lives to count as far.
    const LAST: Self = Self(u64::MAX);

    fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Something of which one value stands for nothing. A gate that serves nothing any more holds that, like any other, so that
/// whoever reads need not first look whether there is anything.
pub(crate) trait Sentinel {
    fn sentinel() -> Arc<Self>;

    fn is_sentinel(&self) -> bool;
}

impl<V: Sentinel, S> VersionedCell<V, S> {
    pub(super) fn new(state: S) -> Self {
        Self { value: OnceLock::new(), inside: Mutex::new(Locked { epoch: Epoch::FIRST, state }) }
    }

    /// What is served now, in place; it may stand for nothing.
    #[inline]
    pub(super) fn read(&self) -> Option<Guard<Arc<V>>> {
        self.value.get().map(Swap::load)
    }

    /// What is served now, to keep.
    pub(super) fn current(&self) -> Option<Arc<V>> {
        self.value.get().map(Swap::load_full).filter(|value| !value.is_sentinel())
    }

    /// Whether there is anything.
    pub(super) fn has_value(&self) -> bool {
        self.read().is_some_and(|value| !value.is_sentinel())
    }

    /// Waits for its turn, which is short: nobody awaits, or runs code that is not ours, inside.
    pub(super) fn lock(&self) -> WriteGuard<'_, V, S> {
        WriteGuard { value: &self.value, inside: self.inside.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Unless the gate is closed.
    pub(super) fn lock_open(&self) -> Option<WriteGuard<'_, V, S>> {
        Some(self.lock()).filter(|turn| !turn.is_closed())
    }

    /// Unless another epoch has begun: what was fetched in `epoch` is then void.
    pub(super) fn lock_in_epoch(&self, epoch: Epoch) -> Option<WriteGuard<'_, V, S>> {
        Some(self.lock()).filter(|turn| turn.epoch() == epoch)
    }
}

/// Being inside: the state, and the right to change the value.
pub(super) struct WriteGuard<'a, V, S> {
    value: &'a OnceLock<Swap<V>>,
    inside: MutexGuard<'a, Locked<S>>,
}

impl<V: Sentinel, S> WriteGuard<'_, V, S> {
    pub(super) fn epoch(&self) -> Epoch {
        self.inside.epoch
    }

    pub(super) fn is_closed(&self) -> bool {
        self.inside.epoch == Epoch::LAST
    }

    /// Begins another epoch, unless this is the last: whatever is being fetched will not get in.
    pub(super) fn advance_epoch(&mut self) {
        self.inside.epoch = self.inside.epoch.next();
    }

    /// Serves `value` from now on. Nothing is ever served through a closed gate.
    pub(super) fn publish(&mut self, value: Arc<V>) {
        match self.value.get() {
            _ if self.is_closed() => {}
            Some(swap) => swap.store(value),
            // Only who is inside gets here, so nobody was faster.
            None => drop(self.value.set(Swap::new(value))),
        }
    }

    /// Serves nothing from now on. Storing costs a look at every reader, so nothing is not stored over nothing.
    pub(super) fn unpublish(&mut self) {
        if let Some(swap) = self.value.get()
            && !swap.load().is_sentinel()
        {
            swap.store(V::sentinel());
        }
    }

    /// Serves nothing ever again.
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

    /// A gate that serves something, and whether that is still there.
    fn serving() -> (VersionedCell<Number, ()>, Weak<Number>) {
        let (gate, served) = (VersionedCell::new(()), Arc::new(Number(1)));
        let there = Arc::downgrade(&served);
        gate.lock().publish(served);
        (gate, there)
    }

    #[test]
    fn versioned_cell_unpublish_drops_unheld_value() {
        let (gate, there) = serving();
        gate.lock().unpublish();
        assert!(there.upgrade().is_none());
        let (gate, there) = serving();
        gate.lock().close();
        assert!(there.upgrade().is_none());
    }

    #[test]
    fn versioned_cell_value_drops_with_last_reader() {
        let (gate, there) = serving();
        let held = [gate.read().unwrap(), gate.read().unwrap()];
        assert_eq!(there.strong_count(), 1, "the gate's own");
        gate.lock().unpublish();
        assert!(!gate.has_value() && gate.current().is_none());
        let [one, other] = held;
        assert_eq!(there.strong_count(), 2);
        drop(one);
        assert_eq!(other.0, 1);
        drop(other);
        assert!(there.upgrade().is_none());
    }
}
