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
    /// The defaults. A constant, so that sessions without a policy of their own share it and store nothing.
    pub(crate) const STANDARD: Self = Self {
        load_timeout: Duration::from_secs(20),
        max_age: Duration::from_secs(15 * 60),
        advisory_window: None,
        min_fetch_interval: Duration::from_secs(30),
        serve_expired: false,
    };

    /// Sets [`load_timeout`](Self::load_timeout).
    ///
    /// The limit covers the whole call of the provider, including its retries. Raise it for a source that prompts a
    /// person.
    ///
    /// # Examples
    /// ```
    /// # use std::time::Duration;
    /// # use valetkey_core::{ErrorKind, RefreshPolicy, SessionContext, provider_fn};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let policy = RefreshPolicy::default().load_timeout(Duration::from_millis(10));
    /// let slow = provider_fn("slow", std::future::pending);
    /// let session = SessionContext::builder().refresh_policy(policy).provider(slow).build();
    /// assert_eq!(session.credentials().await.unwrap_err().kind(), ErrorKind::TimedOut);
    /// # }
    /// ```
    #[must_use]
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.load_timeout = timeout;
        self
    }

    /// Sets [`max_age`](Self::max_age).
    ///
    /// A provider that specifies an age for its own credentials takes precedence.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Sets [`advisory_window`](Self::advisory_window).
    ///
    /// A wider window gives a source that fails more time to recover, and costs more fetches. `None` restores the
    /// default.
    #[must_use]
    pub fn advisory_window(mut self, window: impl Into<Option<Duration>>) -> Self {
        self.advisory_window = window.into();
        self
    }

    /// Sets [`min_fetch_interval`](Self::min_fetch_interval).
    ///
    /// It keeps a source that issues short-lived credentials from being called for every request.
    #[must_use]
    pub fn min_fetch_interval(mut self, interval: Duration) -> Self {
        self.min_fetch_interval = interval;
        self
    }

    /// Serves expired credentials when their source fails transiently: sets [`serve_expired`](Self::serve_expired).
    ///
    /// Credentials that were set directly have no source, and are never served after their expiry.
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
