//! `LazyArcSwap`: an optional value that is read without a lock, for state that most sessions never have.

use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwapOption, Guard};

/// Allocates the `ArcSwapOption` with the first value: dropping one scans the reader list even when it is empty, which
/// dominates the cost of a short session.
pub(super) struct LazyArcSwap<V>(OnceLock<ArcSwapOption<V>>);

impl<V> LazyArcSwap<V> {
    /// Returns the value, borrowed.
    #[inline]
    pub(super) fn load(&self) -> Guard<Option<Arc<V>>> {
        self.0.get().map_or_else(|| Guard::from_inner(None), ArcSwapOption::load)
    }

    /// Returns the value, owned.
    pub(super) fn load_full(&self) -> Option<Arc<V>> {
        self.0.get()?.load_full()
    }

    pub(super) fn store(&self, value: Option<Arc<V>>) {
        if self.0.get().is_some() || value.is_some() {
            self.0.get_or_init(ArcSwapOption::empty).store(value);
        }
    }

    pub(super) fn rcu(&self, renewed: impl FnMut(&Option<Arc<V>>) -> Option<Arc<V>>) {
        self.0.get_or_init(ArcSwapOption::empty).rcu(renewed);
    }
}

impl<V> Default for LazyArcSwap<V> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}
