//! `AccountCache`: the credentials that one account of a session serves, and the rules by which they change.
//!
//! | part | responsibility |
//! |---|---|
//! | [`versioned_cell`] | the cell that is read without a lock and written under one |
//! | [`state`] | what the lock of the cell guards |
//! | [`set`], [`clear`] | changes that a caller makes |
//! | [`refresh`], [`backoff`], [`freshness`], [`policy`] | when the provider is called, and what a failure means |
//! | [`refresh_queue`], [`refresher`] | background refreshes |
//! | [`version`] | the versions of credentials that callers see |

mod backoff;
mod clear;
mod freshness;
mod policy;
mod refresh;
mod refresh_queue;
mod refresher;
mod set;
mod state;
mod version;
mod versioned_cell;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};

use crate::clock::Nanos;
use crate::credentials::CredentialsInner;
use crate::session::error;
use crate::session::shared::SessionShared;
use crate::{AccessKeyId, AccountName, CredentialProvider, Credentials, Region, Result, SessionPolicy};

pub use freshness::Freshness;
pub use policy::RefreshPolicy;
pub use refresher::RefreshLimits;
pub use version::{CredentialsVersion, CurrentCredentials, Generation};

pub(crate) use clear::{ClearKind, ClearedProviders};
pub(crate) use freshness::IssueMetadata;
pub(crate) use refresh_queue::RefreshQueue;
pub(crate) use refresher::run_refreshes;
pub(crate) use version::{LazyWatch, RenewalChain, RotationState};
pub(crate) use versioned_cell::{LazyArcSwap, Sentinel};

use freshness::RefreshWindows;
use refresh_queue::RefreshTimes;
use state::State;
use versioned_cell::{VersionedCell, WriteGuard};

/// The credentials of one account, and what is needed to replace them.
///
/// Invariants:
///
/// - Readers take no lock. They see credentials of one version, or none.
/// - The state and the credentials change together, under the lock of the cell. No provider, observer or audit sink is
///   called or dropped under that lock.
/// - Callers of one epoch share one fetch. It publishes its result only in the epoch in which it began, so nothing
///   is served that was fetched before an update, a clear or a close.
/// - The generation grows whenever other credentials are served or credentials are withdrawn, and never goes back.
pub(crate) struct AccountCache {
    name: AccountName,
    shared: Arc<SessionShared>,
    cell: VersionedCell<CredentialsInner, State>,
    /// Wakes the callers that wait for a fetch when it is invalidated.
    epoch_changed: Notify,
}

type StateGuard<'a> = WriteGuard<'a, CredentialsInner, State>;

impl AccountCache {
    /// Creates a cache that serves nothing and has no provider.
    pub(crate) fn new(name: AccountName, shared: Arc<SessionShared>) -> Self {
        let state = State::new(shared.new_renewal_chain());
        Self { name, shared, cell: VersionedCell::new(state), epoch_changed: Notify::new() }
    }

    /// Returns the name of the account within its session.
    pub(crate) fn name(&self) -> &AccountName {
        &self.name
    }

    /// Returns the current credentials if no decision about them is needed: the warm path, without a lock.
    pub(crate) fn cached(&self) -> Option<Credentials> {
        let credentials = Credentials::from_guard(self.cell.read()?);
        credentials.metadata().is_fresh_at(self.shared.now_nanos()).then_some(credentials)
    }

    /// Returns valid credentials, and fetches them first if necessary. Freshness is checked at the first poll, and
    /// only a future that has to wait is boxed.
    pub(crate) async fn credentials(self: &Arc<Self>) -> Result<Credentials> {
        match self.cached() {
            Some(fresh) => Ok(fresh),
            None => Box::pin(self.get_or_refresh()).await,
        }
    }

    /// Returns the credentials that can be served without a fetch, with their version.
    pub(crate) fn current_credentials(&self) -> Option<CurrentCredentials> {
        let credentials = Credentials::from_guard(self.cell.read()?);
        let usable = credentials.metadata().freshness(self.shared.now()) < Freshness::Expired;
        usable.then(|| CurrentCredentials { id: credentials.metadata().id, credentials })
    }

    /// Treats the current credentials as expired if `rejected` is their key. Those that replace them begin a new
    /// chain: they are no renewal of credentials that a service refused.
    pub(crate) fn mark_rejected(&self, rejected: &AccessKeyId) {
        let mut state = self.cell.lock();
        if let Some(current) = self.current().filter(|current| current.access_key_id() == rejected) {
            current.metadata().mark_expired();
            state.chain = self.shared.new_renewal_chain();
        }
    }

