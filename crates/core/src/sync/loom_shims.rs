//! Replacements, under the model checker, for crates whose own algorithms are not under test.

use std::sync::{Arc, PoisonError};

use arc_swap::Guard;
use loom::sync::Mutex;

/// Replaces `arc-swap`: a read is one step, and so is a write.
pub(crate) struct Swap<V>(Mutex<Arc<V>>);

impl<V> Swap<V> {
    pub(crate) fn new(value: Arc<V>) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn load(&self) -> Guard<Arc<V>> {
        Guard::from_inner(self.load_full())
    }

    pub(crate) fn load_full(&self) -> Arc<V> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn store(&self, value: Arc<V>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }
}
