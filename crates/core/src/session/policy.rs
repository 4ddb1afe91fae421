//! `RefreshPolicy`: the few refresh rules that a host may change.

use std::time::Duration;

/// The refresh rules that a host may change. The windows themselves follow the AWS cross-SDK credential refresh
/// behaviour (2026) and are not settings.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RefreshPolicy {
    /// How long one attempt may take; 20 s. A time-out is transient.
    pub load_timeout: Duration,
    /// After how long a set without expiry is read again; 15 min.
    pub max_age: Duration,
    /// Serve a set that has expired when its source fails transiently, as the cross-SDK rules do. Off.
    pub serve_expired: bool,
}

impl RefreshPolicy {
    pub(super) const STANDARD: Self = Self {
        load_timeout: Duration::from_secs(20),
        max_age: Duration::from_secs(15 * 60),
        serve_expired: false,
    };

    /// Sets [`load_timeout`](Self::load_timeout).
    #[must_use]
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.load_timeout = timeout;
        self
    }

    /// Sets [`max_age`](Self::max_age).
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Sets [`serve_expired`](Self::serve_expired).
    #[must_use]
    pub fn serve_expired(mut self, yes: bool) -> Self {
        self.serve_expired = yes;
        self
    }
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self::STANDARD
    }
}
