//! Who fetches, who waits, who is served what is there: the refresh rules of one account.

use std::sync::Arc;
use std::time::SystemTime;

use super::{AccountCache, State, Turn};
use crate::audit::AuditEvent;
use crate::clock::nanos;
use crate::session::agenda::MIN_RETRY_INTERVAL;
use crate::session::flight::{self, Outcome};
use crate::session::freshness::Freshness;
use crate::session::gate::Epoch;
use crate::session::hold::is_permanent;
use crate::session::{Generation, faults};
use crate::single_flight::Flight;
use crate::{Credentials, Error, ErrorKind, Result};

/// What a caller does next.
enum RefreshStep {
    Serve(Credentials),
    Fail(Error),
    /// Drive the fetch; the set in hand, if any, covers for a transient failure.
    Drive(JoinedRefresh, Option<Credentials>),
}

/// A fetch in flight, and the epoch that it can publish in.
struct JoinedRefresh {
    flight: Flight<Outcome>,
    epoch: Epoch,
}

impl AccountCache {
    /// The current, valid set, when something needs to be decided: whether to fetch, whom to wait for.
    pub(super) async fn get_or_refresh(self: &Arc<Self>) -> Result<Credentials> {
        loop {
            let (joined, in_hand) = match self.next_step() {
                RefreshStep::Serve(credentials) => return Ok(credentials),
                RefreshStep::Fail(error) => return Err(error),
                RefreshStep::Drive(joined, in_hand) => (joined, in_hand),
            };
            match self.wait_outcome(joined).await {
                Outcome::Published(set) if self.holds_version(&set) => return Ok(set),
                Outcome::Failed(error) => return self.fallback_to_current(error, in_hand),
                Outcome::Published(_) | Outcome::Superseded => {}
            }
        }
    }

    /// A fetch that is asked for: joins the one in flight, else starts one whatever the freshness.
    pub(in crate::session) async fn refresh(self: &Arc<Self>) -> Result<Generation> {
        loop {
            let joined = self.start_refresh()?;
            match self.wait_outcome(joined).await {
                Outcome::Published(set) if self.holds_version(&set) => {
                    return Ok(set.metadata().id.generation());
                }
                Outcome::Failed(error) => return Err(error),
                Outcome::Published(_) | Outcome::Superseded => {}
            }
        }
    }

    /// Drives a fetch to its end, or until the account moves on: whoever waits learns of a set, clear or close at once.
    async fn wait_outcome(&self, JoinedRefresh { mut flight, epoch }: JoinedRefresh) -> Outcome {
        loop {
            // Listens before it looks: a move in between is not missed.
            let moved = self.moved.notified();
            if self.gate.lock_in_epoch(epoch).is_none() {
                return Outcome::Superseded;
            }
            tokio::select! {
                biased;
                outcome = &mut flight => return outcome,
                () = moved => {}
            }
        }
    }

    fn next_step(self: &Arc<Self>) -> RefreshStep {
        let now = self.surroundings.now();
        // Declared before the lock, so that it is dropped after: it may be the last to hold a provider's future.
        let in_flight;
        let mut turn = match self.enter_open() {
            Ok(turn) => turn,
            Err(error) => return RefreshStep::Fail(error),
        };
        let current = self.current();
        if turn.set {
            return manually_set_credentials(current, now);
        }
        if let Err(error) = check_fetchable(&turn) {
            return RefreshStep::Fail(error);
        }
        if let Some(error) = turn.hold.permanent_error(now) {
            return RefreshStep::Fail(error);
        }
        in_flight = turn.flight.in_flight();
        match current {
            Some(set) if self.is_served_unchanged(&turn, in_flight.is_some(), &set, now) => {
                self.store(&turn, set, now)
            }
            current => match turn.hold.interaction_error(now) {
                Some(error) if current.is_none() && in_flight.is_none() => RefreshStep::Fail(error),
                _ => RefreshStep::Drive(self.join_refresh(&mut turn), current),
            },
        }
    }

    /// Whether the set in hand is all there is to be had without (or besides) a fetch.
    fn is_served_unchanged(
        &self,
        state: &State,
        in_flight: bool,
        set: &Credentials,
        now: SystemTime,
    ) -> bool {
        let freshness = set.metadata().freshness(now);
        let forbidden = state.hold.blocks_attempt(now, freshness, self.surroundings.policy().serve_expired);
        match freshness {
            Freshness::Fresh => true,
            Freshness::Advisory => in_flight || forbidden || self.surroundings.has_background_refresh(),
            Freshness::Mandatory | Freshness::Expired => forbidden && !in_flight,
        }
    }

    fn store(&self, state: &State, set: Credentials, now: SystemTime) -> RefreshStep {
        if set.metadata().freshness(now) < Freshness::Expired || self.surroundings.policy().serve_expired {
            RefreshStep::Serve(set)
        } else {
            RefreshStep::Fail(faults::expired_error(state.hold.last_error().cloned()))
        }
    }

