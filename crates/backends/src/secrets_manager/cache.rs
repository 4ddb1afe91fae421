//! `SecretCache`: the payload of each secret, kept while its version stays the same, so that it is not transferred again.
//!
//! A payload is used only after the secret's version has been checked. moka holds the entries, and applies the capacity
//! and the maximum age. It evicts by its own clock and may hold a value after its removal. So an entry is checked against
//! the provider's clock when it is read, and is emptied, secrets included, when it is evicted, replaced or cleared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;
use valetkey_core::{AccessKeyId, Clock, Credentials};

/// The capacity. Beyond it, the least recently used secret is evicted.
const MAX_CACHED_SECRETS: u64 = 1_000;
/// The age at which a secret is fetched again even if its version stays the same, so that an identity that lost its
/// permission to read the secret finds out.
const MAX_AGE: Duration = Duration::from_secs(3_600);
/// How long a prefetched secret is used without a check of its version.
const PREFETCH_TTL: Duration = Duration::from_secs(60);

/// The secret and the version that a payload belongs to.
#[derive(Clone)]
pub(super) struct VersionKey {
    /// Differs if a secret was deleted and created again with the same name.
    pub(super) arn: String,
    pub(super) version_id: String,
}

#[derive(Clone)]
pub(super) enum CachedSecret {
    Fetched(VersionKey, Credentials),
    /// The first read within [`PREFETCH_TTL`] needs no check.
    Prefetched(VersionKey, Credentials),
    /// The reader may get the secret, but may not describe it.
    DescribeDenied,
}

pub(super) struct SecretCache {
    clock: Arc<dyn Clock>,
    /// Changes when the cache is cleared: a read that started before is not stored, and its entry is not used.
    epoch: AtomicU64,
    entries: Cache<String, Arc<CacheEntry>>,
}

struct CacheEntry {
    /// The identity that read the secret. No other identity gets the entry.
    reader: AccessKeyId,
    stored_at: SystemTime,
    epoch: u64,
    /// `None` once the entry was emptied.
    secret: Mutex<Option<CachedSecret>>,
}

impl SecretCache {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let entries = Cache::builder()
            .max_capacity(MAX_CACHED_SECRETS)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(MAX_AGE)
            .eviction_listener(|_secret_id, entry: Arc<CacheEntry>, _cause| entry.empty())
            .build();
        Self { clock, epoch: AtomicU64::new(0), entries }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Starts a read of one secret by one identity.
    pub(super) fn slot<'a>(&'a self, secret_id: &'a str, reader: &'a AccessKeyId) -> CacheSlot<'a> {
        CacheSlot { cache: self, secret_id, reader, epoch: self.epoch() }
    }

    /// Empties all entries. Reads in progress return to their callers, and are not stored.
    pub(super) fn clear(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.entries.iter().for_each(|(_, entry)| entry.empty());
        self.entries.invalidate_all();
        self.entries.run_pending_tasks();
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    fn evict(&self, secret_id: &str) {
        self.entries.invalidate(secret_id);
        self.entries.run_pending_tasks();
    }
}

/// One read of one secret by one identity.
pub(super) struct CacheSlot<'a> {
    cache: &'a SecretCache,
    pub(super) secret_id: &'a str,
    reader: &'a AccessKeyId,
    epoch: u64,
}

impl CacheSlot<'_> {
    /// Returns the cached secret. Evicts the entry of another identity, and one that is too old.
    pub(super) fn lookup(&self) -> Option<CachedSecret> {
        let entry = self.cache.entries.get(self.secret_id)?;
        let age = entry.age(self.cache.clock.now());
        let Some(age) = age.filter(|_| entry.reader == *self.reader && entry.epoch == self.epoch) else {
            self.evict();
            return None;
        };
        entry.read(age < PREFETCH_TTL)
    }

    /// Stores the secret, unless the cache was cleared since the read started.
    pub(super) fn store(&self, secret: CachedSecret) {
        if self.cache.epoch() != self.epoch {
            return;
        }
        let entry = Arc::new(CacheEntry {
            reader: self.reader.clone(),
            stored_at: self.cache.clock.now(),
            epoch: self.epoch,
            secret: Mutex::new(Some(secret)),
        });
        self.cache.entries.insert(self.secret_id.to_owned(), Arc::clone(&entry));
        self.cache.entries.run_pending_tasks();
        // A concurrent `clear` may have missed the entry.
        if self.cache.epoch() != self.epoch {
            entry.empty();
        }
    }

    pub(super) fn evict(&self) {
        self.cache.evict(self.secret_id);
    }
}

