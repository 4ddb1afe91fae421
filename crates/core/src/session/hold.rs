//! `RefreshBackoff`: how long a failure keeps an account from asking again.

use std::time::{Duration, SystemTime};

use super::Freshness;
use crate::{Error, ErrorKind};

/// The last failure of an account's provider, until the next success.
#[derive(Debug, Default)]
pub(super) struct RefreshBackoff(Option<Box<LastFailure>>);

#[derive(Debug)]
struct LastFailure {
    error: Error,
    at: SystemTime,
    /// 1–5 s: between attempts near and after expiry, and for what a permanent failure is remembered.
    short: Duration,
    /// 300–600 s: between attempts while the set in hand still has time.
    long: Duration,
}

impl RefreshBackoff {
    pub(super) fn record_failure(&mut self, error: Error, at: SystemTime, rng: &mut fastrand::Rng) {
        let short = Duration::from_millis(rng.u64(1_000..=5_000));
        let long = Duration::from_secs(rng.u64(300..=600));
        self.0 = Some(Box::new(LastFailure { error, at, short, long }));
    }

    pub(super) fn reset(&mut self) {
        self.0 = None;
    }

    pub(super) fn last_error(&self) -> Option<&Error> {
        self.0.as_ref().map(|failure| &failure.error)
    }

    /// A permanent failure that is still remembered: told whatever is in hand.
    pub(super) fn permanent_error(&self, now: SystemTime) -> Option<Error> {
        let failure = self.0.as_ref().filter(|failure| is_permanent(&failure.error))?;
        failure.is_within(failure.short, now).then(|| failure.error.clone())
    }

    /// A failure that needs a person and is still remembered: told when nothing is in hand.
    pub(super) fn interaction_error(&self, now: SystemTime) -> Option<Error> {
        let failure = self.0.as_ref().filter(|failure| requires_interaction(&failure.error))?;
        failure.is_within(failure.short, now).then(|| failure.error.clone())
    }

    /// Whether a failure that leaves the set in hand alone forbids another attempt for a set of this freshness. Who
    /// needs a person is patient until the set has expired.
    pub(super) fn blocks_attempt(&self, now: SystemTime, freshness: Freshness, serve_expired: bool) -> bool {
        let Some(failure) = self.0.as_ref().filter(|failure| !is_permanent(&failure.error)) else {
            return false;
        };
        let patient_until =
            if requires_interaction(&failure.error) { Freshness::Mandatory } else { Freshness::Advisory };
        let patient = freshness <= patient_until || serve_expired;
        failure.is_within(if patient { failure.long } else { failure.short }, now)
    }

    /// When the next attempt may be made unasked for a set whose last minute begins at `mandatory_at`, if it has one
    /// and is not served beyond it: the patience of a failure that passes ends there.
    pub(super) fn next_attempt(&self, mandatory_at: Option<SystemTime>) -> Option<SystemTime> {
        let failure = self.0.as_ref()?;
        let soon = failure.at + failure.short;
        if is_permanent(&failure.error) {
            return Some(soon);
        }
        let patiently = failure.at + failure.long;
        if requires_interaction(&failure.error) {
            return Some(patiently);
        }
        Some(mandatory_at.map_or(patiently, |at| patiently.min(at.max(soon))))
    }
}

/// Whether a failure says that the set in hand is to be used no more. What is transient does not, nor do a fault of our
/// own, a source that has run out or a person who is not there: those may pass while the set still works.
pub(super) fn is_permanent(error: &Error) -> bool {
    !error.is_transient()
        && !matches!(error.kind(), ErrorKind::Internal | ErrorKind::Expired | ErrorKind::InteractionRequired)
}

fn requires_interaction(error: &Error) -> bool {
    error.kind() == ErrorKind::InteractionRequired
}

impl LastFailure {
    /// A clock that jumped back lifts the hold rather than prolonging it.
    fn is_within(&self, period: Duration, now: SystemTime) -> bool {
        now.duration_since(self.at).is_ok_and(|since| since < period)
    }
}
