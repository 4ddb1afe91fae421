//! `AccountCache`: one account of a session: the credentials it serves, the state that controls them, and its provider.

mod cleared;
mod given;
mod outlived;
mod refresh;
mod region;
mod stand_in;

use stand_in::ColdState;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};

use super::agenda::{RefreshQueue, RefreshTimes};
use super::audience::LazyWatch;
use super::faults;
use super::flight::Outcome;
use super::freshness::{Freshness, Issued, Windows};
use super::gate::{self, VersionedCell};
use super::hold::RefreshBackoff;
use super::rotation::{RenewalChain, RotationState};
use super::surroundings::SessionShared;
use super::{CredentialsVersion, CurrentCredentials, Generation};
use crate::clock::Nanos;
use crate::credentials::CredentialsInner;
use crate::single_flight::SingleFlight;
use crate::{AccessKeyId, AccountName, CredentialProvider, Credentials, Result, SessionPolicy};
use stand_in::{Guard, Provider};

pub(super) struct AccountCache {
    alias: AccountName,
    surroundings: Arc<SessionShared>,
    gate: VersionedCell<CredentialsInner, State>,
    /// Wakes the callers that wait for a fetch when it is invalidated.
    moved: Notify,
}

type Turn<'a> = gate::WriteGuard<'a, CredentialsInner, State>;

/// The providers that must forget what they keep, and a guard to be dropped.
pub(super) type ClearedProviders = ([Option<Provider>; 2], Option<Guard>);

struct State {
    provider: Option<Arc<dyn CredentialProvider>>,
    rarity: Option<Box<ColdState>>,
    /// The current credentials were set directly: no provider is called.
    set: bool,
    /// The lineage that began with the last clear; zero before any.
    cleared: RenewalChain,
    /// The account was cleared, and nothing was set on the session since: the provider is not called.
    dormant: bool,
    /// Changes whenever the next credentials do not continue the previous ones.
    lineage: RenewalChain,
    generation: Generation,
    /// When the last of all credentials that were ever held expires.
    lives_until: Nanos,
    flight: SingleFlight<Outcome>,
    hold: RefreshBackoff,
    rotations: LazyWatch<RotationState>,
}

impl AccountCache {
    pub(super) fn new(alias: AccountName, surroundings: Arc<SessionShared>) -> Self {
        let state = State {
            provider: None,
            rarity: None,
            set: false,
            cleared: RenewalChain::default(),
            dormant: false,
            lineage: surroundings.new_renewal_chain(),
            generation: Generation::default(),
            lives_until: 0,
            flight: SingleFlight::default(),
            hold: RefreshBackoff::default(),
            rotations: LazyWatch::default(),
        };
        Self { alias, surroundings, gate: VersionedCell::new(state), moved: Notify::new() }
    }

    pub(super) fn alias(&self) -> &AccountName {
        &self.alias
    }

    /// Returns the current credentials if no decision about them is needed: the warm path, without a lock.
    pub(super) fn cached(&self) -> Option<Credentials> {
        let set = Credentials::from_guard(self.gate.read()?);
        set.metadata().is_fresh_at(self.surroundings.now_nanos()).then_some(set)
    }

    /// Returns valid credentials, and fetches them first if necessary. Freshness is checked at the first poll, and
    /// only a future that has to wait is boxed.
    pub(super) async fn credentials(self: &Arc<Self>) -> Result<Credentials> {
        match self.cached() {
            Some(fresh) => Ok(fresh),
            None => Box::pin(self.get_or_refresh()).await,
        }
    }

    /// Returns the credentials that can be served without a fetch, with their version.
    pub(super) fn current_credentials(&self) -> Option<CurrentCredentials> {
        let credentials = Credentials::from_guard(self.gate.read()?);
        let usable = credentials.metadata().freshness(self.surroundings.now()) < Freshness::Expired;
        usable.then(|| CurrentCredentials { id: credentials.metadata().id, credentials })
    }

    pub(super) fn mark_rejected(&self, rejected: &AccessKeyId) {
        let mut turn = self.gate.lock();
        if let Some(current) = self.current().filter(|current| current.access_key_id() == rejected) {
            current.metadata().mark_expired();
            turn.lineage = self.surroundings.new_renewal_chain();
        }
    }

    /// Clears the account. With `for_good` it never serves again, otherwise not until something is set on the session.
    /// Returns the providers, so that the caller can make them forget once no lock is held: `forget` and `Drop` are
    /// user code.
    #[must_use]
    pub(super) fn clear(&self, for_good: bool) -> ClearedProviders {
        let mut turn = self.gate.lock();
        self.advance_epoch(&mut turn);
        turn.set = false;
        let stand_in = turn.replace_stand_in(None);
        let provider = if for_good { turn.provider.take() } else { turn.provider.clone() };
        let guard = if for_good { turn.take_guard() } else { None };
        if for_good {
            turn.close();
        }
        // Before the announcement, so that a watcher that it wakes sees that this was a clear.
        turn.record_clear(&self.surroundings);
        self.unpublish(&mut turn);
        ([provider, stand_in], guard)
    }

