//! `SessionRegistry`: the open sessions of a gateway with many tenants, found by principal and handle.
//!
//! | part | responsibility |
//! |---|---|
//! | [`store`] | the cache that `find` reads, and the index that `open` and `close` change |
//! | [`entry`] | one session: when it was last used, when it expires, how many calls are in flight |
//! | [`quota`] | the index: sessions by principal, and the limits |
//! | [`monotonic_clock`] | the registry's own time, which never goes back |

mod builder;
mod entry;
mod guard;
mod handle;
mod monotonic_clock;
mod quota;
mod store;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::{RefreshQueue, run_refreshes};
use crate::{
    Error, ErrorKind, OutstandingCredentials, Principal, RefreshLimits, Result, SessionBuilder,
    SessionContext,
};

pub use builder::RegistryBuilder;
pub use guard::SessionGuard;
pub use handle::SessionHandle;

use builder::Limits;
use monotonic_clock::MonotonicClock;
use store::Store;

/// How many sessions are closed before other tasks run.
const SWEEP_CHUNK: usize = 256;
const BETWEEN_CHUNKS: Duration = Duration::from_millis(1);

/// The open sessions of many principals. A session is found by its principal together with its handle.
///
/// A clone refers to the same registry. Dropping the last clone closes every session, including sessions with calls in
/// flight and sessions of which the caller kept a [`SessionContext`].
///
/// `T` is the type of a value that the caller keeps beside each session, such as a tool set: see
/// [`open_with`](Self::open_with). It is dropped after the session was closed.
///
/// # When a session ends
/// - *Closed*: by [`close`](Self::close), [`close_all`](Self::close_all), its own `close`, or the end of the registry.
///   Calls in flight fail with `Closed` at once.
/// - *Idle*: no call was in flight for the idle time.
/// - *Expired*: its lifetime has passed. It is no longer found, and it is closed when its last call in flight ends.
/// - *Displaced*: its principal opened another session at a limit, and this was the least recently used one without a
///   call in flight. A principal never displaces another principal's session.
///
/// # Time
/// The registry reads time from its [`Clock`](crate::Clock). Time that passes while the machine is suspended, and a jump
/// of the clock forwards, count as idle time. A jump of the clock backwards counts as no time at all: it neither extends
/// a lifetime nor makes an active session look idle. The registry notices a jump when it next reads its clock (`find`,
/// `open`, `sweep`; at least every 30 s while [`keep_swept`](Self::keep_swept) runs); jumps of less than a second may go
/// unnoticed.
///
/// # Examples
/// ```
/// # use valetkey_core::{Credentials, Principal, SessionContext, SessionRegistry};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> valetkey_core::Result<()> {
/// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
/// let registry = SessionRegistry::builder().max_sessions_per_principal(8).build();
/// let principal: Principal = "alice".parse()?;
///
/// let opened = registry.open(principal.clone(), SessionContext::builder())?;
/// opened.set_credentials(credentials)?;
/// let handle = opened.handle();
/// drop(opened);
///
/// // A later call of the same principal.
/// let session = registry.find(&principal, &handle)?;
/// assert_eq!(session.credentials().await?.access_key_id().last_four(), "MPLE");
/// # Ok(())
/// # }
/// ```
pub struct SessionRegistry<T: Send + Sync + 'static = ()>(Arc<CloseOnLastDrop<T>>);

/// Dropped with the last clone of the registry. Guards and background tasks refer to the [`Store`] instead.
struct CloseOnLastDrop<T: Send + Sync + 'static>(Arc<Store<T>>);

