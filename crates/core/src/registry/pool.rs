//! `Pool`: entries by handle. Whoever has a reference to one is using it, so to find an entry and to count it in are one
//! step, and what is taken out because nobody uses it is in nobody's hands. The interleavings are model-checked in
//! `pool/model.rs`.

#[cfg(all(test, valetkey_loom))]
mod model;

use super::SessionHandle;
use super::handle::BuildOwnBits;
use crate::sync::{self, Map};

/// A reference to an entry. All but the pool's own is use.
pub(super) type Use<E> = sync::Arc<E>;

pub(super) struct Pool<E>(Map<SessionHandle, Use<E>, BuildOwnBits>);

impl<E> Pool<E> {
    pub(super) fn new() -> Self {
        Self(Map::default())
    }

    pub(super) fn put(&self, handle: SessionHandle, entry: &Use<E>) {
        self.0.insert(handle, Use::clone(entry));
    }

    /// What `look` makes of the entry. A reference that it takes counts from then on: none is taken out as unused before.
    pub(super) fn view<T>(&self, handle: &SessionHandle, look: impl FnOnce(&Use<E>) -> T) -> Option<T> {
        self.0.view(handle, |_, entry| look(entry))
    }

    /// Takes the entry out if `leaves` says so, which is told whether anybody uses it. If nobody does, it sees all that the
    /// last user left, and nobody will.
    pub(super) fn take(
        &self,
        handle: &SessionHandle,
        leaves: impl FnOnce(&E, bool) -> bool,
    ) -> Option<Use<E>> {
        let leaves = |entry: &mut Use<E>| {
            let used = Use::get_mut(entry).is_none();
            leaves(entry, used)
        };
        self.0.remove_if_mut(handle, |_, entry| leaves(entry)).map(|(_, entry)| entry)
    }

    /// What `look` makes of each entry.
    pub(super) fn each<T>(&self, look: impl Fn(&E) -> T) -> Vec<T> {
        self.0.iter().map(|entry| look(&entry)).collect()
    }
}

/// Whether anybody uses what the pool shows. It may be otherwise at once, for others look at the same time.
pub(super) fn is_used<E>(shown: &Use<E>) -> bool {
    Use::strong_count(shown) > 1
}