    /// Returns the account's provider, narrowed.
    pub(super) fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let provider = {
            let turn = self.enter_open()?;
            if turn.set {
                return Err(faults::manually_set_error());
            }
            turn.provider_to_ask().ok_or_else(faults::not_configured_error)?
        };
        provider.scope_down(policy).map_err(|error| error.with_provider(provider.name()))
    }

    /// Invalidates what the provider issued, since it may have been derived from what was replaced.
    pub(super) fn invalidate_issued(&self) {
        self.invalidate(&mut self.gate.lock());
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<RotationState> {
        let mut turn = self.gate.lock();
        let now = rotation_state(&turn);
        turn.rotations.subscribe(now)
    }

    pub(super) fn current(&self) -> Option<Credentials> {
        self.gate.current().map(Credentials::from_arc)
    }

    /// Returns all credentials that the account holds: those it serves, and those that were set and are only
    /// exchanged.
    pub(super) fn exposed_credentials(&self) -> Vec<Credentials> {
        let exchanged = self.gate.lock().exchanged().cloned();
        self.current().into_iter().chain(exchanged).collect()
    }

    pub(super) fn generation(&self) -> Generation {
        self.gate.lock().generation
    }

    /// Returns the provider's name, if the provider may be called.
    pub(super) fn provider_name(&self) -> Option<String> {
        let provider = self.gate.lock().provider_to_ask()?;
        Some(provider.name().into_owned())
    }

    /// Returns whether the account should be refreshed in the background now.
    pub(super) fn needs_refresh(&self) -> bool {
        let due = self.refresh_times(&self.gate.lock());
        due.is_some_and(|due| due.at <= self.surroundings.now())
    }

    /// Schedules the account's next background refresh, after `pause` at the earliest, or removes it from the agenda.
    pub(super) fn schedule_on(self: &Arc<Self>, agenda: &RefreshQueue, pause: Duration) {
        let turn = self.gate.lock();
        self.schedule(&turn, agenda, pause);
    }

    /// Called inside the gate, so that the last decision is the one that stays on the agenda.
    fn schedule(self: &Arc<Self>, turn: &Turn<'_>, agenda: &RefreshQueue, pause: Duration) {
        match self.refresh_times(turn) {
            Some(due) => {
                agenda.schedule(self, RefreshTimes { at: due.at.max(self.surroundings.now() + pause), ..due })
            }
            None => agenda.remove(self),
        }
    }

    /// Returns when the account is next due for a background refresh: never, unless a provider has issued credentials.
    fn refresh_times(&self, turn: &Turn<'_>) -> Option<RefreshTimes> {
        let current = self.current().filter(|_| !turn.set && turn.active_provider().is_some())?;
        let windows = current.metadata().windows;
        let advisory_at = windows.advisory_at?;
        let last_minute = windows.mandatory_at.filter(|_| !self.surroundings.policy().serve_expired);
        let at = turn.hold.next_attempt(last_minute).map_or(advisory_at, |from| from.max(advisory_at));
        Some(RefreshTimes { at, until: windows.expires_at.unwrap_or(at) })
    }

    fn publish(&self, turn: &mut Turn<'_>, credentials: &Credentials, now: SystemTime) -> Credentials {
        turn.hold.reset();
        turn.record_exposure(credentials);
        let unchanged = self.is_unchanged(turn, credentials);
        if unchanged.is_none() {
            turn.generation = turn.generation.next_state();
        }
        let windows = Windows::new(now, credentials, self.surroundings.policy(), self.jitter());
        let id = unchanged.unwrap_or_else(|| CredentialsVersion::new(turn.lineage, turn.generation));
        let held = credentials.to_inner(Issued::new(id, windows, turn.set));
        turn.publish(Arc::clone(&held));
        if unchanged.is_none() {
            notify(turn);
        }
        Credentials::from_arc(held)
    }

    /// Returns the version that is served if the provider returned the same credentials again: this is no rotation, and
    /// servers that use the credentials are not replaced.
    fn is_unchanged(&self, turn: &Turn<'_>, answer: &Credentials) -> Option<CredentialsVersion> {
        let current = self.current().filter(|_| !turn.set)?;
        let id = current.metadata().id;
        (id.belongs_to(turn.lineage) && current.has_same_values(answer)).then_some(id)
    }

    /// Stops serving what the provider issued.
    fn invalidate(&self, turn: &mut Turn<'_>) {
        if !turn.set {
            self.advance_epoch(turn);
            if self.gate.has_value() {
                self.unpublish(turn);
            }
        }
    }

    /// Serves nothing from now on, and announces it.
    fn unpublish(&self, turn: &mut Turn<'_>) {
        turn.lineage = self.surroundings.new_renewal_chain();
        turn.generation = turn.generation.next_state();
        turn.unpublish();
        notify(turn);
    }

    /// Invalidates the running fetch and forgets failures.
    fn advance_epoch(&self, turn: &mut Turn<'_>) {
        turn.advance_epoch();
        turn.flight.forget();
        turn.hold.reset();
        self.surroundings.for_each_refresher(|agenda| agenda.remove(self));
        self.moved.notify_waiters();
    }

    /// Returns a value from 0 to 1, fixed for the session: sessions that were opened together do not refresh together.
    fn jitter(&self) -> f64 {
        fastrand::Rng::with_seed(self.surroundings.id.seed()).f64()
    }

    fn holds_version(&self, set: &Credentials) -> bool {
        self.current().is_some_and(|current| current.ptr_eq(set))
    }

    fn enter_open(&self) -> Result<Turn<'_>> {
        self.gate.lock_open().ok_or_else(faults::closed_error)
    }
}

fn rotation_state(turn: &Turn<'_>) -> RotationState {
    RotationState { generation: turn.generation, last: turn.is_closed() }
}

fn notify(turn: &mut Turn<'_>) {
    let news = rotation_state(turn);
    turn.rotations.notify(news);
}

impl fmt::Debug for AccountCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountCache").field("alias", &self.alias).finish_non_exhaustive()
    }
}
