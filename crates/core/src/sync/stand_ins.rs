//! What stands in, under the model checker, for crates whose own algorithms are not under test.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError};
use std::vec;

use arc_swap::Guard;
use loom::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// For `arc-swap`: a read is one step, and so is a write.
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

/// For `dashmap`: all of it is under one lock, which readers share.
pub(crate) struct Map<K, V, H>(RwLock<BTreeMap<K, V>>, PhantomData<H>);

impl<K: Ord + Copy, V, H> Map<K, V, H> {
    pub(crate) fn insert(&self, key: K, value: V) {
        self.write().insert(key, value);
    }

    pub(crate) fn view<T>(&self, key: &K, look: impl FnOnce(&K, &V) -> T) -> Option<T> {
        self.read().get(key).map(|value| look(key, value))
    }

    pub(crate) fn remove_if_mut(&self, key: &K, leaves: impl FnOnce(&K, &mut V) -> bool) -> Option<(K, V)> {
        let mut all = self.write();
        if leaves(key, all.get_mut(key)?) { all.remove_entry(key) } else { None }
    }

    pub(crate) fn iter(&self) -> vec::IntoIter<V>
    where
        V: Clone,
    {
        self.read().values().cloned().collect::<Vec<_>>().into_iter()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<K, V>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<K, V>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V, H> Default for Map<K, V, H> {
    fn default() -> Self {
        Self(RwLock::new(BTreeMap::new()), PhantomData)
    }
}
