//! `LazyArcSwap` and `LazyWatch`: state that most sessions never have, allocated at its first use.

use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwapOption, Guard};
use tokio::sync::watch;

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

/// A watch channel that exists only while there are receivers.
///
/// The owner keeps it under a lock, so that subscribing and sending are ordered. Most sessions have no watcher, and
/// pay for no channel.
pub(crate) struct LazyWatch<T>(Option<watch::Sender<T>>);

impl<T> LazyWatch<T> {
    /// Subscribes to the channel, which starts with the value `now`.
    pub(crate) fn subscribe(&mut self, now: T) -> watch::Receiver<T> {
        self.0.get_or_insert_with(|| watch::Sender::new(now)).subscribe()
    }

    /// Sends `value`, and drops the channel when no receivers are left.
    pub(crate) fn notify(&mut self, value: T) {
        self.0 = self.0.take().filter(|sender| sender.send(value).is_ok());
    }
}

impl<T> Default for LazyWatch<T> {
    fn default() -> Self {
        Self(None)
    }
}
