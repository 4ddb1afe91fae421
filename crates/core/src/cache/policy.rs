//! `RefreshPolicy`: the few refresh rules that a host may change.

use std::time::Duration;

/// The refresh rules that a host may change. The defaults follow the AWS cross-SDK credential refresh behaviour
/// (2026).
///
/// # Examples
/// ```
/// # use std::time::Duration;
/// # use valetkey_core::{RefreshPolicy, SessionContext};
/// let policy = RefreshPolicy::default().min_fetch_interval(Duration::from_secs(60));
/// let session = SessionContext::builder().refresh_policy(policy).build();
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RefreshPolicy {
    /// The time limit of one fetch (default: 20 s). A timeout is a transient error.
    pub load_timeout: Duration,
    /// The age after which credentials without expiry are read again (default: 15 min).
    pub max_age: Duration,
    /// How long before their expiry credentials should be replaced. By default this depends on their lifetime: a
    /// quarter of a lifetime below 10 min, 5 min up to 20 min, 15 min below 90 min, otherwise 60 min.
    pub advisory_window: Option<Duration>,
    /// The minimum time between two successful fetches while the cached credentials are valid, unless the provider
    /// itself limits their age with [`max_age`](crate::Credentials::max_age) (default: 30 s, and at most a quarter of
    /// their lifetime).
    pub min_fetch_interval: Duration,
    /// Whether to serve expired credentials when their source fails transiently, as the cross-SDK rules do (default:
    /// off).
    pub serve_expired: bool,
}

impl RefreshPolicy {
    pub(crate) const STANDARD: Self = Self {
        load_timeout: Duration::from_secs(20),
        max_age: Duration::from_secs(15 * 60),
        advisory_window: None,
        min_fetch_interval: Duration::from_secs(30),
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

    /// Sets [`advisory_window`](Self::advisory_window).
    #[must_use]
    pub fn advisory_window(mut self, window: impl Into<Option<Duration>>) -> Self {
        self.advisory_window = window.into();
        self
    }

    /// Sets [`min_fetch_interval`](Self::min_fetch_interval).
    #[must_use]
    pub fn min_fetch_interval(mut self, interval: Duration) -> Self {
        self.min_fetch_interval = interval;
        self
    }

    /// Serves expired credentials when their source fails transiently: sets [`serve_expired`](Self::serve_expired).
    #[must_use]
    pub fn serve_expired(mut self) -> Self {
        self.serve_expired = true;
        self
    }
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self::STANDARD
    }
}
