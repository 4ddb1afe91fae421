//! `InUse`: a session while a call is in flight.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::SessionHandle;
use super::entry::{Entry, Standing};
use super::pool::Use;
use super::shelf::Shelf;
use crate::SessionContext;

/// A session that was found or opened, counted as in use while this lives. The registry neither sweeps nor displaces it
/// meanwhile; only [`SessionRegistry::close`](super::SessionRegistry::close), `close_all`, the end of the registry and
/// the session's own `close` end it. Its idle time counts from when the last of these is dropped, and if its lifetime is
/// over by then, that drop closes it.
///
/// Hold it for the length of a call. A clone of the [`SessionContext`] taken out of it is not counted.
#[must_use = "the session counts as in use only while this lives"]
pub struct InUse {
    entry: Use<Entry>,
    /// Dropped after the entry: when the use has ended.
    parting: Option<Box<Parting>>,
}

impl InUse {
    /// The reference is what counts.
    pub(super) fn new(entry: Use<Entry>) -> Self {
        Self { entry, parting: None }
    }

    /// What finds the session again.
    #[must_use]
    pub fn handle(&self) -> SessionHandle {
        self.entry.handle
    }
}

impl Deref for InUse {
    type Target = SessionContext;

    fn deref(&self) -> &SessionContext {
        &self.entry.session
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let (entry, now) = (&self.entry, self.entry.shelf.now());
        entry.used(now);
        if matches!(entry.standing(now), Standing::Over | Standing::Closed) {
            let shelf = Arc::clone(&entry.shelf);
            self.parting = Some(Box::new(Parting { shelf, handle: entry.handle }));
        }
    }
}

/// The end of a use of what is over. Of several at once the last finds nobody else.
struct Parting {
    shelf: Arc<Shelf>,
    handle: SessionHandle,
}

impl Drop for Parting {
    fn drop(&mut self) {
        self.shelf.expire(&self.handle, self.shelf.now());
    }
}

impl fmt::Debug for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InUse")
            .field("handle", &self.entry.handle)
            .field("session", &self.entry.session)
            .finish_non_exhaustive()
    }
}