    /// A failed fetch, told to a caller that holds `current_credentials`.
    fn fallback_to_current(&self, error: Error, in_hand: Option<Credentials>) -> Result<Credentials> {
        let Some(set) = in_hand.filter(|set| !is_permanent(&error) && self.holds_version(set)) else {
            return Err(error);
        };
        let usable = set.metadata().freshness(self.surroundings.now()) < Freshness::Expired;
        if usable || self.surroundings.policy().serve_expired {
            Ok(set)
        } else {
            Err(faults::expired_error(Some(error)))
        }
    }

    fn start_refresh(self: &Arc<Self>) -> Result<JoinedRefresh> {
        let now = self.surroundings.now();
        let mut turn = self.enter_open()?;
        if turn.set {
            return Err(Error::not_configured(
                "these credentials were set by hand and have no provider to renew them",
            )
            .with_next_step("set new credentials"));
        }
        check_fetchable(&turn)?;
        match turn.hold.permanent_error(now) {
            Some(error) => Err(error),
            None => Ok(self.join_refresh(&mut turn)),
        }
    }

    /// The fetch in flight, or a new one. There is a provider.
    fn join_refresh(self: &Arc<Self>, turn: &mut Turn<'_>) -> JoinedRefresh {
        let epoch = turn.epoch();
        if let Some(flight) = turn.flight.in_flight() {
            return JoinedRefresh { flight, epoch };
        }
        let (slot, provider) = (Arc::clone(self), turn.active_provider().cloned());
        let limit = self.surroundings.policy().load_timeout;
        let flight = turn.flight.start(async move {
            let answer = match provider {
                Some(provider) => flight::attempt(provider, limit).await,
                None => Some(Err(faults::not_configured_error())),
            };
            match answer {
                Some(answer) => slot.complete_refresh(epoch, answer),
                None => slot.abort_refresh(epoch),
            }
        });
        JoinedRefresh { flight, epoch }
    }

    /// Takes the answer of a fetch, unless the account moved on meanwhile.
    fn complete_refresh(self: &Arc<Self>, epoch: Epoch, answer: Result<Credentials>) -> Outcome {
        let now = self.surroundings.now();
        // Before anything can be served, and even if it is not.
        answer.iter().for_each(|credentials| self.surroundings.report(credentials));
        let answer = answer.and_then(|credentials| check_unexpired(credentials, now));
        let Some(mut turn) = self.gate.lock_in_epoch(epoch) else { return Outcome::Superseded };
        turn.flight.forget();
        let event = if self.gate.has_value() { AuditEvent::Refresh } else { AuditEvent::Issue };
        let outcome = match answer {
            Ok(credentials) => Outcome::Published(self.publish(&mut turn, &credentials, now)),
            Err(error) => {
                self.record_failure(&mut turn, &error, now);
                Outcome::Failed(error)
            }
        };
        self.surroundings.for_each_refresher(|agenda| self.schedule(&turn, agenda, MIN_RETRY_INTERVAL));
        drop(turn);
        outcome.published().into_iter().for_each(|credentials| self.surroundings.report(credentials));
        self.surroundings.audit(event, |record| outcome.describe(record.account(&self.alias)));
        outcome
    }

    /// Lets whoever waits begin anew.
    fn abort_refresh(&self, epoch: Epoch) -> Outcome {
        if let Some(mut turn) = self.gate.lock_in_epoch(epoch) {
            turn.flight.forget();
        }
        Outcome::Superseded
    }

    /// A permanent failure withdraws the set in hand: a role that was taken away stops the session.
    fn record_failure(&self, turn: &mut Turn<'_>, error: &Error, now: SystemTime) {
        // By time as well, so that one hold is not as long as the next.
        let mut rng = fastrand::Rng::with_seed(self.surroundings.id.seed() ^ nanos(now));
        turn.hold.record_failure(error.clone(), now, &mut rng);
        if let Some(current) = self.current() {
            // Credentials that are seen expired stay so, also when the clock jumps back.
            let _noted = current.metadata().freshness(now);
        }
        if is_permanent(error) && self.gate.has_value() {
            self.unpublish(turn);
        }
    }
}

/// Whether there is a provider that may be asked.
fn check_fetchable(state: &State) -> Result<()> {
    match state.active_provider() {
        provider if state.dormant => Err(faults::cleared_error(provider.is_some())),
        Some(_) => Ok(()),
        None => Err(faults::not_configured_error()),
    }
}

fn manually_set_credentials(current: Option<Credentials>, now: SystemTime) -> RefreshStep {
    match current {
        Some(set) if set.metadata().freshness(now) < Freshness::Expired => RefreshStep::Serve(set),
        _ => RefreshStep::Fail(faults::expired_error(None)),
    }
}

fn check_unexpired(credentials: Credentials, now: SystemTime) -> Result<Credentials> {
    if credentials.expiry().has_passed(now) {
        let provider = credentials.provider().to_owned();
        return Err(Error::new(ErrorKind::Unavailable, "answered with credentials that had already expired")
            .with_provider(provider)
            .with_next_step("check the clocks of this machine and of the provider"));
    }
    Ok(credentials)
}
