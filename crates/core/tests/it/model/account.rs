//! One account as the rules have it: what it holds, whether it calls upstream, what it returns.

use std::time::{Duration, SystemTime};

use valetkey_core::ErrorKind;

use super::source::ModelProvider;

const MINUTE: Duration = Duration::from_secs(60);
const MAX_AGE: Duration = Duration::from_secs(15 * 60);
/// The shortest and the longest backoff, in seconds: while the current credentials have time left, and otherwise.
const LONG_BACKOFF: (u64, u64) = (300, 600);
const SHORT_BACKOFF: (u64, u64) = (1, 5);

const NEEDS_PERSON: ErrorKind = ErrorKind::InteractionRequired;

#[derive(Debug, Clone, Copy)]
pub(super) struct ModelCredentials {
    pub(super) number: u64,
    issued_at: SystemTime,
    pub(super) expires_at: Option<SystemTime>,
    /// Seen expired, or reported rejected: never again, whatever the clock says.
    pub(super) unusable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ModelFreshness {
    Fresh,
    /// Fresh or advisory, as the session's jitter has it.
    Either,
    Advisory,
    Mandatory,
    Expired,
}

impl ModelCredentials {
    pub(super) fn new(number: u64, issued_at: SystemTime, expires_at: Option<SystemTime>) -> Self {
        Self { number, issued_at, expires_at, unusable: false }
    }

    pub(super) fn freshness(&self, now: SystemTime) -> ModelFreshness {
        let (earliest, latest) = self.advisory_range();
        if self.unusable || self.expires_at.is_some_and(|at| at <= now) {
            ModelFreshness::Expired
        } else if self.mandatory_at().is_some_and(|at| at <= now) {
            ModelFreshness::Mandatory
        } else if latest <= now {
            ModelFreshness::Advisory
        } else if earliest <= now {
            ModelFreshness::Either
        } else {
            ModelFreshness::Fresh
        }
    }

    /// When the advisory window opens, at the earliest and at the latest.
    fn advisory_range(&self) -> (SystemTime, SystemTime) {
        let Some(expires_at) = self.expires_at else {
            return (self.issued_at + MAX_AGE * 9 / 10, self.issued_at + MAX_AGE);
        };
        let life = self.lifetime();
        let window = match life.as_secs().div_ceil(60) {
            _ if life < 10 * MINUTE => life / 4,
            0..=20 => 5 * MINUTE,
            21..90 => 15 * MINUTE,
            _ => 60 * MINUTE,
        };
        let opens = |window: Duration| self.clamp_to_fetch_interval(expires_at - window);
        (opens(window * 11 / 10), opens(window))
    }

    fn mandatory_at(&self) -> Option<SystemTime> {
        Some(self.clamp_to_fetch_interval(self.expires_at? - MINUTE.min(self.lifetime() / 4)))
    }

    fn lifetime(&self) -> Duration {
        self.expires_at.and_then(|at| at.duration_since(self.issued_at).ok()).unwrap_or_default()
    }

    /// No two successful fetches within half a minute, or a quarter of the lifetime.
    fn clamp_to_fetch_interval(&self, opens: SystemTime) -> SystemTime {
        let second = Duration::from_secs(1);
        opens.max(self.issued_at + (MINUTE / 2).min((self.lifetime() / 4).max(second)))
    }
}

/// The smallest step: an edge belongs to the staler side.
pub(super) const TICK: Duration = Duration::from_nanos(1);

/// Whether upstream is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fetches {
    No,
    Maybe,
    Yes,
}

#[derive(Debug, Default)]
pub(super) struct ModelAccount {
    pub(super) provider: Option<(usize, ModelProvider)>,
    pub(super) current: Option<ModelCredentials>,
    /// Set by a caller, not fetched from the provider.
    pub(super) manually_set: bool,
    pub(super) suspended: bool,
    pub(super) closed: bool,
    pub(super) epoch: u64,
    pub(super) generation: u64,
    failure: Option<(SystemTime, ErrorKind)>,
}

impl ModelAccount {
    /// Returns whether upstream is called, and the result if it is not.
    pub(super) fn expected_fetch(&mut self, now: SystemTime) -> (Fetches, Result<u64, ErrorKind>) {
        if let Some(error) = self.unavailable_error() {
            return (Fetches::No, Err(error));
        }
        if !self.manually_set
            && let Some((fetches, kind)) = self.cached_failure(now)
        {
            return (fetches, Err(kind));
        }
        let Some(freshness) = self.observe_freshness(now) else {
            let person = self.needs_person();
            let fetches = if person { self.backoff(SHORT_BACKOFF, now) } else { Fetches::Yes };
            return (fetches, Err(if person { NEEDS_PERSON } else { ErrorKind::NotConfigured }));
        };
        let fetches = if self.manually_set { Fetches::No } else { self.expected_fetch_at(freshness, now) };
        (fetches, self.current_or_expired())
    }

    /// As [`expected_fetch`](Self::expected_fetch), for an explicit refresh.
    pub(super) fn expected_refresh(&self, now: SystemTime) -> (Fetches, ErrorKind) {
        match self.unavailable_error() {
            Some(error) => (Fetches::No, error),
            None if self.manually_set => (Fetches::No, ErrorKind::NotConfigured),
            None => self.cached_failure(now).unwrap_or((Fetches::Yes, ErrorKind::NotConfigured)),
        }
    }

