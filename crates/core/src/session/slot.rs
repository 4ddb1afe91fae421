//! `Slot`: one account of a session: the credentials it serves, the state that controls them, and its provider.

mod cleared;
mod given;
mod outlived;
mod refresh;
mod region;
mod stand_in;

use stand_in::Rarity;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};

use super::agenda::{Agenda, Due};
use super::audience::Audience;
use super::faults;
use super::flight::WeakFlight;
use super::freshness::{Freshness, Issued, Windows};
use super::gate::{self, Gate};
use super::hold::Hold;
use super::rotation::{Announced, Lineage};
use super::surroundings::Surroundings;
use super::{Generation, ServedSet, SetId};
use crate::clock::Nanos;
use crate::credentials::Held;
use crate::{AccessKeyId, Alias, CredentialProvider, Credentials, Result, SessionPolicy};
use stand_in::{Guard, Provider};

pub(super) struct Slot {
    alias: Alias,
    surroundings: Arc<Surroundings>,
    gate: Gate<Held, State>,
    /// Wakes the callers that wait for a fetch when it is invalidated.
    moved: Notify,
}

type Turn<'a> = gate::Turn<'a, Held, State>;

/// The providers that must forget what they keep, and a guard to be dropped.
pub(super) type Wiped = ([Option<Provider>; 2], Option<Guard>);

struct State {
    provider: Option<Arc<dyn CredentialProvider>>,
    rarity: Option<Box<Rarity>>,
    /// The current credentials were set directly: no provider is called.
    set: bool,
    /// The lineage that began with the last clear; zero before any.
    cleared: Lineage,
    /// The account was cleared, and nothing was set on the session since: the provider is not called.
    dormant: bool,
    /// Changes whenever the next credentials do not continue the previous ones.
    lineage: Lineage,
    generation: Generation,
    /// When the last of all credentials that were ever held expires.
    lives_until: Nanos,
    flight: Option<WeakFlight>,
    hold: Hold,
    rotations: Audience<Announced>,
}

impl Slot {
    pub(super) fn new(alias: Alias, surroundings: Arc<Surroundings>) -> Self {
        let state = State {
            provider: None,
            rarity: None,
            set: false,
            cleared: Lineage::default(),
            dormant: false,
            lineage: surroundings.new_lineage(),
            generation: Generation::default(),
            lives_until: 0,
            flight: None,
            hold: Hold::default(),
            rotations: Audience::default(),
        };
        Self { alias, surroundings, gate: Gate::new(state), moved: Notify::new() }
    }

    pub(super) fn alias(&self) -> &Alias {
        &self.alias
    }

    /// Returns the current credentials if no decision about them is needed: the warm path, without a lock.
    pub(super) fn fresh(&self) -> Option<Credentials> {
        let set = Credentials::in_place(self.gate.read()?);
        set.issued().is_settled(self.surroundings.nanos()).then_some(set)
    }

    /// Returns valid credentials, and fetches them first if necessary. Freshness is checked at the first poll, and
    /// only a future that has to wait is boxed.
    pub(super) async fn credentials(self: &Arc<Self>) -> Result<Credentials> {
        match self.fresh() {
            Some(fresh) => Ok(fresh),
            None => Box::pin(self.decide()).await,
        }
    }

    /// Returns the credentials that can be served without a fetch, with their version.
    pub(super) fn served(&self) -> Option<ServedSet> {
        let credentials = Credentials::in_place(self.gate.read()?);
        let usable = credentials.issued().freshness(self.surroundings.now()) < Freshness::Expired;
        usable.then(|| ServedSet { id: credentials.issued().id, credentials })
    }

    pub(super) fn report_rejected(&self, rejected: &AccessKeyId) {
        let mut turn = self.gate.enter();
        if let Some(current) = self.current().filter(|current| current.access_key_id() == rejected) {
            current.issued().expire();
            turn.lineage = self.surroundings.new_lineage();
        }
    }

    /// Clears the account. With `for_good` it never serves again, otherwise not until something is set on the session.
    /// Returns the providers, so that the caller can make them forget once no lock is held: `forget` and `Drop` are
    /// user code.
    #[must_use]
    pub(super) fn wipe(&self, for_good: bool) -> Wiped {
        let mut turn = self.gate.enter();
        self.renew(&mut turn);
        turn.set = false;
        let stand_in = turn.replace_stand_in(None);
        let provider = if for_good { turn.provider.take() } else { turn.provider.clone() };
        let guard = if for_good { turn.take_guard() } else { None };
        if for_good {
            turn.close();
        }
        // Before the announcement, so that a watcher that it wakes sees that this was a clear.
        turn.note_clear(&self.surroundings);
        self.withdraw(&mut turn);
        ([provider, stand_in], guard)
    }

    /// Returns the account's provider, narrowed.
    pub(super) fn narrowed(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let provider = {
            let turn = self.enter_open()?;
            if turn.set {
                return Err(faults::set_by_hand());
            }
            turn.provider_to_ask().ok_or_else(faults::not_configured)?
        };
        provider.narrowed(policy).map_err(|error| error.with_provider(provider.name()))
    }

