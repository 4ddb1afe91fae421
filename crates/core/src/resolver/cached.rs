//! `CachedResolver`: caches the results of another resolver by credential id and shares concurrent lookups.

mod cache;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{Clock, CredentialId, CredentialResolver, Credentials, IntoResolver, Result, SystemClock};

use cache::{Next, ResolverCache, Settings};

/// Caches the results of a resolver whose lookups are remote calls. Clones share the cache.
///
/// - A result is cached for 5 minutes, and not in the last minute before it expires.
/// - A refusal (`Denied`, `Invalid`) is cached for a random time of 1 to 5 s. Other failures are not cached.
/// - Concurrent callers of one id share one lookup, which each of them can drive: a caller that is dropped or not polled
///   does not delay the others. A lookup without callers is cancelled.
/// - At most 1,000 ids are cached. Beyond that, the oldest is evicted.
///
/// [`clear_cache`](CredentialResolver::clear_cache) clears the cache. A lookup in flight then still returns to its
/// callers, and its result is not cached.
///
/// A result may be five minutes old, so keys that were rotated meanwhile are returned unchanged. Do not cache a resolver
/// that checks its source for changes at low cost, such as the one for Secrets Manager.
///
/// # Examples
///
/// ```
/// use valetkey_core::{CachedResolver, MapResolver, SessionContext};
///
/// let resolver = CachedResolver::new(MapResolver::new());
/// let session = SessionContext::builder().resolver(resolver).build();
/// ```
#[derive(Clone)]
pub struct CachedResolver(Arc<ResolverCache>);

impl CachedResolver {
    /// Caches the results of `resolver`.
    pub fn new(resolver: impl IntoResolver) -> Self {
        Self::with(Settings {
            resolver: resolver.into_resolver(),
            clock: Arc::new(SystemClock),
            ttl: Duration::from_secs(300),
            capacity: 1_000,
        })
    }

    /// Sets how long a result is cached (default: 5 minutes). With zero, only lookups in flight are shared.
    ///
    /// Returns a resolver with an empty cache of its own, so set this before the resolver is shared. The default bounds
    /// how long rotated keys are still returned.
    ///
    /// # Examples
    /// ```
    /// # use std::{sync::{Arc, atomic::{AtomicUsize, Ordering}}, time::Duration};
    /// # use valetkey_core::{CachedResolver, CredentialId, CredentialResolver, Credentials, resolver_fn};
    /// # use valetkey_core::{testing::ManualClock};
    /// # const TEXT: &str = r#"{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "example"}"#;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> valetkey_core::Result<()> {
    /// # let lookups = Arc::new(AtomicUsize::new(0));
    /// # let counter = lookups.clone();
    /// # let remote = resolver_fn("remote", move |_: CredentialId| {
    /// #     counter.fetch_add(1, Ordering::Relaxed);
    /// #     async { Credentials::from_json(TEXT, "remote") }
    /// # });
    /// let resolver = CachedResolver::new(remote).ttl(Duration::ZERO);
    /// for _ in 0..2 {
    ///     resolver.resolve(&"job-7".parse()?).await?;
    /// }
    /// assert_eq!(lookups.load(Ordering::Relaxed), 2);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        Self::with(Settings { ttl, ..self.0.settings().clone() })
    }

    /// Sets how many ids are cached at most (default: 1,000).
    ///
    /// Returns a resolver with an empty cache of its own. Refusals count as well, so the default also bounds the memory
    /// that a caller with many wrong ids can take.
    #[must_use]
    pub fn capacity(self, ids: usize) -> Self {
        Self::with(Settings { capacity: ids, ..self.0.settings().clone() })
    }

    /// Sets the source of wall time (default: the machine's clock).
    ///
    /// Returns a resolver with an empty cache of its own.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self::with(Settings { clock, ..self.0.settings().clone() })
    }

    /// Creates an empty cache.
    fn with(settings: Settings) -> Self {
        Self(Arc::new(ResolverCache::new(settings)))
    }
}

#[async_trait]
impl CredentialResolver for CachedResolver {
    fn name(&self) -> Cow<'static, str> {
        self.0.settings().resolver.name()
    }

    /// # Errors
    /// What the resolver answered, now or up to 5 s ago; `TimedOut` when it did not within 20 s; `Internal` when it
    /// panicked.
    async fn resolve(&self, id: &CredentialId) -> Result<Credentials> {
        loop {
            match self.0.get_or_look_up(id) {
                Next::Return(result) => return result,
                Next::Wait(lookup) => {
                    if let Some(result) = lookup.await {
                        return result;
                    }
                }
            }
        }
    }

    fn clear_cache(&self) {
        self.0.clear();
        self.0.settings().resolver.clear_cache();
    }
}

impl fmt::Debug for CachedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedResolver")
            .field("resolver", &self.0.settings().resolver)
            .finish_non_exhaustive()
    }
}
