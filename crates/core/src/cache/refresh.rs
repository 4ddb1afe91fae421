//! Decides which caller fetches, which caller waits, and which caller is served the current credentials.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::backoff::is_permanent;
use super::freshness::Freshness;
use super::refresh_queue::MIN_RETRY_INTERVAL;
use super::state::ArcProvider;
use super::versioned_cell::Epoch;
use super::{AccountCache, Generation, State, StateGuard};
use crate::audit::{AuditEvent, AuditRecord};
use crate::clock::nanos;
use crate::session::error;
use crate::single_flight::{Callee, Flight, call_isolated};
use crate::{Credentials, Error, ErrorKind, Result};

/// How a fetch ended, shared by all callers that wait for it.
#[derive(Clone)]
pub(super) enum FetchOutcome {
    Published(Credentials),
    /// The account was set, cleared or closed meanwhile: the result was dropped.
    Superseded,
    Failed(Error),
}

impl FetchOutcome {
    /// Returns the credentials that were published.
    pub(super) fn published_credentials(&self) -> Option<&Credentials> {
        match self {
            Self::Published(credentials) => Some(credentials),
            Self::Superseded | Self::Failed(_) => None,
        }
    }

    /// Describes the outcome in an audit record.
    pub(super) fn add_to_record(&self, record: AuditRecord) -> AuditRecord {
        match self {
            Self::Published(credentials) => {
                record.credentials(credentials).with_generation(credentials.metadata().id.generation())
            }
            Self::Failed(error) => {
                record.with_component(error.provider().unwrap_or("unknown")).with_failure(error)
            }
            Self::Superseded => record,
        }
    }
}

/// The next step of a caller.
enum RefreshStep {
    Serve(Credentials),
    Fail(Error),
    /// Drive the fetch. After a transient failure, the current credentials are served, if there are any.
    Drive(JoinedRefresh, Option<Credentials>),
}

/// A fetch in flight, and the epoch in which it can publish.
///
/// All callers drive the same future. It continues for the others when one of them is dropped, and ends with the
/// last.
struct JoinedRefresh {
    fetch: Flight<FetchOutcome>,
    epoch: Epoch,
}

impl AccountCache {
    /// Returns valid credentials when a decision is needed: whether to fetch, or to wait for a fetch.
    pub(super) async fn get_or_refresh(self: &Arc<Self>) -> Result<Credentials> {
        loop {
            let (joined, current) = match self.next_step() {
                RefreshStep::Serve(credentials) => return Ok(credentials),
                RefreshStep::Fail(error) => return Err(error),
                RefreshStep::Drive(joined, current) => (joined, current),
            };
            match self.wait_outcome(joined).await {
                FetchOutcome::Published(credentials) if self.holds_version(&credentials) => {
                    return Ok(credentials);
                }
                FetchOutcome::Failed(error) => return self.fallback_to_current(error, current),
                FetchOutcome::Published(_) | FetchOutcome::Superseded => {}
            }
        }
    }

    /// Joins the fetch in flight, or starts one regardless of the freshness.
    pub(crate) async fn refresh(self: &Arc<Self>) -> Result<Generation> {
        loop {
            let joined = self.start_refresh()?;
            match self.wait_outcome(joined).await {
                FetchOutcome::Published(credentials) if self.holds_version(&credentials) => {
                    return Ok(credentials.metadata().id.generation());
                }
                FetchOutcome::Failed(error) => return Err(error),
                FetchOutcome::Published(_) | FetchOutcome::Superseded => {}
            }
        }
    }

    /// Drives a fetch to its end, or until new credentials, a clear or a close supersede it.
    async fn wait_outcome(&self, JoinedRefresh { mut fetch, epoch }: JoinedRefresh) -> FetchOutcome {
        loop {
            // Subscribe before the check, so that a change in between is not missed.
            let epoch_changed = self.epoch_changed.notified();
            if self.cell.lock_in_epoch(epoch).is_none() {
                return FetchOutcome::Superseded;
            }
            tokio::select! {
                biased;
                outcome = &mut fetch => return outcome,
                () = epoch_changed => {}
            }
        }
    }

