//! The few primitives that the model checker replaces: under `cfg(valetkey_loom)` the same code runs on loom's.

#[cfg(not(valetkey_loom))]
pub(crate) use std::sync::atomic::AtomicU64;
#[cfg(not(valetkey_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(valetkey_loom)]
pub(crate) use loom::sync::atomic::AtomicU64;
#[cfg(valetkey_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(valetkey_loom)]
pub(crate) use std::sync::PoisonError;

/// An `Arc` that is read without a lock.
#[cfg(not(valetkey_loom))]
pub(crate) type Swap<V> = arc_swap::ArcSwap<V>;

/// Stands in for `arc-swap`, whose own algorithm is not under test: a read is one step, and so is a write.
#[cfg(valetkey_loom)]
pub(crate) struct Swap<V>(Mutex<std::sync::Arc<V>>);

#[cfg(valetkey_loom)]
impl<V> Swap<V> {
    pub(crate) fn new(value: std::sync::Arc<V>) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn load(&self) -> arc_swap::Guard<std::sync::Arc<V>> {
        arc_swap::Guard::from_inner(self.load_full())
    }

    pub(crate) fn load_full(&self) -> std::sync::Arc<V> {
        std::sync::Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn store(&self, value: std::sync::Arc<V>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }
}