    /// Invalidates what the provider issued, since it may have been derived from what was replaced.
    pub(super) fn void_issued(&self) {
        self.void(&mut self.gate.enter());
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Announced> {
        let mut turn = self.gate.enter();
        let now = announced(&turn);
        turn.rotations.join(now)
    }

    pub(super) fn current(&self) -> Option<Credentials> {
        self.gate.current().map(Credentials::counted)
    }

    /// Returns all credentials that the account holds: those it serves, and those that were set and are only
    /// exchanged.
    pub(super) fn held(&self) -> Vec<Credentials> {
        let exchanged = self.gate.enter().exchanged().cloned();
        self.current().into_iter().chain(exchanged).collect()
    }

    pub(super) fn generation(&self) -> Generation {
        self.gate.enter().generation
    }

    /// Returns the provider's name, if the provider may be called.
    pub(super) fn provider_name(&self) -> Option<String> {
        let provider = self.gate.enter().provider_to_ask()?;
        Some(provider.name().into_owned())
    }

    /// Returns whether the account should be refreshed in the background now.
    pub(super) fn is_due(&self) -> bool {
        let due = self.due(&self.gate.enter());
        due.is_some_and(|due| due.at <= self.surroundings.now())
    }

    /// Schedules the account's next background refresh, after `pause` at the earliest, or removes it from the agenda.
    pub(super) fn plan_on(self: &Arc<Self>, agenda: &Agenda, pause: Duration) {
        let turn = self.gate.enter();
        self.plan(&turn, agenda, pause);
    }

    /// Called inside the gate, so that the last decision is the one that stays on the agenda.
    fn plan(self: &Arc<Self>, turn: &Turn<'_>, agenda: &Agenda, pause: Duration) {
        match self.due(turn) {
            Some(due) => agenda.put(self, Due { at: due.at.max(self.surroundings.now() + pause), ..due }),
            None => agenda.strike(self),
        }
    }

    /// Returns when the account is next due for a background refresh: never, unless a provider has issued credentials.
    fn due(&self, turn: &Turn<'_>) -> Option<Due> {
        let current = self.current().filter(|_| !turn.set && turn.answering().is_some())?;
        let windows = current.issued().windows;
        let advisory_at = windows.advisory_at?;
        let last_minute = windows.mandatory_at.filter(|_| !self.surroundings.policy().serve_expired);
        let at = turn.hold.next_attempt(last_minute).map_or(advisory_at, |from| from.max(advisory_at));
        Some(Due { at, until: windows.expires_at.unwrap_or(at) })
    }

    fn publish(&self, turn: &mut Turn<'_>, credentials: &Credentials, now: SystemTime) -> Credentials {
        turn.hold.lift();
        turn.note_life(credentials);
        let unchanged = self.unchanged(turn, credentials);
        if unchanged.is_none() {
            turn.generation = turn.generation.next();
        }
        let windows = Windows::new(now, credentials, self.surroundings.policy(), self.jitter());
        let id = unchanged.unwrap_or_else(|| SetId::new(turn.lineage, turn.generation));
        let held = credentials.held(Issued::new(id, windows, turn.set));
        turn.publish(Arc::clone(&held));
        if unchanged.is_none() {
            announce(turn);
        }
        Credentials::counted(held)
    }

    /// Returns the version that is served if the provider returned the same credentials again: this is no rotation, and
    /// servers that use the credentials are not replaced.
    fn unchanged(&self, turn: &Turn<'_>, answer: &Credentials) -> Option<SetId> {
        let current = self.current().filter(|_| !turn.set)?;
        let id = current.issued().id;
        (id.is_of(turn.lineage) && current.is_same_set(answer)).then_some(id)
    }

    /// Stops serving what the provider issued.
    fn void(&self, turn: &mut Turn<'_>) {
        if !turn.set {
            self.renew(turn);
            if self.gate.is_serving() {
                self.withdraw(turn);
            }
        }
    }

    /// Serves nothing from now on, and announces it.
    fn withdraw(&self, turn: &mut Turn<'_>) {
        turn.lineage = self.surroundings.new_lineage();
        turn.generation = turn.generation.next();
        turn.withdraw();
        announce(turn);
    }

    /// Invalidates the running fetch and forgets failures.
    fn renew(&self, turn: &mut Turn<'_>) {
        turn.renew();
        turn.flight = None;
        turn.hold.lift();
        self.surroundings.for_each_agenda(|agenda| agenda.strike(self));
        self.moved.notify_waiters();
    }

    /// Returns a value from 0 to 1, fixed for the session: sessions that were opened together do not refresh together.
    fn jitter(&self) -> f64 {
        fastrand::Rng::with_seed(self.surroundings.id.seed()).f64()
    }

    fn holds(&self, set: &Credentials) -> bool {
        self.current().is_some_and(|current| current.is(set))
    }

    fn enter_open(&self) -> Result<Turn<'_>> {
        self.gate.enter_open().ok_or_else(faults::closed)
    }
}

fn announced(turn: &Turn<'_>) -> Announced {
    Announced { generation: turn.generation, last: turn.is_closed() }
}

fn announce(turn: &mut Turn<'_>) {
    let news = announced(turn);
    turn.rotations.tell(news);
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("alias", &self.alias).finish_non_exhaustive()
    }
}