    /// Decides, in this order: fail if the account is closed; serve credentials that were set directly; fail while
    /// no provider may be called, or while a permanent failure is remembered; serve what is fresh enough; fail
    /// without credentials while a failure that requires a person is remembered; otherwise fetch, or join the fetch
    /// in flight.
    fn next_step(self: &Arc<Self>) -> RefreshStep {
        let now = self.shared.now();
        // Declared before the lock, so that it is dropped after: it may be the last to hold a provider's future.
        let in_flight;
        let mut state = match self.lock_open() {
            Ok(state) => state,
            Err(error) => return RefreshStep::Fail(error),
        };
        let current = self.current();
        if state.manually_set {
            return serve_manually_set(current, now);
        }
        if let Err(error) = check_fetchable(&state) {
            return RefreshStep::Fail(error);
        }
        if let Some(error) = state.backoff.permanent_error(now) {
            return RefreshStep::Fail(error);
        }
        in_flight = state.fetch.in_flight();
        match current {
            Some(credentials) if self.is_served_unchanged(&state, in_flight.is_some(), &credentials, now) => {
                self.serve_current(&state, credentials, now)
            }
            current => match state.backoff.interaction_error(now) {
                Some(error) if current.is_none() && in_flight.is_none() => RefreshStep::Fail(error),
                _ => RefreshStep::Drive(self.join_refresh(&mut state), current),
            },
        }
    }

    /// Returns whether the current credentials are served without waiting for a fetch.
    ///
    /// In the advisory window, the first caller fetches and the others are served meanwhile; with a background
    /// refresher, all are served. In the mandatory window, all wait, unless the backoff forbids a fetch.
    fn is_served_unchanged(
        &self,
        state: &State,
        in_flight: bool,
        credentials: &Credentials,
        now: SystemTime,
    ) -> bool {
        let freshness = credentials.metadata().freshness(now);
        let forbidden = state.backoff.blocks_attempt(now, freshness, self.shared.policy().serve_expired);
        match freshness {
            Freshness::Fresh => true,
            Freshness::Advisory => in_flight || forbidden || self.shared.has_background_refresh(),
            Freshness::Mandatory | Freshness::Expired => forbidden && !in_flight,
        }
    }

    /// Serves current credentials if they have not expired, or if the policy allows expired ones.
    fn serve_current(&self, state: &State, credentials: Credentials, now: SystemTime) -> RefreshStep {
        if credentials.metadata().freshness(now) < Freshness::Expired || self.shared.policy().serve_expired {
            RefreshStep::Serve(credentials)
        } else {
            RefreshStep::Fail(error::expired(state.backoff.last_error().cloned()))
        }
    }

    /// Returns the current credentials after a failed fetch if they can still be served.
    fn fallback_to_current(&self, error: Error, current: Option<Credentials>) -> Result<Credentials> {
        let Some(current) = current.filter(|current| !is_permanent(&error) && self.holds_version(current))
        else {
            return Err(error);
        };
        let usable = current.metadata().freshness(self.shared.now()) < Freshness::Expired;
        if usable || self.shared.policy().serve_expired {
            Ok(current)
        } else {
            Err(error::expired(Some(error)))
        }
    }

    /// # Errors
    /// `NotConfigured` for credentials that were set directly and while no provider may be called; `Closed` after
    /// closing; a remembered permanent failure.
    fn start_refresh(self: &Arc<Self>) -> Result<JoinedRefresh> {
        let now = self.shared.now();
        let mut state = self.lock_open()?;
        if state.manually_set {
            return Err(Error::not_configured(
                "these credentials were set directly and have no provider to renew them",
            )
            .with_next_step("set new credentials"));
        }
        check_fetchable(&state)?;
        match state.backoff.permanent_error(now) {
            Some(error) => Err(error),
            None => Ok(self.join_refresh(&mut state)),
        }
    }

    /// Returns the fetch in flight, or starts one. The account has a provider.
    fn join_refresh(self: &Arc<Self>, state: &mut StateGuard<'_>) -> JoinedRefresh {
        let epoch = state.epoch();
        if let Some(fetch) = state.fetch.in_flight() {
            return JoinedRefresh { fetch, epoch };
        }
        let (cache, provider) = (Arc::clone(self), state.active_provider().cloned());
        let timeout = self.shared.policy().load_timeout;
        let fetch = state.fetch.start(async move {
            let result = match provider {
                Some(provider) => fetch_with_timeout(provider, timeout).await,
                None => Some(Err(error::not_configured())),
            };
            match result {
                Some(result) => cache.complete_refresh(epoch, result),
                None => cache.abort_refresh(epoch),
            }
        });
        JoinedRefresh { fetch, epoch }
    }

