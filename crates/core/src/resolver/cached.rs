//! `CachedResolver`: answers by id, kept for a while, so that many who ask at once ask once.

mod cache;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{Clock, CredentialId, CredentialResolver, Credentials, IntoResolver, Result, SystemClock};

use cache::{Next, ResolverCache, Settings};

/// Keeps what another resolver answers, for resolvers whose every lookup is a call.
///
/// - An answer is kept for 5 min, and never into the last minute before it expires.
/// - A refusal (`Denied`, `Invalid`) is kept for 1 to 5 s, drawn at random; no other failure is kept.
/// - However many ask for one id at once, one lookup is made, which any of them drives: a caller that is dropped or not
///   polled holds up nobody, and a lookup that nobody waits for any more ends.
/// - At most 1,000 ids are kept; beyond that the oldest goes.
///
/// What it keeps is wiped by [`clear_cache`](CredentialResolver::clear_cache); a lookup under way then still answers whoever
/// waits for it, and is not kept.
///
/// An answer may be five minutes old: keys that were rotated meanwhile are adopted as they were. A resolver that asks
/// its source cheaply whether anything changed, as the one for Secrets Manager does, is better left as it is. Clones
/// share what is kept.
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
    /// Keeps the answers of `resolver`.
    pub fn new(resolver: impl IntoResolver) -> Self {
        Self::with(Settings {
            resolver: resolver.into_resolver(),
            clock: Arc::new(SystemClock),
            ttl: Duration::from_secs(300),
            capacity: 1_000,
        })
    }

    /// Sets how long a result is cached (default: 5 minutes). With zero, only lookups in flight are shared.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        Self::with(Settings { ttl, ..self.0.settings().clone() })
    }

    /// Sets how many ids are cached at most (default: 1,000).
    #[must_use]
    pub fn capacity(self, ids: usize) -> Self {
        Self::with(Settings { capacity: ids, ..self.0.settings().clone() })
    }

    /// Sets the source of wall time (default: the machine's clock).
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self::with(Settings { clock, ..self.0.settings().clone() })
    }

    /// Nothing is kept yet.
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
