//! `AccountCache`: one account of a session: what it serves, what decides about it, who provides it.

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
    /// Wakes whoever waits for a fetch when it is void.
    moved: Notify,
}

type Turn<'a> = gate::WriteGuard<'a, CredentialsInner, State>;

/// The providers that have to forget what they keep, and a guard that is to be dropped.
pub(super) type ClearedProviders = ([Option<Provider>; 2], Option<Guard>);

struct State {
    provider: Option<Arc<dyn CredentialProvider>>,
    rarity: Option<Box<ColdState>>,
    /// The current set was given by hand: no provider is asked.
    set: bool,
    /// The lineage that began with the last clear; zero before any.
    cleared: RenewalChain,
    /// Cleared, and nothing was given to the session since: the provider is not asked.
    dormant: bool,
    /// Moves whenever what is served next does not continue what was served before.
    lineage: RenewalChain,
    generation: Generation,
    /// When the last of all sets that were ever held expires.
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

    /// The current set, if nothing needs to be decided about it: the warm path, without a lock.
    pub(super) fn cached(&self) -> Option<Credentials> {
        let set = Credentials::from_guard(self.gate.read()?);
        set.metadata().is_fresh_at(self.surroundings.now_nanos()).then_some(set)
    }

    /// The current, valid set; fetched first if need be. Whether it is fresh is asked at the first poll, and only a future
    /// that has to wait is boxed.
    pub(super) async fn credentials(self: &Arc<Self>) -> Result<Credentials> {
        match self.cached() {
            Some(fresh) => Ok(fresh),
            None => Box::pin(self.get_or_refresh()).await,
        }
    }

    /// What can be served without asking anybody, with what tells it from other sets.
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

    /// Wipes the account; with `for_good` it never serves again, else not until something is given to the session. The
    /// provider and who stood in for it are handed to the caller, who has them forget once no lock is held: neither that
    /// nor their `Drop` is ours.
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
        // Before the announcement, so that a watcher which it wakes sees that this was a clear.
        turn.record_clear(&self.surroundings);
        self.unpublish(&mut turn);
        ([provider, stand_in], guard)
    }

    /// The account's provider, narrowed.
    pub(super) fn narrowed(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let provider = {
            let turn = self.enter_open()?;
            if turn.set {
                return Err(faults::manually_set_error());
            }
            turn.provider_to_ask().ok_or_else(faults::not_configured_error)?
        };
        provider.narrowed(policy).map_err(|error| error.with_provider(provider.name()))
    }

    /// What the provider issued is void, for it may have been derived from what was replaced.
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

    /// All credentials that the account holds: what it serves, and what was set and is only exchanged.
    pub(super) fn exposed_credentials(&self) -> Vec<Credentials> {
        let exchanged = self.gate.lock().exchanged().cloned();
        self.current().into_iter().chain(exchanged).collect()
    }

    pub(super) fn generation(&self) -> Generation {
        self.gate.lock().generation
    }

    /// The provider's name, when it may be asked.
    pub(super) fn provider_name(&self) -> Option<String> {
        let provider = self.gate.lock().provider_to_ask()?;
        Some(provider.name().into_owned())
    }

    /// Whether a warmer should refresh this account now.
    pub(super) fn needs_refresh(&self) -> bool {
        let due = self.refresh_times(&self.gate.lock());
        due.is_some_and(|due| due.at <= self.surroundings.now())
    }

    /// Puts the account on the agenda of a warmer, due after `pause` at the earliest, or takes it off.
    pub(super) fn schedule_on(self: &Arc<Self>, agenda: &RefreshQueue, pause: Duration) {
        let turn = self.gate.lock();
        self.schedule(&turn, agenda, pause);
    }

    /// From inside, so that what is decided last is what stays on the agenda.
    fn schedule(self: &Arc<Self>, turn: &Turn<'_>, agenda: &RefreshQueue, pause: Duration) {
        match self.refresh_times(turn) {
            Some(due) => {
                agenda.schedule(self, RefreshTimes { at: due.at.max(self.surroundings.now() + pause), ..due })
            }
            None => agenda.remove(self),
        }
    }

    /// When a warmer should next refresh this account: never, unless a provider has issued a set.
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

    /// The set that is served, if the provider merely answered it again: that is no rotation, and replaces no server.
    fn is_unchanged(&self, turn: &Turn<'_>, answer: &Credentials) -> Option<CredentialsVersion> {
        let current = self.current().filter(|_| !turn.set)?;
        let id = current.metadata().id;
        (id.belongs_to(turn.lineage) && current.has_same_values(answer)).then_some(id)
    }

    /// Nothing that the provider issued is served any more.
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

    /// Voids the fetch in flight and forgets failures.
    fn advance_epoch(&self, turn: &mut Turn<'_>) {
        turn.advance_epoch();
        turn.flight.forget();
        turn.hold.reset();
        self.surroundings.for_each_refresher(|agenda| agenda.remove(self));
        self.moved.notify_waiters();
    }

    /// From 0 to 1, and the session's own: what was opened together is not refreshed together.
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
