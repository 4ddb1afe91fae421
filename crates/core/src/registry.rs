//! `SessionRegistry`: where a gateway for many tenants keeps its open sessions, found by principal and handle.
//!
//! Two structures, for two paths. Finding reads a sharded map, keyed by the handle's own random bits; a reference that it
//! hands out is what counts a call in ([`pool`]). Opening and ending go through one ledger behind one lock ([`ledger`]), so
//! that the caps hold exactly. A session is never closed under either lock, since that runs providers' `Drop` and the
//! audit sink.
//!
//! It is not a cache of the moka kind. That evicts by its own policy and its own clock: it cannot be told to spare a
//! session in use, may refuse a newcomer that is used less than others, drops values some time after they are gone, and
//! follows no manual clock. Its `get` alone also costs more than twice what finding a session and reading its
//! credentials does here.

mod builder;
mod entry;
mod faults;
mod handle;
mod in_use;
mod ledger;
mod pool;
mod shelf;
mod sweep;
mod timeline;
mod warm;

use std::fmt;
use std::sync::Arc;

use crate::{Principal, Result, SessionBuilder};

pub use builder::RegistryBuilder;
pub use handle::SessionHandle;
pub use in_use::InUse;

use builder::Limits;
use entry::Entry;
use pool::Use;
use shelf::Shelf;
use timeline::Timeline;

/// The open sessions of many principals. A session is found by whoever is its principal *and* presents its handle.
///
/// A clone is another handle to the same registry. When the last one is dropped every session is closed and wiped, also
/// those in use and those of which somebody has a clone.
///
/// # When a session ends
/// - *Closed*: by [`close`](Self::close), [`close_all`](Self::close_all), its own `close`, or the end of the registry.
///   Calls in flight feel it at once.
/// - *Idle*: no call was in flight for the idle time.
/// - *Over*: its lifetime has passed. It is found no more, and closed when the last call in flight ends.
/// - *Displaced*: its principal opens another one at a cap, and it is the least recently used of those that are not in
///   use. Nobody displaces another principal's session.
///
/// # Time
/// Time is read from the registry's [`Clock`](crate::Clock) alone. A machine that was suspended, or a clock that jumps
/// forward, has let that time pass: what was idle meanwhile is idle too long, what is in use is not touched. A clock that
/// jumps back is taken to have stood still, and time goes on from where it was last seen: no session looks unused for
/// it, and none lives longer but for the time since somebody last looked (`find`, `open`, `sweep`; 30 s at most while
/// [`keep_swept`](Self::keep_swept) is driven). A jump of less than a second may go unnoticed.
///
/// ```
/// # use valetkey_core::{Credentials, Principal, SessionContext, SessionRegistry};
/// # async fn demo(principal: Principal, credentials: Credentials) -> valetkey_core::Result<()> {
/// let registry = SessionRegistry::builder().per_principal(8).build();
///
/// let opened = registry.open(principal.clone(), SessionContext::builder())?;
/// opened.set_credentials(credentials)?;
/// let handle = opened.handle();
/// drop(opened);
///
/// // A later call, by the same principal.
/// let session = registry.find(&principal, &handle)?;
/// session.credentials().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionRegistry(Arc<Owner>);

/// Dropped with the last handle; sessions in use and sweepers refer to the [`Shelf`], never to this.
struct Owner(Arc<Shelf>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl SessionRegistry {
    /// Describes a registry to be built.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::new()
    }

    fn new(timeline: Timeline, limits: Limits) -> Self {
        Self(Arc::new(Owner(Arc::new(Shelf::new(timeline, limits)))))
    }

    /// Opens a session of `principal`, whatever principal the builder names. It counts as in use while the answer
    /// lives; [`InUse::handle`] finds it again.
    ///
    /// At the principal's cap, or when the registry is full of sessions whose time is not up, the principal's least
    /// recently used session that is not in use is closed to make room.
    ///
    /// # Errors
    /// `Throttled` when there is no room and none can be made.
    pub fn open(&self, principal: Principal, builder: SessionBuilder) -> Result<InUse> {
        let handle = SessionHandle::random();
        let session = builder.principal(principal.clone()).build();
        let shelf = self.shelf();
        let now = shelf.now();
        let entry = Use::new(Entry::new(handle, principal, session, Arc::clone(shelf), now));
        shelf.put(&entry, now)?;
        shelf.warm(&entry);
        Ok(InUse::new(entry))
    }

    /// The session of this handle, if it is this principal's.
    ///
    /// # Errors
    /// `Closed`, in the same words whether the handle never was, is another principal's, or its session has ended. A
    /// chain of providers does not fall through it.
    pub fn find(&self, principal: &Principal, handle: &SessionHandle) -> Result<InUse> {
        self.shelf().find(principal, handle).map(InUse::new).ok_or_else(faults::unknown)
    }

    /// Closes a session, also while calls are in flight. False when the principal has no such session open.
    pub fn close(&self, principal: &Principal, handle: &SessionHandle) -> bool {
        self.shelf().close_one(principal, handle)
    }

    /// Closes all sessions of a principal, also while calls are in flight, and tells how many they were.
    pub fn close_all(&self, principal: &Principal) -> usize {
        self.shelf().close_all(principal)
    }

    /// How many sessions count against the capacity. Those whose time is up do until they are swept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shelf().ledger().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shelf(&self) -> &Arc<Shelf> {
        &self.0.0
    }
}

impl fmt::Debug for SessionRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRegistry").field("len", &self.len()).finish_non_exhaustive()
    }
}
