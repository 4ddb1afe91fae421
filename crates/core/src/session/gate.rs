//! `Gate`: what one account serves, and the one door through which that changes.
//!
//! Value and gate are two things. The value is read without a lock; whoever changes it is inside, one at a time. A
//! fetch remembers the epoch in which it began, and gets in afterwards only if nothing was set, cleared or closed since.
//! The interleavings are model-checked in `gate/model.rs`.

#[cfg(all(test, valetkey_loom))]
mod model;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use arc_swap::Guard;

use crate::sync::{Mutex, MutexGuard, PoisonError, Swap};

/// A value that is read by anyone, and what decides about it: the state `S`, seen only from inside.
pub(super) struct Gate<V, S> {
    value: Swap<V>,
    inside: Mutex<Inside<S>>,
}

struct Inside<S> {
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

impl<V, S> Gate<V, S> {
    pub(super) fn new(state: S) -> Self {
        Self { value: Swap::empty(), inside: Mutex::new(Inside { epoch: Epoch::FIRST, state }) }
    }

    /// What is served now, in place.
    #[inline]
    pub(super) fn read(&self) -> Guard<Option<Arc<V>>> {
        self.value.load()
    }

    /// What is served now, to keep.
    pub(super) fn current(&self) -> Option<Arc<V>> {
        self.value.load_full()
    }

    /// Waits for its turn, which is short: nobody awaits, or runs code that is not ours, inside.
    pub(super) fn enter(&self) -> Turn<'_, V, S> {
        Turn { value: &self.value, inside: self.inside.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Unless the gate is closed.
    pub(super) fn enter_open(&self) -> Option<Turn<'_, V, S>> {
        Some(self.enter()).filter(|turn| !turn.is_closed())
    }

    /// Unless another epoch has begun: what was fetched in `epoch` is then void.
    pub(super) fn enter_in(&self, epoch: Epoch) -> Option<Turn<'_, V, S>> {
        Some(self.enter()).filter(|turn| turn.epoch() == epoch)
    }
}

/// Being inside: the state, and the right to change the value.
pub(super) struct Turn<'a, V, S> {
    value: &'a Swap<V>,
    inside: MutexGuard<'a, Inside<S>>,
}

impl<V, S> Turn<'_, V, S> {
    pub(super) fn epoch(&self) -> Epoch {
        self.inside.epoch
    }

    pub(super) fn is_closed(&self) -> bool {
        self.inside.epoch == Epoch::LAST
    }

    /// Begins another epoch, unless this is the last: whatever is being fetched will not get in.
    pub(super) fn renew(&mut self) {
        self.inside.epoch = self.inside.epoch.next();
    }

    /// Serves `value` from now on. Nothing is ever served through a closed gate.
    pub(super) fn publish(&mut self, value: Arc<V>) {
        if !self.is_closed() {
            self.value.store(Some(value));
        }
    }

    /// Serves nothing from now on. Storing costs a look at every reader, so nothing is not stored over nothing.
    pub(super) fn withdraw(&mut self) {
        if self.value.load().is_some() {
            self.value.store(None);
        }
    }

    /// Serves nothing ever again.
    pub(super) fn close(&mut self) {
        self.inside.epoch = Epoch::LAST;
        self.withdraw();
    }
}

impl<V, S> Deref for Turn<'_, V, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.inside.state
    }
}

impl<V, S> DerefMut for Turn<'_, V, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.inside.state
    }
}
