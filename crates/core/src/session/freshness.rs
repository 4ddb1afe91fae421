//! How fresh a set is: pure functions of when it was issued, when it expires, the time, and the policy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{RefreshPolicy, SetId};
use crate::Credentials;
use crate::clock::{Nanos, nanos};

/// How fresh a set of credentials is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// Nothing to do.
    Fresh,
    /// Works, and is replaced when that costs nobody a wait.
    Advisory,
    /// Works for less than a minute, and is replaced before it is used.
    Mandatory,
    /// Is refused.
    Expired,
}

const MINUTE: Duration = Duration::from_secs(60);
const MANDATORY_WINDOW: Duration = MINUTE;

/// How long before expiry a set of this lifetime is worth replacing (AWS cross-SDK credential refresh, 2026).
fn advisory_window(lifetime: Duration) -> Duration {
    if lifetime <= 20 * MINUTE {
        5 * MINUTE
    } else if lifetime < 90 * MINUTE {
        15 * MINUTE
    } else {
        60 * MINUTE
    }
}

/// The instants at which a set changes freshness.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub(super) advisory_at: Option<SystemTime>,
    pub(super) expires_at: Option<SystemTime>,
}

impl Windows {
    /// `jitter` (0 to 1) widens the advisory window by up to a tenth, so that sessions opened together part.
    pub(super) fn new(issued_at: SystemTime, set: &Credentials, policy: &RefreshPolicy, jitter: f64) -> Self {
        let aged_after = |age: Duration| issued_at.checked_add(age.mul_f64(1.0 - 0.1 * jitter));
        let Some(expires_at) = set.expiry().instant() else {
            let advisory_at = aged_after(set.max_age().unwrap_or(policy.max_age));
            return Self { advisory_at, expires_at: None };
        };
        let lifetime = expires_at.duration_since(issued_at).unwrap_or_default();
        let advisory = advisory_window(lifetime).mul_f64(1.0 + 0.1 * jitter);
        let near_the_end = expires_at.checked_sub(advisory);
        let aged = set.max_age().and_then(aged_after);
        Self { advisory_at: near_the_end.into_iter().chain(aged).min(), expires_at: Some(expires_at) }
    }

    pub(super) fn mandatory_at(&self) -> Option<SystemTime> {
        self.expires_at?.checked_sub(MANDATORY_WINDOW)
    }

    pub(super) fn freshness(&self, now: SystemTime) -> Freshness {
        let reached = |at: Option<SystemTime>| at.is_some_and(|at| at <= now);
        if reached(self.expires_at) {
            Freshness::Expired
        } else if reached(self.mandatory_at()) {
            Freshness::Mandatory
        } else if reached(self.advisory_at) {
            Freshness::Advisory
        } else {
            Freshness::Fresh
        }
    }
}

/// What a session notes of a set that it holds.
pub(crate) struct Issued {
    pub(super) id: SetId,
    pub(super) windows: Windows,
    /// Until when nothing needs to be decided. Zero once seen expired, or reported rejected, and then for ever: a clock
    /// that jumps back revives nothing.
    settled_until: AtomicU64,
}

impl Issued {
    /// Of a set that no session holds: not settled, and as good as expired.
    pub(crate) fn to_nobody() -> Self {
        let windows = Windows { advisory_at: None, expires_at: None };
        Self { id: SetId::NONE, windows, settled_until: AtomicU64::new(0) }
    }

    pub(crate) fn is_to_nobody(&self) -> bool {
        self.id == SetId::NONE
    }

    /// A set that a provider issued is settled until its first window opens. One that was given by hand is nobody's to
    /// renew, and settled until it expires.
    pub(super) fn new(id: SetId, windows: Windows, by_hand: bool) -> Self {
        let undecided_at = if by_hand { windows.expires_at } else { windows.advisory_at };
        let settled_until = undecided_at.map_or(Nanos::MAX, |at| nanos(at).max(1));
        Self { id, windows, settled_until: AtomicU64::new(settled_until) }
    }

    /// Whether nothing needs to be decided: the one question of the warm path.
    #[inline]
    pub(super) fn is_settled(&self, now: Nanos) -> bool {
        now < self.settled_until.load(Ordering::Relaxed)
    }

    pub(super) fn freshness(&self, now: SystemTime) -> Freshness {
        if self.settled_until.load(Ordering::Relaxed) == 0 {
            return Freshness::Expired;
        }
        let freshness = self.windows.freshness(now);
        if freshness == Freshness::Expired {
            self.expire();
        }
        freshness
    }

    pub(super) fn expire(&self) {
        self.settled_until.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Expiry;

    fn issued_at() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn set(expiry: Expiry, max_age: Option<Duration>) -> Credentials {
        let (id, secret) = ("AKIA0000000000000000".parse().unwrap(), "secret".into());
        Credentials::builder(id, secret).expiry(expiry).max_age(max_age).build().unwrap()
    }

    fn windows(lifetime: Duration, jitter: f64) -> (Windows, SystemTime) {
        let end = issued_at() + lifetime;
        (Windows::new(issued_at(), &set(Expiry::At(end), None), &RefreshPolicy::default(), jitter), end)
    }

    #[test]
    fn the_advisory_window_follows_the_lifetime() {
        for (minutes, window) in [(1, 5), (15, 5), (20, 5), (21, 15), (60, 15), (89, 15), (90, 60), (720, 60)]
        {
            let (windows, end) = windows(minutes * MINUTE, 0.0);
            assert_eq!(windows.advisory_at, Some(end - window * MINUTE), "lifetime of {minutes} min");
        }
    }

    #[test]
    fn each_edge_belongs_to_the_staler_side() {
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
    fn jitter_widens_the_advisory_window_by_at_most_a_tenth_and_leaves_the_mandatory_one() {
        let (plain, end) = windows(60 * MINUTE, 0.0);
        let (wide, _) = windows(60 * MINUTE, 1.0);
        assert_eq!(wide.advisory_at, Some(end - 15 * MINUTE - Duration::from_secs(90)));
        assert_eq!(wide.mandatory_at(), plain.mandatory_at());
    }

    #[test]
    fn a_set_without_expiry_grows_old_but_never_expires() {
        let now = issued_at();
        let windows = Windows::new(now, &set(Expiry::Never, None), &RefreshPolicy::default(), 0.0);
        assert_eq!(windows.freshness(now + 14 * MINUTE), Freshness::Fresh);
        assert_eq!(windows.freshness(now + 15 * MINUTE), Freshness::Advisory);
        assert_eq!(windows.freshness(now + 1_000_000 * MINUTE), Freshness::Advisory);
    }

    #[test]
    fn a_source_may_ask_to_be_asked_sooner_whatever_the_expiry() {
        let (now, policy) = (issued_at(), RefreshPolicy::default());
        let five = Some(5 * MINUTE);
        for (expiry, max_age, advisory_after) in [
            (Expiry::Never, five, 5 * MINUTE),
            (Expiry::At(now + 60 * MINUTE), five, 5 * MINUTE),
            (Expiry::At(now + 60 * MINUTE), Some(50 * MINUTE), 45 * MINUTE),
            (Expiry::Never, Some(Duration::ZERO), Duration::ZERO),
        ] {
            let windows = Windows::new(now, &set(expiry, max_age), &policy, 0.0);
            assert_eq!(windows.advisory_at, Some(now + advisory_after), "{expiry}, {max_age:?}");
        }
    }
}
