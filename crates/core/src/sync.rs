//! The few primitives that the model checker replaces: under `cfg(valetkey_loom)` the same code runs on loom's.

#[cfg(not(valetkey_loom))]
pub(crate) use std::sync::atomic::AtomicU64;
#[cfg(not(valetkey_loom))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(valetkey_loom)]
pub(crate) use loom::sync::atomic::AtomicU64;
#[cfg(valetkey_loom)]
pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
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

/// A map that is read and written by many at once, each entry under a lock.
#[cfg(not(valetkey_loom))]
pub(crate) type Map<K, V, H> = dashmap::DashMap<K, V, H>;

/// Stands in for `dashmap`, whose own locks are not under test: all of it is under one, which readers share.
#[cfg(valetkey_loom)]
pub(crate) struct Map<K, V, H>(
    loom::sync::RwLock<std::collections::BTreeMap<K, V>>,
    std::marker::PhantomData<H>,
);

#[cfg(valetkey_loom)]
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

    pub(crate) fn iter(&self) -> std::vec::IntoIter<V>
    where
        V: Clone,
    {
        self.read().values().cloned().collect::<Vec<_>>().into_iter()
    }

    fn read(&self) -> loom::sync::RwLockReadGuard<'_, std::collections::BTreeMap<K, V>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> loom::sync::RwLockWriteGuard<'_, std::collections::BTreeMap<K, V>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(valetkey_loom)]
impl<K, V, H> Default for Map<K, V, H> {
    fn default() -> Self {
        Self(loom::sync::RwLock::new(std::collections::BTreeMap::new()), std::marker::PhantomData)
    }
}