    /// Publishes the result of a fetch, unless it was superseded.
    fn complete_refresh(self: &Arc<Self>, epoch: Epoch, result: Result<Credentials>) -> FetchOutcome {
        let now = self.shared.now();
        // Before the credentials can be served, and even if they are not.
        result.iter().for_each(|credentials| self.shared.report(credentials));
        let result = result.and_then(|credentials| check_unexpired(credentials, now));
        let Some(mut state) = self.cell.lock_in_epoch(epoch) else { return FetchOutcome::Superseded };
        state.fetch.forget();
        let event = if self.cell.has_value() { AuditEvent::Refresh } else { AuditEvent::Issue };
        let outcome = match result {
            Ok(credentials) => FetchOutcome::Published(self.publish(&mut state, &credentials, now)),
            Err(error) => {
                self.record_failure(&mut state, &error, now);
                FetchOutcome::Failed(error)
            }
        };
        self.shared.for_each_refresher(|queue| self.schedule(&state, queue, MIN_RETRY_INTERVAL));
        drop(state);
        outcome.published_credentials().into_iter().for_each(|credentials| self.shared.report(credentials));
        self.shared.audit(event, |record| outcome.add_to_record(record.account(&self.name)));
        outcome
    }

    /// Makes the waiting callers start another fetch.
    fn abort_refresh(&self, epoch: Epoch) -> FetchOutcome {
        if let Some(mut state) = self.cell.lock_in_epoch(epoch) {
            state.fetch.forget();
        }
        FetchOutcome::Superseded
    }

    /// A permanent failure unpublishes the current credentials: a revoked role stops the session.
    fn record_failure(&self, state: &mut StateGuard<'_>, error: &Error, now: SystemTime) {
        // Seeded by time as well, so that delays differ from failure to failure.
        let mut rng = fastrand::Rng::with_seed(self.shared.id.seed() ^ nanos(now));
        state.backoff.record_failure(error.clone(), now, &mut rng);
        if let Some(current) = self.current() {
            // Credentials that were seen expired stay expired, also when the clock jumps back.
            let _noted = current.metadata().freshness(now);
        }
        if is_permanent(error) && self.cell.has_value() {
            self.unpublish(state);
        }
    }
}

/// Checks that there is a provider that may be called.
///
/// # Errors
/// `NotConfigured`, with a next step that depends on whether the account was cleared.
fn check_fetchable(state: &State) -> Result<()> {
    match state.active_provider() {
        provider if state.is_suspended() => Err(error::cleared(provider.is_some())),
        Some(_) => Ok(()),
        None => Err(error::not_configured()),
    }
}

/// Serves credentials that were set directly until they expire: no provider can replace them.
fn serve_manually_set(current: Option<Credentials>, now: SystemTime) -> RefreshStep {
    match current {
        Some(credentials) if credentials.metadata().freshness(now) < Freshness::Expired => {
            RefreshStep::Serve(credentials)
        }
        _ => RefreshStep::Fail(error::expired(None)),
    }
}

/// Refuses credentials that had expired when they arrived. The error is transient, since the cause may be a clock
/// that is wrong for the moment.
fn check_unexpired(credentials: Credentials, now: SystemTime) -> Result<Credentials> {
    if credentials.expiry().has_passed(now) {
        let provider = credentials.provider().to_owned();
        return Err(Error::new(ErrorKind::Unavailable, "returned credentials that had already expired")
            .with_provider(provider)
            .with_next_step("check the clocks of this machine and of the provider"));
    }
    Ok(credentials)
}

/// Calls the provider once, within `timeout`. `None` when the runtime that drives the timer was shut down.
async fn fetch_with_timeout(provider: ArcProvider, timeout: Duration) -> Option<Result<Credentials>> {
    let callee = Callee { role: "provider", name: || provider.name() };
    call_isolated(callee, timeout, async { provider.provide().await }).await
}
