//! `RotationWatcher`: reports the versions of one account's credentials, whichever session serves the account.

use std::sync::{Arc, Weak};

use tokio::sync::watch;

use super::inner::SessionInner;
use crate::cache::{Generation, RotationState};
use crate::{AccountName, Result};

/// Watches the credentials of one account. Created by [`SessionContext::watch_rotations`](super::SessionContext::watch_rotations).
/// An inherited account is followed to the session that serves it.
///
/// The watcher does not keep the session alive. A clone continues from what this watcher has reported.
///
/// # Examples
/// ```
/// # use valetkey_core::{Credentials, SessionContext};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> valetkey_core::Result<()> {
/// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
/// let session = SessionContext::builder().build();
/// let mut rotations = session.watch_rotations()?;
///
/// let generation = session.set_credentials(credentials)?;
/// assert_eq!(rotations.changed().await, Some(generation));
///
/// session.close();
/// assert_eq!(rotations.changed().await, None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RotationWatcher {
    session: Weak<SessionInner>,
    name: AccountName,
    topology: watch::Receiver<()>,
    /// The cache that serves the account; `None` after that cache was cleared and removed.
    cache: Option<watch::Receiver<RotationState>>,
}

impl RotationWatcher {
    /// Subscribes to the topology before it looks up the cache, so that a change in between is not missed.
    pub(super) fn new(session: &Arc<SessionInner>, name: &AccountName) -> Result<Self> {
        let topology = session.subscribe_topology();
        let cache = session.account_cache(name)?.subscribe();
        Ok(Self { session: Arc::downgrade(session), name: name.clone(), topology, cache: Some(cache) })
    }

    /// Returns the current generation; the initial generation once no cache serves the account.
    #[must_use]
    pub fn current(&self) -> Generation {
        self.cache.as_ref().map(|cache| cache.borrow().generation).unwrap_or_default()
    }

    /// Waits until the served credentials change or are cleared, or another session of the family serves the account.
    /// Returns `None` once the session is closed. Several changes may be reported as one.
    ///
    /// # Cancel safety
    /// Dropping the future loses no change.
    ///
    /// A clear is reported as a generation of its own, under which nothing is served.
    pub async fn changed(&mut self) -> Option<Generation> {
        while self.is_open() {
            tokio::select! {
                biased;
                state = next(&mut self.cache) => {
                    if !state?.closed {
                        return Some(self.current());
                    }
                    // The cache may belong to a parent: the session itself reports what its end means here.
                    self.cache = None;
                }
                () = SessionInner::wait_expired(&self.session) => {}
                open = self.topology.changed() => {
                    open.ok()?;
                    if self.rebind()? {
                        return Some(self.current());
                    }
                }
            }
        }
        None
    }

    fn is_open(&self) -> bool {
        self.session.upgrade().is_some_and(|session| !session.is_closed())
    }

    /// Switches to the cache that serves the account now, and returns whether it is a different one; `None` at the end.
    fn rebind(&mut self) -> Option<bool> {
        let session = self.session.upgrade().filter(|session| !session.is_closed())?;
        let cache = session.account_cache(&self.name).ok().map(|cache| cache.subscribe());
        let same = match (&self.cache, &cache) {
            (Some(before), Some(now)) => before.same_channel(now),
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.cache = cache;
        }
        Some(!same)
    }
}

/// Returns the next announcement; waits forever without a cache. `None` when the cache is gone.
async fn next(cache: &mut Option<watch::Receiver<RotationState>>) -> Option<RotationState> {
    match cache {
        Some(cache) if cache.borrow().closed => Some(*cache.borrow()),
        Some(cache) => {
            cache.changed().await.ok()?;
            Some(*cache.borrow_and_update())
        }
        None => std::future::pending().await,
    }
}
