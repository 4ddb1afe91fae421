//! `RefreshBackoff`: delays the next fetch of an account after a failure.

use std::time::{Duration, SystemTime};

use super::Freshness;
use crate::{Error, ErrorKind};

/// The last failure of an account's provider, until the next success.
///
/// Distinguishes three kinds of failures of an account that has credentials:
///
/// - Transient, internal, or an expired source: the credentials are served until they expire. The next attempt follows
///   after 5 to 10 minutes, or after 1 to 5 seconds once a fetch is mandatory.
/// - A person is required: the same, but the longer delay applies until the credentials have expired, since every attempt
///   may prompt a person.
/// - Permanent: the credentials are withdrawn, and callers receive the remembered error for 1 to 5 seconds.
///
/// The delays are random, so that sessions which failed together do not retry together.
#[derive(Debug, Default)]
pub(super) struct RefreshBackoff(Option<Box<LastFailure>>);

#[derive(Debug)]
struct LastFailure {
    error: Error,
    at: SystemTime,
    /// 1–5 s: between attempts near and after expiry, and how long a permanent failure is remembered.
    short: Duration,
    /// 300–600 s: between attempts while the current credentials are not close to their expiry.
    long: Duration,
}

impl RefreshBackoff {
    /// Remembers a failure, with delays that apply until the next one.
    pub(super) fn record_failure(&mut self, error: Error, at: SystemTime, rng: &mut fastrand::Rng) {
        let short = Duration::from_millis(rng.u64(1_000..=5_000));
        let long = Duration::from_secs(rng.u64(300..=600));
        self.0 = Some(Box::new(LastFailure { error, at, short, long }));
    }

    /// Forgets the failure: after a success, and whenever another epoch begins.
    pub(super) fn reset(&mut self) {
        self.0 = None;
    }

    /// Returns the last failure, however long ago it was.
    pub(super) fn last_error(&self) -> Option<&Error> {
        self.0.as_ref().map(|failure| &failure.error)
    }

    /// Returns a remembered permanent failure. The account returns it even if it has credentials.
    pub(super) fn permanent_error(&self, now: SystemTime) -> Option<Error> {
        let failure = self.0.as_ref().filter(|failure| is_permanent(&failure.error))?;
        failure.is_within(failure.short, now).then(|| failure.error.clone())
    }

    /// Returns a remembered failure that requires a person. The account returns it when it has no valid credentials.
    pub(super) fn interaction_error(&self, now: SystemTime) -> Option<Error> {
        let failure = self.0.as_ref().filter(|failure| requires_interaction(&failure.error))?;
        failure.is_within(failure.short, now).then(|| failure.error.clone())
    }

    /// Returns whether a failure that leaves the current credentials valid forbids another attempt for credentials of
    /// this freshness. After a failure that requires a person, the long interval applies until the credentials have
    /// expired.
    pub(super) fn blocks_attempt(&self, now: SystemTime, freshness: Freshness, serve_expired: bool) -> bool {
        let Some(failure) = self.0.as_ref().filter(|failure| !is_permanent(&failure.error)) else {
            return false;
        };
        let long_until =
            if requires_interaction(&failure.error) { Freshness::Mandatory } else { Freshness::Advisory };
        let is_long = freshness <= long_until || serve_expired;
        failure.is_within(if is_long { failure.long } else { failure.short }, now)
    }

    /// Returns when the next background attempt may be made. Credentials whose last minute begins at `mandatory_at`,
    /// and that are not served beyond their expiry, are retried from then on at the latest if the failure is
    /// transient.
    pub(super) fn next_attempt(&self, mandatory_at: Option<SystemTime>) -> Option<SystemTime> {
        let failure = self.0.as_ref()?;
        let after_short = failure.at + failure.short;
        if is_permanent(&failure.error) {
            return Some(after_short);
        }
        let after_long = failure.at + failure.long;
        if requires_interaction(&failure.error) {
            return Some(after_long);
        }
        Some(mandatory_at.map_or(after_long, |at| after_long.min(at.max(after_short))))
    }
}

/// Returns whether a failure means that the current credentials must no longer be used. Transient failures, internal
/// errors, an expired source and an absent person do not: they may pass while the credentials still work.
pub(super) fn is_permanent(error: &Error) -> bool {
    !error.is_transient()
        && !matches!(error.kind(), ErrorKind::Internal | ErrorKind::Expired | ErrorKind::InteractionRequired)
}

/// Returns whether a person has to act before another attempt can succeed.
fn requires_interaction(error: &Error) -> bool {
    error.kind() == ErrorKind::InteractionRequired
}

impl LastFailure {
    /// A clock that jumped back lifts the hold rather than prolonging it.
    fn is_within(&self, period: Duration, now: SystemTime) -> bool {
        now.duration_since(self.at).is_ok_and(|since| since < period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn failed_at() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    /// The seconds from a failure to the next background attempt.
    fn delay(kind: ErrorKind, mandatory_at: Option<SystemTime>) -> u64 {
        let mut backoff = RefreshBackoff::default();
        assert_eq!(backoff.next_attempt(mandatory_at), None, "no failure");
        backoff.record_failure(Error::new(kind, "failed"), failed_at(), &mut fastrand::Rng::with_seed(7));
        let next = backoff.next_attempt(mandatory_at).unwrap();
        next.duration_since(failed_at()).expect("later than the failure").as_secs()
    }

    #[test]
    fn next_attempt_transient_failure_waits_for_mandatory_window() {
        let transient = ErrorKind::Unavailable;
        assert!((300..=600).contains(&delay(transient, None)));
        assert!((300..=600).contains(&delay(transient, Some(failed_at() + 700 * SECOND))));
        assert_eq!(delay(transient, Some(failed_at() + 60 * SECOND)), 60);
        assert!((1..=5).contains(&delay(transient, Some(failed_at() - 60 * SECOND))), "in the window");
    }

    #[test]
    fn next_attempt_other_failure_ignores_mandatory_window() {
        for mandatory_at in [None, Some(failed_at() + 60 * SECOND), Some(failed_at() - 60 * SECOND)] {
            assert!((1..=5).contains(&delay(ErrorKind::Denied, mandatory_at)));
            assert!((300..=600).contains(&delay(ErrorKind::InteractionRequired, mandatory_at)));
        }
    }
}
