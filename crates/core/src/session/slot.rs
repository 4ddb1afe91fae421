//! `Slot`: one account of a session. Value and gate are two things: `current` is read without a lock, `state` decides.

mod refresh;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use super::faults;
use super::flight::WeakFlight;
use super::freshness::{Freshness, Issued, Windows};
use super::hold::Hold;
use super::rotation::{Announced, Lineage};
use super::surroundings::Surroundings;
use super::{Generation, ServedSet, SetId};
use crate::audit::AuditEvent;
use crate::{AccessKeyId, Alias, CredentialProvider, Credentials, Error, Region, Result};

pub(super) struct Slot {
    alias: Alias,
    surroundings: Arc<Surroundings>,
    /// What is served. Written only while `state` is locked.
    current: ArcSwapOption<Issued>,
    state: Mutex<State>,
    rotations: watch::Sender<Announced>,
    jitter: f64,
}

struct State {
    provider: Option<Arc<dyn CredentialProvider>>,
    region: Option<Region>,
    /// The current set was given by hand: no provider is asked.
    set: bool,
    closed: bool,
    wipes: u64,
    /// Cleared, and nothing was given to the session since: the provider is not asked.
    dormant: bool,
    /// Moves with every set, clear and close; a fetch begun in another epoch can never publish.
    epoch: u64,
    /// Moves whenever what is served next does not continue what was served before.
    lineage: Lineage,
    generation: Generation,
    flight: Option<WeakFlight>,
    hold: Hold,
    rng: fastrand::Rng,
}

impl Slot {
    pub(super) fn new(alias: Alias, surroundings: Arc<Surroundings>) -> Self {
        let mut rng = fastrand::Rng::with_seed(surroundings.id.seed());
        let jitter = rng.f64();
        Self {
            alias,
            current: ArcSwapOption::empty(),
            jitter,
            state: Mutex::new(State {
                provider: None,
                region: None,
                set: false,
                closed: false,
                wipes: 0,
                dormant: false,
                epoch: 0,
                lineage: surroundings.new_lineage(),
                generation: Generation::default(),
                flight: None,
                hold: Hold::default(),
                rng,
            }),
            rotations: watch::Sender::new(Announced::default()),
            surroundings,
        }
    }

    pub(super) fn alias(&self) -> &Alias {
        &self.alias
    }

    /// What can be served without asking anybody, with what tells it from other sets.
    pub(super) fn served(&self) -> Option<ServedSet> {
        let current = self.current.load();
        let issued = current.as_ref()?;
        let usable = issued.freshness(self.surroundings.now()) < Freshness::Expired;
        usable.then(|| ServedSet { credentials: issued.credentials.clone(), id: issued.id })
    }

    pub(super) fn set(&self, credentials: Credentials) -> Result<Generation> {
        self.set_if(credentials, |_| Ok(()))
    }

    /// Sets what was looked up, unless the account was wiped since `wipes` was read: a cleared session stays cleared.
    pub(super) fn set_unless_wiped(&self, wipes: u64, credentials: Credentials) -> Result<Generation> {
        self.set_if(
            credentials,
            |state| if state.wipes == wipes { Ok(()) } else { Err(faults::cleared_meanwhile()) },
        )
    }

    /// How often the account was wiped.
    pub(super) fn wipes(&self) -> Result<u64> {
        self.open_state().map(|state| state.wipes)
    }

    fn set_if(
        &self,
        credentials: Credentials,
        check: impl FnOnce(&State) -> Result<()>,
    ) -> Result<Generation> {
        let now = self.surroundings.now();
        if credentials.expiry().has_passed(now) {
            return Err(Error::invalid("expires_at", "has already passed")
                .with_next_step("fetch new credentials and set those; the earlier ones were kept"));
        }
        let record = self.surroundings.event(AuditEvent::Set).account(&self.alias).credentials(&credentials);
        let generation = {
            let mut state = self.open_state()?;
            check(&state)?;
            state.renew();
            state.set = true;
            state.lineage = self.surroundings.new_lineage();
            self.publish(&mut state, credentials, now).id.generation()
        };
        self.surroundings.audit.record(&record.generation(generation));
        Ok(generation)
    }

    pub(super) fn set_provider(&self, provider: Arc<dyn CredentialProvider>) -> Result<()> {
        let mut state = self.open_state()?;
        if !state.set {
            state.renew();
            if self.current.load().is_some() {
                self.withdraw(&mut state);
            }
        }
        let former = state.provider.replace(provider);
        drop(state);
        // Outside the lock, as its `Drop` is not ours.
        drop(former);
        self.surroundings.changed.notify_waiters();
        Ok(())
    }

