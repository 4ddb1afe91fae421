//! `WeakSession`: refers to a session without keeping it open.

use std::fmt;
use std::sync::{Arc, Weak};

use super::{CloseOnLastDrop, SessionContext};

/// Refers to a session without keeping it open. Created by [`SessionContext::downgrade`].
///
/// For code that serves a session beside its owner, such as a host of child processes: the session still closes when
/// the owner drops the last handle.
///
/// # Examples
/// ```
/// # use valetkey_core::SessionContext;
/// let session = SessionContext::builder().build();
/// let weak = session.downgrade();
/// assert_eq!(weak.upgrade().map(|session| session.id()), Some(session.id()));
/// drop(session);
/// assert!(weak.upgrade().is_none());
/// ```
#[derive(Clone)]
pub struct WeakSession(Weak<CloseOnLastDrop>);

impl WeakSession {
    pub(super) fn new(session: &Arc<CloseOnLastDrop>) -> Self {
        Self(Arc::downgrade(session))
    }

    /// Returns the session, or `None` once its last handle is dropped. A session that was closed earlier is returned
    /// closed.
    ///
    /// The returned value is a handle: while it exists, it keeps the session open.
    #[must_use]
    pub fn upgrade(&self) -> Option<SessionContext> {
        self.0.upgrade().map(SessionContext)
    }
}

impl fmt::Debug for WeakSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakSession").field(&self.upgrade()).finish()
    }
}