    /// Returns the account's provider, narrowed.
    ///
    /// # Errors
    /// `Invalid` for credentials that were set directly, since they may belong to another identity than the
    /// provider; `NotConfigured` while no provider may be called; `Closed` after closing; otherwise the error of
    /// the provider.
    pub(crate) fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let provider = {
            let state = self.lock_open()?;
            if state.manually_set {
                return Err(error::manually_set());
            }
            state.enabled_provider().ok_or_else(error::not_configured)?
        };
        provider.scope_down(policy).map_err(|error| error.with_provider(provider.name()))
    }

    /// Invalidates what the provider issued, since it may have been derived from what was replaced.
    pub(crate) fn invalidate_issued(&self) {
        self.invalidate(&mut self.cell.lock());
    }

    /// Returns a receiver of the announcements of this cache. It starts with the present state, which counts as
    /// seen.
    pub(crate) fn subscribe(&self) -> watch::Receiver<RotationState> {
        let mut state = self.cell.lock();
        let now = rotation_state(&state);
        state.watch.subscribe(now)
    }

    /// Returns the credentials that the cell holds, whether or not they have expired.
    pub(crate) fn current(&self) -> Option<Credentials> {
        self.cell.current().map(Credentials::from_arc)
    }

    /// Returns all credentials that the account holds: those it serves, and those that were set and are only
    /// exchanged.
    pub(crate) fn exposed_credentials(&self) -> Vec<Credentials> {
        let exchanged = self.cell.lock().exchanged().cloned();
        self.current().into_iter().chain(exchanged).collect()
    }

    /// Returns the credentials that were set on the account: those that it serves, or those that are only exchanged.
    pub(crate) fn explicit_credentials(&self) -> Option<Credentials> {
        let state = self.cell.lock();
        let exchanged = state.exchanged().cloned();
        exchanged.or_else(|| self.current().filter(|_| state.manually_set))
    }

    /// Returns the generation of the last change, which may have been a clear.
    pub(crate) fn generation(&self) -> Generation {
        self.cell.lock().generation
    }

    /// Returns the provider of the account, suspended or not.
    pub(crate) fn provider(&self) -> Option<Arc<dyn CredentialProvider>> {
        self.cell.lock().provider.clone()
    }

    /// Returns the provider's name, if the provider may be called.
    pub(crate) fn provider_name(&self) -> Option<String> {
        let provider = self.cell.lock().enabled_provider()?;
        Some(provider.name().into_owned())
    }

    /// Returns the region of the credentials, otherwise that of the account.
    pub(crate) fn region(&self) -> Option<Region> {
        let from_credentials = self.current().and_then(|current| current.region().cloned());
        from_credentials.or_else(|| self.cell.lock().region())
    }

    /// Returns the region of the environment in which the credentials were fetched.
    pub(crate) fn environment_region(&self) -> Option<Region> {
        self.current().and_then(|current| current.environment_region().cloned())
    }

    /// Sets the region of the account, which applies where its credentials specify none.
    pub(crate) fn set_region(&self, region: Region) {
        self.cell.lock().set_region(region);
    }

    /// Returns when the last of all credentials that were ever held here expires: zero if there were none, `MAX` if
    /// any of them never expires, or only after the year 2554.
    pub(crate) fn latest_expiry(&self) -> Nanos {
        self.cell.lock().latest_expiry
    }

    /// Includes credentials that another session held.
    pub(crate) fn extend_latest_expiry(&self, until: Nanos) {
        let mut state = self.cell.lock();
        state.latest_expiry = state.latest_expiry.max(until);
    }

    /// Returns whether the account should be refreshed in the background now.
    pub(crate) fn needs_refresh(&self) -> bool {
        let times = self.refresh_times(&self.cell.lock());
        times.is_some_and(|times| times.refresh_at <= self.shared.now())
    }

    /// Schedules the account's next background refresh, after `pause` at the earliest, or removes it from the queue.
    pub(crate) fn schedule_on(self: &Arc<Self>, queue: &RefreshQueue, pause: Duration) {
        let state = self.cell.lock();
        self.schedule(&state, queue, pause);
    }

    /// Called inside the gate, so that the last decision is the one that stays on the queue.
    fn schedule(self: &Arc<Self>, state: &StateGuard<'_>, queue: &RefreshQueue, pause: Duration) {
        match self.refresh_times(state) {
            Some(times) => {
                let earliest = self.shared.now() + pause;
                queue.schedule(self, RefreshTimes { refresh_at: times.refresh_at.max(earliest), ..times })
            }
            None => queue.remove(self),
        }
    }

    /// Returns when the account is next due for a background refresh: never, unless a provider has issued credentials.
    fn refresh_times(&self, state: &StateGuard<'_>) -> Option<RefreshTimes> {
        let current = self.current().filter(|_| !state.manually_set && state.active_provider().is_some())?;
        let windows = current.metadata().windows;
        let advisory_at = windows.advisory_at?;
        let mandatory_at = windows.mandatory_at.filter(|_| !self.shared.policy().serve_expired);
        let refresh_at =
            state.backoff.next_attempt(mandatory_at).map_or(advisory_at, |from| from.max(advisory_at));
        Some(RefreshTimes { refresh_at, expires_at: windows.expires_at.unwrap_or(refresh_at) })
    }

    /// Serves `credentials` from now on, and announces them unless they are those that are served already. Ends the
    /// backoff after a failure. Returns the credentials as they are served: with their version and their windows.
    fn publish(&self, state: &mut StateGuard<'_>, credentials: &Credentials, now: SystemTime) -> Credentials {
        state.backoff.reset();
        state.record_exposure(credentials);
        let unchanged = self.is_unchanged(state, credentials);
        if unchanged.is_none() {
            state.generation = state.generation.next();
        }
        let windows = RefreshWindows::new(now, credentials, self.shared.policy(), self.jitter());
        let id = unchanged.unwrap_or_else(|| CredentialsVersion::new(state.chain, state.generation));
        let inner = credentials.to_inner(IssueMetadata::new(id, windows, state.manually_set));
        state.publish(Arc::clone(&inner));
        if unchanged.is_none() {
            notify(state);
        }
        Credentials::from_arc(inner)
    }

    /// Returns the version that is served if the provider returned the same credentials again: this is no rotation, and
    /// servers that use the credentials are not replaced.
    fn is_unchanged(&self, state: &StateGuard<'_>, fetched: &Credentials) -> Option<CredentialsVersion> {
        let current = self.current().filter(|_| !state.manually_set)?;
        let id = current.metadata().id;
        (id.belongs_to(state.chain) && current.has_same_values(fetched)).then_some(id)
    }

    /// Stops serving what the provider issued.
    fn invalidate(&self, state: &mut StateGuard<'_>) {
        if !state.manually_set {
            self.advance_epoch(state);
            if self.cell.has_value() {
                self.unpublish(state);
            }
        }
    }

    /// Serves nothing from now on, and announces it.
    fn unpublish(&self, state: &mut StateGuard<'_>) {
        state.chain = self.shared.new_renewal_chain();
        state.generation = state.generation.next();
        state.unpublish();
        notify(state);
    }

    /// Invalidates the running fetch and forgets failures.
    fn advance_epoch(&self, state: &mut StateGuard<'_>) {
        state.advance_epoch();
        state.fetch.forget();
        state.backoff.reset();
        self.shared.for_each_refresher(|queue| queue.remove(self));
        self.epoch_changed.notify_waiters();
    }

    /// Returns a value from 0 to 1, fixed for the session: sessions that were opened together do not refresh together.
    fn jitter(&self) -> f64 {
        fastrand::Rng::with_seed(self.shared.id.seed()).f64()
    }

    /// Returns whether the cell still holds this very value. A caller that waited for a fetch checks it before it
    /// returns the result: the credentials may have been cleared since they were published.
    fn holds_version(&self, credentials: &Credentials) -> bool {
        self.current().is_some_and(|current| current.ptr_eq(credentials))
    }

    /// Locks the state unless the cache is closed.
    ///
    /// # Errors
    /// `Closed` after closing.
    fn lock_open(&self) -> Result<StateGuard<'_>> {
        self.cell.lock_open().ok_or_else(error::closed)
    }
}

/// Describes the present state to watchers.
fn rotation_state(state: &StateGuard<'_>) -> RotationState {
    RotationState { generation: state.generation, closed: state.is_closed() }
}

/// Announces the present state. Called under the lock, so that watchers see generations in order.
fn notify(state: &mut StateGuard<'_>) {
    let now = rotation_state(state);
    state.watch.notify(now);
}

impl fmt::Debug for AccountCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountCache").field("name", &self.name).finish_non_exhaustive()
    }
}
