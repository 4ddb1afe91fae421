//! The background work of a registry, driven by its owner: sweeping ended sessions and refreshing credentials.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::SessionRegistry;
use super::store::Store;
use crate::cache::RefreshQueue;
use crate::cache::run_refreshes;
use crate::clock::{LONGEST_SLEEP, SHORTEST_SLEEP};
use crate::{RefreshLimits, SessionContext};

/// How many sessions are closed before other tasks run.
const SWEEP_CHUNK: usize = 256;
const BETWEEN_CHUNKS: Duration = Duration::from_millis(1);

impl<T: Send + Sync + 'static> SessionRegistry<T> {
    /// Closes every session that is past its idle time or its lifetime and has no call in flight, and returns how many
    /// there were.
    ///
    /// For hosts that drive their own timers; [`keep_swept`](Self::keep_swept) calls it regularly. The cost is
    /// proportional to the number of open sessions.
    ///
    /// # Examples
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use valetkey_core::testing::ManualClock;
    /// # use valetkey_core::{SessionContext, SessionRegistry};
    /// let clock = Arc::new(ManualClock::new());
    /// let minute = Duration::from_secs(60);
    /// let registry = SessionRegistry::builder().idle_ttl(minute).clock(clock.clone()).build();
    /// registry.open("alice".parse()?, SessionContext::builder())?;
    /// let in_use = registry.open("bob".parse()?, SessionContext::builder())?;
    ///
    /// clock.advance(minute);
    /// assert_eq!(registry.sweep(), 1, "the other one has a call in flight");
    /// assert!(!in_use.is_closed());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn sweep(&self) -> usize {
        let removed = self.store().remove_ended();
        self.store().end_all(&removed);
        removed.len()
    }

    /// Sweeps every 30 seconds, or more often if the idle time or the lifetime is shorter, until the registry is dropped;
    /// then the future ends at once. Without it, ended sessions are not found either, but they are closed only when they
    /// are looked up or when a session is opened.
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
        let pause = store.limits.shortest().clamp(SHORTEST_SLEEP, LONGEST_SLEEP);
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
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{RefreshLimits, SessionRegistry};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let registry = SessionRegistry::builder().build();
    /// let refreshing = tokio::spawn(registry.keep_warm(RefreshLimits::default()));
    ///
    /// // At the end of the program:
    /// drop(registry);
    /// refreshing.await.expect("the task ends with the registry");
    /// # }
    /// ```
    pub fn keep_warm(&self, limits: RefreshLimits) -> impl Future<Output = ()> + Send + 'static {
        let store = Arc::clone(self.store());
        let refresher = RefreshQueue::new(store.clock());
        store.add_refresher(&refresher);
        run_refreshes(refresher, limits, move || !store.is_closed())
    }
}

impl<T> Store<T> {
    /// Registers a refresher for the open sessions and for those that are opened later.
    fn add_refresher(&self, refresher: &Arc<RefreshQueue>) {
        // Registered before the sessions are listed: a session opened meanwhile finds the refresher, or is in the list.
        let mut refreshers = self.refreshers.lock();
        refreshers.retain(|known| known.strong_count() > 0);
        refreshers.push(Arc::downgrade(refresher));
        drop(refreshers);
        self.sessions().iter().for_each(|session| session.attach_refresher(refresher));
    }

    /// Registers a session that was just opened with the refreshers that run.
    pub(super) fn refresh_in_background(&self, session: &SessionContext) {
        self.live_refreshers().iter().for_each(|refresher| session.attach_refresher(refresher));
    }

    /// Makes background refreshes notice the end of the registry.
    pub(super) fn wake_refreshers(&self) {
        self.live_refreshers().iter().for_each(|refresher| refresher.notify());
    }

    /// Returns the refreshers whose futures were not dropped.
    fn live_refreshers(&self) -> Vec<Arc<RefreshQueue>> {
        self.refreshers.lock().iter().filter_map(Weak::upgrade).collect()
    }
}