impl<T: Send + Sync + 'static> Drop for CloseOnLastDrop<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl SessionRegistry {
    /// Returns a builder with the default limits.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::new()
    }

    /// Opens a session for `principal`, which replaces the principal that the builder names. The session counts as in
    /// use while the returned guard lives; [`SessionGuard::handle`] finds it again.
    ///
    /// At the principal's limit, and when the registry is full, the principal's least recently used session without a
    /// call in flight is closed to make room.
    ///
    /// # Errors
    /// `Throttled` when there is no room and the principal has no idle session to close.
    ///
    /// The builder keeps everything else that it was given, such as its audit sink and its clock.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{ErrorKind, Principal, SessionContext, SessionRegistry};
    /// let registry = SessionRegistry::builder().max_sessions_per_principal(1).build();
    /// let alice: Principal = "alice".parse()?;
    /// let first = registry.open(alice.clone(), SessionContext::builder())?;
    ///
    /// // The first session is in use.
    /// let refused = registry.open(alice.clone(), SessionContext::builder()).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Throttled);
    ///
    /// let handle = first.handle();
    /// drop(first);
    /// registry.open(alice.clone(), SessionContext::builder())?;
    /// assert!(registry.find(&alice, &handle).is_err(), "it made room");
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn open(&self, principal: Principal, builder: SessionBuilder) -> Result<SessionGuard> {
        self.open_with(principal, builder, |_| ())
    }
}