    pub(super) fn set_region(&self, region: Region) {
        self.state().region = Some(region);
    }

    pub(super) fn report_rejected(&self, rejected: &AccessKeyId) {
        let mut state = self.state();
        if let Some(issued) = self.current.load().as_ref()
            && issued.credentials.access_key_id() == rejected
        {
            issued.expire();
            state.lineage = self.surroundings.new_lineage();
        }
    }

    /// Wipes the account; with `for_good` it never serves again, else not until something is given to the session. The
    /// provider is handed to the caller, who has it forget once no lock is held: neither that nor its `Drop` is ours.
    #[must_use]
    pub(super) fn wipe(&self, for_good: bool) -> Option<Arc<dyn CredentialProvider>> {
        let mut state = self.state();
        state.renew();
        state.set = false;
        state.dormant = true;
        state.closed |= for_good;
        state.wipes += 1;
        let provider = if for_good { state.provider.take() } else { state.provider.clone() };
        self.withdraw(&mut state);
        drop(state);
        self.surroundings.changed.notify_waiters();
        provider
    }

    /// The provider may be asked again.
    pub(super) fn wake(&self) {
        self.state().dormant = false;
    }

    /// What the provider issued is void, for it may have been derived from what was replaced.
    pub(super) fn void_issued(&self) {
        let mut state = self.state();
        if !state.set {
            state.renew();
            if self.current.load().is_some() {
                self.withdraw(&mut state);
            }
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Announced> {
        self.rotations.subscribe()
    }

    pub(super) fn region(&self) -> Option<Region> {
        let of_set = self.current.load().as_ref().and_then(|issued| issued.credentials.region().cloned());
        of_set.or_else(|| self.state().region.clone())
    }

    pub(super) fn current(&self) -> Option<Arc<Issued>> {
        self.current.load_full()
    }

    pub(super) fn generation(&self) -> Generation {
        self.state().generation
    }

    /// The provider's name, when it may be asked.
    pub(super) fn provider_name(&self) -> Option<String> {
        let state = self.state();
        let provider = state.provider.as_ref().filter(|_| !state.dormant)?;
        Some(provider.name().into_owned())
    }

    /// When a warmer should next refresh this account: never, unless a provider has issued a set.
    pub(super) fn due_at(&self) -> Option<SystemTime> {
        let state = self.state();
        let issued = self.current.load_full().filter(|_| !state.set && state.provider.is_some())?;
        let advisory_at = issued.windows.advisory_at?;
        Some(state.hold.advisory_from().map_or(advisory_at, |from| from.max(advisory_at)))
    }

    /// The current set, if nothing needs to be decided about it: the warm path, without a lock.
    pub(super) fn fresh(&self) -> Option<Credentials> {
        let current = self.current.load();
        let issued = current.as_ref()?;
        issued.is_fresh(self.surroundings.now()).then(|| issued.credentials.clone())
    }

    fn publish(&self, state: &mut State, credentials: Credentials, now: SystemTime) -> Arc<Issued> {
        state.generation = state.generation.next();
        state.hold.lift();
        let windows = Windows::new(now, &credentials, &self.surroundings.policy, self.jitter);
        let id = SetId::new(state.lineage, state.generation);
        let issued = Arc::new(Issued::new(credentials, id, windows));
        self.current.store(Some(Arc::clone(&issued)));
        self.announce(state);
        issued
    }

    /// Serves nothing from now on, and announces it.
    fn withdraw(&self, state: &mut State) {
        state.lineage = self.surroundings.new_lineage();
        state.generation = state.generation.next();
        self.current.store(None);
        self.announce(state);
    }

    fn announce(&self, state: &State) {
        self.rotations.send_replace(Announced { generation: state.generation, last: state.closed });
    }

    fn holds(&self, issued: &Arc<Issued>) -> bool {
        self.current.load().as_ref().is_some_and(|current| Arc::ptr_eq(current, issued))
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.closed { Err(faults::closed()) } else { Ok(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Voids the fetch in flight and forgets failures.
    fn renew(&mut self) {
        self.epoch += 1;
        self.flight = None;
        self.hold.lift();
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("alias", &self.alias).finish_non_exhaustive()
    }
}