    fn unavailable_error(&self) -> Option<ErrorKind> {
        let has_no_provider = !self.manually_set && (self.suspended || self.provider.is_none());
        match (self.closed, has_no_provider) {
            (true, _) => Some(ErrorKind::Closed),
            (_, true) => Some(ErrorKind::NotConfigured),
            _ => None,
        }
    }

    /// A permanent failure that is, or may be, still remembered.
    fn cached_failure(&self, now: SystemTime) -> Option<(Fetches, ErrorKind)> {
        let (_, kind) = self.failure.filter(|(_, kind)| is_permanent(*kind))?;
        match self.backoff(SHORT_BACKOFF, now) {
            Fetches::Yes => None,
            fetches => Some((fetches, kind)),
        }
    }

    fn expected_fetch_at(&self, freshness: ModelFreshness, now: SystemTime) -> Fetches {
        match freshness {
            ModelFreshness::Fresh => Fetches::No,
            ModelFreshness::Either if self.backoff(LONG_BACKOFF, now) == Fetches::No => Fetches::No,
            ModelFreshness::Either => Fetches::Maybe,
            ModelFreshness::Advisory => self.backoff(LONG_BACKOFF, now),
            ModelFreshness::Mandatory if self.needs_person() => self.backoff(LONG_BACKOFF, now),
            ModelFreshness::Mandatory | ModelFreshness::Expired => self.backoff(SHORT_BACKOFF, now),
        }
    }

    /// Whether a backoff of at least and at most so many seconds allows a fetch. A clock that jumped back ends it.
    fn backoff(&self, (least, most): (u64, u64), now: SystemTime) -> Fetches {
        let since = self.failure.and_then(|(at, _)| now.duration_since(at).ok());
        match since {
            Some(since) if since < Duration::from_secs(least) => Fetches::No,
            Some(since) if since < Duration::from_secs(most) => Fetches::Maybe,
            _ => Fetches::Yes,
        }
    }

    /// Returns how fresh the current credentials are. Once seen expired, they stay expired.
    pub(super) fn observe_freshness(&mut self, now: SystemTime) -> Option<ModelFreshness> {
        let held = self.current.as_mut()?;
        let freshness = held.freshness(now);
        held.unusable |= freshness == ModelFreshness::Expired;
        Some(freshness)
    }

    /// Returns the number of the current credentials if they were usable when last observed, else `otherwise`.
    pub(super) fn current_or(&self, otherwise: ErrorKind) -> Result<u64, ErrorKind> {
        self.current.filter(|held| !held.unusable).map(|held| held.number).ok_or(otherwise)
    }

    fn current_or_expired(&self) -> Result<u64, ErrorKind> {
        self.current_or(if self.needs_person() && !self.manually_set {
            NEEDS_PERSON
        } else {
            ErrorKind::Expired
        })
    }

    fn needs_person(&self) -> bool {
        self.failure.is_some_and(|(_, kind)| kind == NEEDS_PERSON)
    }

    pub(super) fn publish(&mut self, held: ModelCredentials) {
        self.generation += 1;
        self.failure = None;
        self.current = Some(held);
    }

    /// Remembers a failure, and returns the result of the callers that waited while `current_number` was current.
    pub(super) fn record_failure(
        &mut self,
        kind: ErrorKind,
        current_number: Option<u64>,
        now: SystemTime,
    ) -> Result<u64, ErrorKind> {
        self.failure = Some((now, kind));
        if is_permanent(kind) && self.current.is_some() {
            self.unpublish();
        }
        let falls_back = current_number.is_some() && self.current.map(|held| held.number) == current_number;
        self.observe_freshness(now);
        if falls_back { self.current_or_expired() } else { Err(kind) }
    }

    /// The instants at which something changes, or may change.
    pub(super) fn edges(&self) -> Vec<SystemTime> {
        let held = self.current.iter().flat_map(|held| {
            let (earliest, latest) = held.advisory_range();
            [earliest, latest].into_iter().chain(held.mandatory_at()).chain(held.expires_at)
        });
        let lifted = self.failure.iter().flat_map(|(at, _)| {
            [SHORT_BACKOFF.0, SHORT_BACKOFF.1, LONG_BACKOFF.0, LONG_BACKOFF.1]
                .map(|seconds| *at + Duration::from_secs(seconds))
        });
        held.chain(lifted).collect()
    }

    fn unpublish(&mut self) {
        self.generation += 1;
        self.current = None;
    }

    /// Voids what is under way and forgets failures.
    pub(super) fn advance_epoch(&mut self) {
        self.epoch += 1;
        self.failure = None;
    }

    /// What a provider issued is void.
    pub(super) fn invalidate_issued(&mut self) {
        if !self.manually_set {
            self.advance_epoch();
            if self.current.is_some() {
                self.unpublish();
            }
        }
    }

    pub(super) fn clear(&mut self, for_good: bool) {
        self.advance_epoch();
        self.unpublish();
        self.manually_set = false;
        self.suspended = true;
        self.closed |= for_good;
    }
}

fn is_permanent(kind: ErrorKind) -> bool {
    !kind.is_transient() && !matches!(kind, ErrorKind::Internal | ErrorKind::Expired | NEEDS_PERSON)
}
