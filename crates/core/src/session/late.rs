//! `LazyArcSwap`: an optional value that is read without a lock, for what most sessions never have.

use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwapOption, Guard};

/// Until the first value comes there is no `ArcSwapOption`: one looks for readers when it is dropped, even if it never
/// held anything, and that is the dearest part of a short session.
pub(super) struct LazyArcSwap<V>(OnceLock<ArcSwapOption<V>>);

impl<V> LazyArcSwap<V> {
    /// The value, in place.
    #[inline]
    pub(super) fn load(&self) -> Guard<Option<Arc<V>>> {
        self.0.get().map_or_else(|| Guard::from_inner(None), ArcSwapOption::load)
    }

    /// The value, to keep.
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
