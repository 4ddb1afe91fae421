//! Freshness of credentials: pure functions of the time of issue, the expiry, the current time, and the policy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{CredentialsVersion, RefreshPolicy};
use crate::Credentials;
use crate::clock::{Nanos, nanos};

/// The freshness of credentials.
///
/// The order is that of time: later states are greater.
///
/// # Examples
/// ```
/// # use valetkey_core::{Credentials, Freshness, SessionContext};
/// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
/// let session = SessionContext::builder().build();
/// session.set_credentials(credentials)?;
///
/// let status = session.status();
/// assert!(status.accounts[0].freshness < Some(Freshness::Mandatory));
/// assert_eq!(serde_json::to_value(Freshness::Fresh).ok(), Some("fresh".into()));
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Freshness {
    /// Nothing to do.
    Fresh,
    /// Valid. Should be replaced when no caller has to wait for it.
    Advisory,
    /// Valid for a minute at most, or for a quarter of the lifetime if that is less. Must be replaced before use.
    Mandatory,
    /// No longer accepted.
    Expired,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Returns how long before expiry credentials of this lifetime should be replaced (AWS cross-SDK credential refresh,
/// 2026).
///
/// | lifetime | window |
/// |---|---|
/// | below 10 min | a quarter of the lifetime |
/// | up to 20 min | 5 min |
/// | below 90 min | 15 min |
/// | longer | 60 min |
fn advisory_window(lifetime: Duration) -> Duration {
    if lifetime < 10 * MINUTE {
        lifetime / 4
    } else if lifetime <= 20 * MINUTE {
        5 * MINUTE
    } else if lifetime < 90 * MINUTE {
        15 * MINUTE
    } else {
        60 * MINUTE
    }
}

/// Returns how long before expiry credentials of this lifetime must be replaced before they are used.
///
/// A minute for lifetimes of four minutes and more, otherwise a quarter of the lifetime.
fn mandatory_window(lifetime: Duration) -> Duration {
    MINUTE.min(lifetime / 4)
}

/// The instants at which credentials change freshness.
///
/// `None` for an instant that never comes: credentials without expiry become advisory when they reach their maximum
/// age, and never mandatory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefreshWindows {
    pub(crate) advisory_at: Option<SystemTime>,
    pub(crate) mandatory_at: Option<SystemTime>,
    pub(crate) expires_at: Option<SystemTime>,
}

impl RefreshWindows {
    /// Computes the windows. `jitter` (0 to 1) widens the advisory window by up to a tenth, so that sessions opened
    /// together do not refresh together.
    ///
    /// No window opens before the minimum interval between two fetches has passed, except where the provider itself
    /// limits the age of its credentials.
    pub(crate) fn new(
        issued_at: SystemTime,
        credentials: &Credentials,
        policy: &RefreshPolicy,
        jitter: f64,
    ) -> Self {
        let aged_after = |age: Duration| issued_at.checked_add(age.mul_f64(1.0 - 0.1 * jitter));
        let Some(expires_at) = credentials.expiry().instant() else {
            let advisory_at = aged_after(credentials.max_age().unwrap_or(policy.max_age));
            return Self { advisory_at, mandatory_at: None, expires_at: None };
        };
        let lifetime = expires_at.duration_since(issued_at).unwrap_or_default();
        let earliest = issued_at.checked_add(policy.min_fetch_interval.min((lifetime / 4).max(SECOND)));
        let opens =
            |window: Duration| expires_at.checked_sub(window).max(earliest).map(|at| at.min(expires_at));
        let advisory = policy.advisory_window.unwrap_or_else(|| advisory_window(lifetime));
        let near_the_end = opens(advisory.mul_f64(1.0 + 0.1 * jitter));
        let aged = credentials.max_age().and_then(aged_after);
        Self {
            advisory_at: near_the_end.into_iter().chain(aged).min(),
            mandatory_at: opens(mandatory_window(lifetime)),
            expires_at: Some(expires_at),
        }
    }

    /// Returns the last state whose instant has come.
    pub(crate) fn freshness(&self, now: SystemTime) -> Freshness {
        let reached = |at: Option<SystemTime>| at.is_some_and(|at| at <= now);
        if reached(self.expires_at) {
            Freshness::Expired
        } else if reached(self.mandatory_at) {
            Freshness::Mandatory
        } else if reached(self.advisory_at) {
            Freshness::Advisory
        } else {
            Freshness::Fresh
        }
    }
}

/// Metadata of credentials held by a session.
///
/// Written when the credentials are published. The only part that changes afterwards is `fresh_until`, from its
/// first value to zero.
pub(crate) struct IssueMetadata {
    pub(crate) id: CredentialsVersion,
    pub(crate) windows: RefreshWindows,
    /// No decision is needed before this instant. Zero once the credentials have expired or were reported rejected,
    /// and permanently so: a clock that jumps back does not revive them.
    fresh_until: AtomicU64,
}

impl IssueMetadata {
    /// Metadata of credentials that no session holds: not settled, and treated as expired.
    pub(crate) fn placeholder() -> Self {
        let windows = RefreshWindows { advisory_at: None, mandatory_at: None, expires_at: None };
        Self { id: CredentialsVersion::UNSET, windows, fresh_until: AtomicU64::new(0) }
    }

    /// Returns whether no session holds the credentials.
    pub(crate) fn is_placeholder(&self) -> bool {
        self.id == CredentialsVersion::UNSET
    }

    /// Credentials issued by a provider are settled until their first window opens. Credentials that are set directly
    /// have no provider to refresh them, and are settled until they expire.
    pub(crate) fn new(id: CredentialsVersion, windows: RefreshWindows, is_set_directly: bool) -> Self {
        let stale_at = if is_set_directly { windows.expires_at } else { windows.advisory_at };
        let fresh_until = stale_at.map_or(Nanos::MAX, |at| nanos(at).max(1));
        Self { id, windows, fresh_until: AtomicU64::new(fresh_until) }
    }

    /// Returns whether no decision is needed: the only check of the warm path.
    #[inline]
    pub(crate) fn is_fresh_at(&self, now: Nanos) -> bool {
        now < self.fresh_until.load(Ordering::Relaxed)
    }

    /// Returns the freshness at `now`, and notes an expiry permanently.
    pub(crate) fn freshness(&self, now: SystemTime) -> Freshness {
        if self.fresh_until.load(Ordering::Relaxed) == 0 {
            return Freshness::Expired;
        }
        let freshness = self.windows.freshness(now);
        if freshness == Freshness::Expired {
            self.mark_expired();
        }
        freshness
    }

    /// Treats the credentials as expired from now on, in all copies that share this value.
    pub(crate) fn mark_expired(&self) {
        self.fresh_until.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Expiry;

    fn issued_at() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn credentials(expiry: Expiry, max_age: Option<Duration>) -> Credentials {
        let (id, secret) = ("AKIA0000000000000000".parse().unwrap(), "secret".into());
        Credentials::builder(id, secret).expiry(expiry).max_age(max_age).build().unwrap()
    }

    fn windows(lifetime: Duration, jitter: f64) -> (RefreshWindows, SystemTime) {
        let end = issued_at() + lifetime;
        (
            RefreshWindows::new(
                issued_at(),
                &credentials(Expiry::At(end), None),
                &RefreshPolicy::default(),
                jitter,
            ),
            end,
        )
    }

    #[test]
    fn refresh_windows_advisory_follows_lifetime() {
        let minutes = [(4, 60), (8, 120), (10, 300), (15, 300), (20, 300), (21, 900), (60, 900), (89, 900)];
        for (minutes, window) in minutes.into_iter().chain([(90, 3600), (720, 3600)]) {
            let (windows, end) = windows(minutes * MINUTE, 0.0);
            let window = window * SECOND;
            assert_eq!(windows.advisory_at, Some(end - window), "lifetime of {minutes} min");
        }
    }

    #[test]
    fn refresh_windows_short_lifetime_uses_a_quarter() {
        for seconds in [120, 60, 40, 4] {
            let (windows, end) = windows(seconds * SECOND, 0.0);
            let quarter = Some(end - seconds * SECOND / 4);
            assert_eq!((windows.advisory_at, windows.mandatory_at), (quarter, quarter), "{seconds} s");
        }
        assert_eq!(windows(240 * SECOND, 0.0).0.mandatory_at, Some(issued_at() + 180 * SECOND));
    }

    #[test]
    fn refresh_windows_open_after_fetch_interval() {
        let end = issued_at() + 60 * MINUTE;
        let opens = |policy: RefreshPolicy| {
            let windows = RefreshWindows::new(issued_at(), &credentials(Expiry::At(end), None), &policy, 1.0);
            windows.advisory_at.unwrap().duration_since(issued_at()).unwrap()
        };
        let whole = || RefreshPolicy::default().advisory_window(120 * MINUTE);
        assert_eq!(opens(whole()), 30 * SECOND);
        assert_eq!(opens(whole().min_fetch_interval(MINUTE)), MINUTE);
        assert_eq!(opens(whole().min_fetch_interval(Duration::ZERO)), Duration::ZERO);
        assert_eq!(opens(RefreshPolicy::default().advisory_window(10 * MINUTE)), 49 * MINUTE);
        let born_old = windows(SECOND / 2, 0.0).0;
        assert_eq!(born_old.advisory_at, born_old.expires_at, "never more often than once a second");
    }

    #[test]
    fn refresh_windows_edge_belongs_to_staler_side() {
        let (windows, end) = windows(60 * MINUTE, 0.0);
        let second = Duration::from_secs(1);
        for (now, freshness) in [
            (end - 15 * MINUTE - second, Freshness::Fresh),
            (end - 15 * MINUTE, Freshness::Advisory),
            (end - MINUTE - second, Freshness::Advisory),
            (end - MINUTE, Freshness::Mandatory),
            (end - second, Freshness::Mandatory),
            (end, Freshness::Expired),
        ] {
            assert_eq!(windows.freshness(now), freshness, "{:?} before the end", end.duration_since(now));
        }
    }

    #[test]
    fn refresh_windows_jitter_widens_advisory_by_a_tenth() {
        let (plain, end) = windows(60 * MINUTE, 0.0);
        let (wide, _) = windows(60 * MINUTE, 1.0);
        assert_eq!(wide.advisory_at, Some(end - 15 * MINUTE - Duration::from_secs(90)));
        assert_eq!(wide.mandatory_at, plain.mandatory_at);
    }

    #[test]
    fn refresh_windows_unexpiring_turns_advisory_only() {
        let now = issued_at();
        let windows =
            RefreshWindows::new(now, &credentials(Expiry::Never, None), &RefreshPolicy::default(), 0.0);
        assert_eq!(windows.freshness(now + 14 * MINUTE), Freshness::Fresh);
        assert_eq!(windows.freshness(now + 15 * MINUTE), Freshness::Advisory);
        assert_eq!(windows.freshness(now + 1_000_000 * MINUTE), Freshness::Advisory);
    }

    #[test]
    fn refresh_windows_max_age_opens_advisory_sooner() {
        let (now, policy) = (issued_at(), RefreshPolicy::default());
        let five = Some(5 * MINUTE);
        for (expiry, max_age, advisory_after) in [
            (Expiry::Never, five, 5 * MINUTE),
            (Expiry::At(now + 60 * MINUTE), five, 5 * MINUTE),
            (Expiry::At(now + 60 * MINUTE), Some(50 * MINUTE), 45 * MINUTE),
            (Expiry::Never, Some(Duration::ZERO), Duration::ZERO),
        ] {
            let windows = RefreshWindows::new(now, &credentials(expiry, max_age), &policy, 0.0);
            assert_eq!(windows.advisory_at, Some(now + advisory_after), "{expiry}, {max_age:?}");
        }
    }
}
