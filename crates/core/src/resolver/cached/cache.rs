//! `ResolverCache`: finished lookups by id, in moka, and the lookups in flight.
//!
//! moka evicts by its own clock, and drops values some time after they are removed. So a result is checked against the
//! resolver's clock when it is read, and it is emptied, secrets included, when it is evicted or cleared.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;

use crate::single_flight::{Callee, Flight, SingleFlight, call_isolated};
use crate::{Clock, CredentialId, CredentialResolver, Credentials, Error, ErrorKind, Result};

const LOOKUP_TIMEOUT: Duration = Duration::from_secs(20);
/// Credentials are not cached into the last minute before they expire.
const MIN_REMAINING: Duration = Duration::from_secs(60);

/// Fixed for the life of a cache: a changed setting begins an empty one.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) resolver: Arc<dyn CredentialResolver>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ttl: Duration,
    pub(super) capacity: usize,
}

/// A result is returned only while its epoch is the current one: after a clear, nothing that was looked up before is
/// read, even if moka still holds it.
pub(super) struct ResolverCache {
    settings: Settings,
    results: Cache<CredentialId, Arc<CachedResult>>,
    /// Evicted results. The cache calls its listener under locks of its own, where no foreign code may run, and an error
    /// may have a foreign cause: so they are emptied after the call to the cache.
    evicted: Arc<Mutex<Vec<Arc<CachedResult>>>>,
    lookups: Mutex<Lookups>,
}

#[derive(Default)]
struct Lookups {
    /// Moves when the cache is cleared: a lookup that was started before is not cached.
    epoch: u64,
    in_flight: HashMap<CredentialId, SingleFlight<LookupResult>>,
}

/// `None` when the runtime of the lookup's timeout is gone: a caller on another runtime starts another lookup.
type LookupResult = Option<Result<Credentials>>;

/// Shared with moka, which may keep it for some time after it was removed: so the secrets are taken out of it.
struct CachedResult {
    /// `None` once it was emptied.
    result: Mutex<Option<Result<Credentials>>>,
    stored_at: SystemTime,
    ttl: Duration,
    epoch: u64,
}

/// Evicts a result when its time is up by the machine's own clock, so that none lingers for want of a reader.
struct TtlExpiry;

impl Expiry<CredentialId, Arc<CachedResult>> for TtlExpiry {
    fn expire_after_create(
        &self,
        _id: &CredentialId,
        result: &Arc<CachedResult>,
        _created_at: Instant,
    ) -> Option<Duration> {
        Some(result.ttl)
    }

    fn expire_after_update(
        &self,
        _id: &CredentialId,
        result: &Arc<CachedResult>,
        _updated_at: Instant,
        _remaining: Option<Duration>,
    ) -> Option<Duration> {
        Some(result.ttl)
    }
}

/// What a caller does next.
pub(super) enum Next {
    Return(Result<Credentials>),
    Wait(Flight<LookupResult>),
}