impl CacheEntry {
    /// Returns the age; `None` if it exceeds the maximum, or if the clock was set back.
    fn age(&self, now: SystemTime) -> Option<Duration> {
        now.duration_since(self.stored_at).ok().filter(|age| *age < MAX_AGE)
    }

    /// Returns the secret. A prefetched secret counts as prefetched for one read, if `is_fresh`.
    fn read(&self, is_fresh: bool) -> Option<CachedSecret> {
        let mut secret = self.secret.lock();
        let cached = secret.clone()?;
        if let CachedSecret::Prefetched(version, credentials) = &cached {
            let fetched = CachedSecret::Fetched(version.clone(), credentials.clone());
            *secret = Some(fetched.clone());
            return Some(if is_fresh { cached } else { fetched });
        }
        Some(cached)
    }

    fn empty(&self) {
        let secret = self.secret.lock().take();
        drop(secret);
    }
}

#[cfg(test)]
mod tests {
    use valetkey_core::testing::ManualClock;
    use valetkey_core::{Result, SecretString};

    use super::*;

    fn store(cache: &SecretCache, secret_id: &str, reader: &AccessKeyId) -> Result<()> {
        let version = VersionKey { arn: secret_id.to_owned(), version_id: "1".to_owned() };
        let credentials = Credentials::builder(reader.clone(), SecretString::from("secret")).build()?;
        cache.slot(secret_id, reader).store(CachedSecret::Fetched(version, credentials));
        Ok(())
    }

    fn is_empty(entry: Option<&Arc<CacheEntry>>) -> Option<bool> {
        entry.map(|entry| entry.secret.lock().is_none())
    }

    /// A reference to the entry stands for moka, which may hold an entry after its removal.
    #[test]
    fn secret_cache_lingering_entry_is_emptied() -> Result<()> {
        let reader = "AKIAIOSFODNN7EXAMPLE".parse()?;
        type Removal = fn(&SecretCache, &AccessKeyId) -> Result<()>;
        let removals: [(&str, Removal); 4] = [
            ("clear", |cache, _| {
                cache.clear();
                Ok(())
            }),
            ("evict", |cache, reader| {
                cache.slot("agent", reader).evict();
                Ok(())
            }),
            ("replace", |cache, reader| store(cache, "agent", reader)),
            ("capacity", |cache, reader| {
                (0..=MAX_CACHED_SECRETS).try_for_each(|n| store(cache, &format!("other-{n}"), reader))
            }),
        ];
        for (removal, remove) in removals {
            let cache = SecretCache::new(Arc::new(ManualClock::new()));
            store(&cache, "agent", &reader)?;
            let lingering = cache.entries.get("agent");
            assert_eq!(is_empty(lingering.as_ref()), Some(false), "{removal}");
            remove(&cache, &reader)?;
            assert_eq!(is_empty(lingering.as_ref()), Some(true), "{removal}");
        }
        Ok(())
    }

    #[test]
    fn secret_cache_keeps_at_most_its_capacity() -> Result<()> {
        let reader = "AKIAIOSFODNN7EXAMPLE".parse()?;
        let cache = SecretCache::new(Arc::new(ManualClock::new()));
        for n in 0..MAX_CACHED_SECRETS + 10 {
            store(&cache, &n.to_string(), &reader)?;
        }
        assert_eq!(cache.entries.entry_count(), MAX_CACHED_SECRETS);
        assert!(cache.slot("0", &reader).lookup().is_none(), "the least recently used secret is evicted");
        assert!(cache.slot("1009", &reader).lookup().is_some(), "the newest secret is kept");
        Ok(())
    }
}
