//! `InUse`: a session while a call is in flight.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::SessionHandle;
use super::entry::Entry;
use crate::SessionContext;

/// A session that was found or opened, counted as in use while this lives. The registry neither sweeps nor displaces it
/// meanwhile; only [`SessionRegistry::close`](super::SessionRegistry::close), `close_all`, the end of the registry and
/// the session's own `close` end it. Its idle time counts from when the last of these is dropped, and if its lifetime is
/// over by then, that drop closes it.
///
/// Hold it for the length of a call. A clone of the [`SessionContext`] taken out of it is not counted.
#[must_use = "the session counts as in use only while this lives"]
pub struct InUse(Arc<Entry>);

impl InUse {
    /// Of a new entry, which has its first call counted in.
    pub(super) fn opened(entry: Arc<Entry>) -> Self {
        Self(entry)
    }

    pub(super) fn begin(entry: Arc<Entry>) -> Option<Self> {
        entry.begin().then(|| Self(entry))
    }

    /// What finds the session again.
    #[must_use]
    pub fn handle(&self) -> SessionHandle {
        self.0.handle
    }
}

impl Deref for InUse {
    type Target = SessionContext;

    fn deref(&self) -> &SessionContext {
        &self.0.session
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let shelf = &self.0.shelf;
        if self.0.end(shelf.now()) {
            shelf.let_go(&self.0);
        }
    }
}

impl fmt::Debug for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InUse")
            .field("handle", &self.0.handle)
            .field("session", &self.0.session)
            .finish_non_exhaustive()
    }
}