impl ResolverCache {
    pub(super) fn new(settings: Settings) -> Self {
        let evicted = Arc::<Mutex<Vec<_>>>::default();
        let results = Cache::builder()
            .max_capacity(u64::try_from(settings.capacity).unwrap_or(u64::MAX))
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(TtlExpiry)
            .eviction_listener({
                let evicted = Arc::clone(&evicted);
                move |_id, result: Arc<CachedResult>, _cause| evicted.lock().push(result)
            })
            .build();
        Self { settings, results, evicted, lookups: Mutex::default() }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the cached result, or else the lookup in flight, or else a new one.
    pub(super) fn get_or_look_up(self: &Arc<Self>, id: &CredentialId) -> Next {
        let now = self.settings.clock.now();
        let mut lookups = self.lookups.lock();
        let cached = self.results.get(id).and_then(|cached| cached.get(now, lookups.epoch));
        if let Some(result) = cached {
            return Next::Return(result);
        }
        if let Some(lookup) = lookups.in_flight.get(id).and_then(SingleFlight::in_flight) {
            return Next::Wait(lookup);
        }
        lookups.in_flight.retain(|_, lookup| lookup.in_flight().is_some());
        let lookup = Arc::clone(self).look_up(id.clone(), lookups.epoch);
        Next::Wait(lookups.in_flight.entry(id.clone()).or_default().start(lookup))
    }

    /// Empties every cached result. A lookup in flight still returns to its callers, and is not cached.
    pub(super) fn clear(&self) {
        let mut lookups = self.lookups.lock();
        lookups.epoch += 1;
        let abandoned = std::mem::take(&mut lookups.in_flight);
        drop(lookups);
        drop(abandoned);
        let cached: Vec<_> = self.results.iter().map(|(_, result)| result).collect();
        cached.iter().for_each(|result| result.empty());
        self.results.invalidate_all();
        self.settle();
    }

    /// Stores the result before the lookup is removed from those in flight: a caller that comes in between joins the
    /// lookup or reads the result, and does not start another one. After a clear, the place in `in_flight` may belong
    /// to a newer lookup, and stays.
    async fn look_up(self: Arc<Self>, id: CredentialId, epoch: u64) -> LookupResult {
        let resolver = &self.settings.resolver;
        let callee = Callee { role: "resolver", name: || resolver.name() };
        let result = call_isolated(callee, LOOKUP_TIMEOUT, async { resolver.resolve(&id).await }).await;
        if let Some(result) = &result {
            self.store(&id, epoch, result);
        }
        let mut lookups = self.lookups.lock();
        if lookups.epoch == epoch {
            lookups.in_flight.remove(&id);
        }
        drop(lookups);
        result
    }

    /// Stores a result for its time, unless the cache was cleared since the lookup began. Refusals are stored for a
    /// random time, so that callers that were refused together do not repeat the lookup together.
    fn store(&self, id: &CredentialId, epoch: u64, result: &Result<Credentials>) {
        let stored_at = self.settings.clock.now();
        let ttl = match result {
            Ok(credentials) => ttl_of(credentials, self.settings.ttl, stored_at),
            Err(error) if is_refusal(error) => Duration::from_millis(fastrand::u64(1_000..=5_000)),
            Err(_) => Duration::ZERO,
        };
        if ttl.is_zero() || self.lookups.lock().epoch != epoch {
            return;
        }
        let cached =
            Arc::new(CachedResult { result: Mutex::new(Some(result.clone())), stored_at, ttl, epoch });
        self.results.insert(id.clone(), Arc::clone(&cached));
        self.settle();
        // A clear that came in between did not see this result.
        if self.lookups.lock().epoch != epoch {
            cached.empty();
        }
    }

    /// Applies the capacity now, and empties what was evicted. The caller holds no lock.
    fn settle(&self) {
        self.results.run_pending_tasks();
        let evicted = std::mem::take(&mut *self.evicted.lock());
        evicted.iter().for_each(|result| result.empty());
    }
}

impl CachedResult {
    /// Returns the result unless its time is up. A clock that was set back ends it too.
    fn get(&self, now: SystemTime, epoch: u64) -> Option<Result<Credentials>> {
        let is_current = now.duration_since(self.stored_at).is_ok_and(|age| age < self.ttl);
        if is_current && self.epoch == epoch { self.result.lock().clone() } else { None }
    }

    /// Drops the result outside of its lock: an error may have a cause whose `Drop` is foreign code.
    fn empty(&self) {
        let result = self.result.lock().take();
        drop(result);
    }
}

/// Returns how long credentials may be returned. Zero, which means that they are not stored, shortly before they
/// expire.
fn ttl_of(credentials: &Credentials, ttl: Duration, now: SystemTime) -> Duration {
    match credentials.expiry().remaining(now) {
        Some(remaining) => ttl.min(remaining.saturating_sub(MIN_REMAINING)),
        None => ttl,
    }
}

/// Whether another lookup of the id would only repeat the failure, or prompt a person again.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Denied | ErrorKind::Invalid | ErrorKind::InteractionRequired)
}

