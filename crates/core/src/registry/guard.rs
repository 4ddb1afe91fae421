//! `SessionGuard`: a session while a call is in flight.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::SessionHandle;
use super::entry::{Entry, EntryState};
use super::store::Store;
use crate::SessionContext;

/// A session of a [`SessionRegistry`](super::SessionRegistry) while a call is in flight.
///
/// While a guard lives, the registry neither sweeps nor displaces the session. Only
/// [`SessionRegistry::close`](super::SessionRegistry::close), `close_all`, the end of the registry and the session's own
/// `close` end it. Dropping the last guard of a session starts its idle time, and closes the session if its lifetime has
/// passed.
///
/// Hold a guard for the length of a call. A clone of the [`SessionContext`] that it dereferences to does not count as
/// use.
///
/// # Examples
/// ```
/// # use valetkey_core::{Principal, SessionContext, SessionRegistry};
/// # fn demo(registry: &SessionRegistry, principal: Principal) -> valetkey_core::Result<()> {
/// let session = registry.open(principal.clone(), SessionContext::builder())?;
/// // The guard dereferences to the session.
/// assert!(!session.is_closed());
///
/// let handle = session.handle();
/// drop(session); // the call has ended
/// let session = registry.find(&principal, &handle)?;
/// assert_eq!(session.handle(), handle);
/// # Ok(())
/// # }
/// # demo(&SessionRegistry::builder().build(), "alice".parse()?)?;
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[must_use = "the session counts as in use only while the guard lives"]
pub struct SessionGuard<T: Send + Sync + 'static = ()> {
    entry: Arc<Entry<T>>,
    store: Arc<Store<T>>,
}

impl<T: Send + Sync + 'static> SessionGuard<T> {
    /// Takes over a call that was counted already.
    pub(super) fn new(entry: Arc<Entry<T>>, store: Arc<Store<T>>) -> Self {
        Self { entry, store }
    }

    /// Returns the handle that finds the session again.
    ///
    /// The handle alone grants nothing: it is valid only together with the principal that opened the session.
    #[must_use]
    pub fn handle(&self) -> SessionHandle {
        self.entry.handle
    }

    /// Returns the value that was kept beside the session when it was opened.
    ///
    /// All guards of a session share the value, so a value that changes needs a lock of its own.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.entry.value
    }
}

impl<T: Send + Sync + 'static> Deref for SessionGuard<T> {
    type Target = SessionContext;

    fn deref(&self) -> &SessionContext {
        &self.entry.session
    }
}

impl<T: Send + Sync + 'static> Drop for SessionGuard<T> {
    fn drop(&mut self) {
        let now = self.store.now();
        self.entry.activity.end(now);
        if matches!(self.entry.state(now), EntryState::Expired | EntryState::Closed) {
            self.store.remove_if_ended(&self.entry, now);
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for SessionGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionGuard")
            .field("handle", &self.entry.handle)
            .field("session", &self.entry.session)
            .finish_non_exhaustive()
    }
}