impl<T: Send + Sync + 'static> SessionRegistry<T> {
    fn new(clock: MonotonicClock, limits: Limits) -> Self {
        Self(Arc::new(CloseOnLastDrop(Store::new(clock, limits))))
    }

    /// Opens a session as [`open`](SessionRegistry::open) does, and keeps the value that `make_value` returns beside it.
    /// Every guard of the session gives access to it: [`SessionGuard::value`].
    ///
    /// # Errors
    /// As [`open`](SessionRegistry::open). The value is then dropped.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{SessionContext, SessionRegistry};
    /// // The registry keeps the number of the tenant's plan with each session.
    /// let registry = SessionRegistry::builder().build_with::<u8>();
    /// let opened = registry.open_with("alice".parse()?, SessionContext::builder(), |_session| 3)?;
    /// assert_eq!(*opened.value(), 3);
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    ///
    /// `make_value` runs before the limits are checked, and no lock is held while it runs.
    pub fn open_with(
        &self,
        principal: Principal,
        builder: SessionBuilder,
        make_value: impl FnOnce(&SessionContext) -> T,
    ) -> Result<SessionGuard<T>> {
        let session = builder.principal(principal.clone()).build();
        let value = make_value(&session);
        self.store().open(principal, session, value)
    }

    /// Returns the session of this handle if it belongs to `principal`.
    ///
    /// # Errors
    /// `Closed`, with the same message whether the handle never existed, belongs to another principal, or its session has
    /// ended. A chain of providers does not fall through this error.
    ///
    /// The session counts as in use while the returned guard lives, and its idle time starts again when the guard
    /// is dropped.
    pub fn find(&self, principal: &Principal, handle: &SessionHandle) -> Result<SessionGuard<T>> {
        self.store().find(principal, handle).ok_or_else(unknown_handle)
    }

    /// Closes a session, including its calls in flight, and returns the credentials that AWS may still accept. `None`
    /// when the principal has no such session open.
    pub fn close(&self, principal: &Principal, handle: &SessionHandle) -> Option<OutstandingCredentials> {
        self.store().close_session(principal, handle)
    }

    /// Closes all sessions of a principal, including their calls in flight, and returns how many there were.
    ///
    /// Use it when a principal signs out or loses its access. It may open sessions again.
    pub fn close_all(&self, principal: &Principal) -> usize {
        self.store().close_principal(principal)
    }

    /// Returns the handle of each session of `principal` that [`find`](Self::find) finds, and the value beside it, in no
    /// order.
    ///
    /// To be listed is no use: it does not prolong the idle time of a session.
    #[must_use]
    pub fn list(&self, principal: &Principal) -> Vec<(SessionHandle, T)>
    where
        T: Clone,
    {
        self.store().entries_of(principal).iter().map(|entry| (entry.handle, entry.value.clone())).collect()
    }

    /// Closes all sessions of all principals, including their calls in flight, and returns the values beside them.
    ///
    /// Use it at shutdown, when the values have to be released with care. The registry stays open: further sessions may
    /// be opened.
    pub fn drain(&self) -> Vec<T>
    where
        T: Clone,
    {
        self.store().drain().iter().map(|entry| entry.value.clone()).collect()
    }

    /// Returns how many sessions count against the limit, including ended ones that were not swept yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store().len()
    }

    /// Returns whether the registry has no session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes every session that is past its idle time or its lifetime and has no call in flight, and returns how many
    /// there were.
    ///
    /// For hosts that drive their own timers; [`keep_swept`](Self::keep_swept) calls it regularly. The cost is
    /// proportional to the number of open sessions.
    pub fn sweep(&self) -> usize {
        let removed = self.store().remove_ended();
        self.store().end_all(&removed);
        removed.len()
    }

    /// Sweeps every 30 seconds, or more often if the idle time or the lifetime is shorter, until the registry is dropped;
    /// then the future ends at once. Without it, ended sessions are not found either, but they are closed only when they
    /// are looked up, or by an [`open`](SessionRegistry::open) for which a sweep is due.
    ///
    /// Spawn the future, or select over it: it does not keep the registry alive. It must be polled inside a tokio runtime
    /// with time enabled.
    ///
    /// # Cancel safety
    /// Dropping the future closes the sessions that it has already removed.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionRegistry;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let registry = SessionRegistry::builder().build();
    /// let sweeping = tokio::spawn(registry.keep_swept());
    ///
    /// // At the end of the program:
    /// drop(registry);
    /// sweeping.await.expect("the task ends with the registry");
    /// # }
    /// ```
    pub fn keep_swept(&self) -> impl Future<Output = ()> + Send + 'static {
        let store = Arc::clone(self.store());
        let pause = store.limits.sweep_interval();
        async move {
            loop {
                // Listens before it checks, so that it does not miss an end in between.
                let ended = store.ended.notified();
                if store.is_closed() {
                    break;
                }
                for chunk in store.remove_ended().chunks(SWEEP_CHUNK) {
                    store.end_all(chunk);
                    tokio::time::sleep(BETWEEN_CHUNKS).await;
                }
                let _either = tokio::time::timeout(pause, ended).await;
            }
        }
    }

    /// Refreshes the credentials of every session, including sessions opened later, as they enter the advisory window,
    /// until the registry is dropped. The limits are shared by all sessions, so that sessions opened together neither
    /// overload their sources nor run out. The credentials that expire first are refreshed first. The work is
    /// proportional to what is due, not to what is open.
    ///
    /// A background refresh does not count as a call: it does not keep a session from being idle. Spawn the future, or
    /// select over it: it does not keep the registry alive. It must be polled inside a tokio runtime with time enabled.
    ///
    /// # Cancel safety
    /// Dropping the future stops the background refresh and loses nothing.
    pub fn keep_warm(&self, limits: RefreshLimits) -> impl Future<Output = ()> + Send + 'static {
        let store = Arc::clone(self.store());
        let refresher = RefreshQueue::new(store.clock());
        store.add_refresher(&refresher);
        run_refreshes(refresher, limits, move || !store.is_closed())
    }

    fn store(&self) -> &Arc<Store<T>> {
        &self.0.0
    }
}

impl<T: Send + Sync + 'static> Clone for SessionRegistry<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for SessionRegistry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRegistry").field("len", &self.0.0.len()).finish_non_exhaustive()
    }
}

/// The same error for a handle that never existed, one whose session has ended, and one of another principal. Its kind is
/// not `NotConfigured`, since a chain of providers would go on to the next provider then.
fn unknown_handle() -> Error {
    Error::new(ErrorKind::Closed, "no session is open under this handle").with_next_step("open a new session")
}