#[cfg(test)]
#[cfg(not(valetkey_loom))]
mod tests {
    use std::borrow::Cow;
    use std::sync::Weak;

    use async_trait::async_trait;

    use super::*;
    use crate::cache::Sentinel;
    use crate::credentials::CredentialsInner;
    use crate::testing::ManualClock;

    /// Returns new credentials for every lookup, and does not keep them alive.
    #[derive(Clone, Default)]
    struct SourceFixture(Arc<Mutex<Vec<Weak<CredentialsInner>>>>);

    impl SourceFixture {
        fn issue(&self) -> Credentials {
            let inner = CredentialsInner::sentinel();
            self.0.lock().push(Arc::downgrade(&inner));
            Credentials::from_arc(inner)
        }

        /// Returns how many of the issued credentials still exist.
        fn alive_count(&self) -> usize {
            self.0.lock().iter().filter(|inner| inner.strong_count() > 0).count()
        }
    }

    impl std::fmt::Debug for SourceFixture {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("SourceFixture")
        }
    }

    #[async_trait]
    impl CredentialResolver for SourceFixture {
        fn name(&self) -> Cow<'static, str> {
            "source".into()
        }

        async fn resolve(&self, _: &CredentialId) -> Result<Credentials> {
            Ok(self.issue())
        }
    }

    fn cache(capacity: usize) -> (SourceFixture, Arc<ResolverCache>) {
        let source = SourceFixture::default();
        let settings = Settings {
            resolver: Arc::new(source.clone()),
            clock: Arc::new(ManualClock::new()),
            ttl: Duration::from_secs(300),
            capacity,
        };
        (source, Arc::new(ResolverCache::new(settings)))
    }

    async fn look_up(cache: &Arc<ResolverCache>, ids: std::ops::Range<usize>) {
        for id in ids {
            if let Next::Wait(lookup) = cache.get_or_look_up(&credential_id(id)) {
                lookup.await.unwrap().unwrap();
            }
        }
    }

    /// Returns the results that the cache holds. A test that keeps them does what moka does for some time.
    fn hold_results(cache: &ResolverCache) -> Vec<Arc<CachedResult>> {
        cache.results.iter().map(|(_, result)| result).collect()
    }

    fn credential_id(number: usize) -> CredentialId {
        format!("id-{number}").parse().unwrap()
    }

    #[tokio::test]
    async fn resolver_cache_clear_empties_results_held_by_moka() {
        let (source, cache) = cache(1_000);
        look_up(&cache, 0..600).await;
        let held = hold_results(&cache);
        assert_eq!((held.len(), source.alive_count()), (600, 600));
        cache.clear();
        assert_eq!((held.len(), source.alive_count()), (600, 0));
    }

    #[tokio::test]
    async fn resolver_cache_clear_empties_results_expired_in_moka() {
        let (source, cache) = cache(1_000);
        for id in 0..50 {
            let result = Mutex::new(Some(Ok(source.issue())));
            let stored_at = cache.settings.clock.now();
            let expired = CachedResult { result, stored_at, ttl: Duration::from_nanos(1), epoch: 0 };
            cache.results.insert(credential_id(id), Arc::new(expired));
        }
        assert_eq!((hold_results(&cache).len(), source.alive_count()), (0, 50), "expired and not evicted");
        cache.clear();
        assert_eq!(source.alive_count(), 0);
    }

    #[tokio::test]
    async fn resolver_cache_eviction_empties_held_results() {
        let (source, cache) = cache(100);
        look_up(&cache, 0..100).await;
        let held = hold_results(&cache);
        look_up(&cache, 100..250).await;
        assert_eq!((held.len(), source.alive_count()), (100, 100), "at most the capacity");
        assert!(held.iter().all(|result| result.result.lock().is_none()), "the first are all evicted");
    }
}
