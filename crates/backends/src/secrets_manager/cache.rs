//! `SecretCache`: what each secret held when it was last read, kept to spare the transfer while its version stays.
//!
//! Not a cache that answers by itself: before a payload is used, the secret is asked whether its version moved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, MutexGuard};
use valetkey_core::{AccessKeyId, Clock, Credentials};

/// How many secrets are kept at most; beyond that the one read longest ago goes.
const MAX_CACHED_SECRETS: usize = 1_000;
/// After this, a secret is read again even if its version stays: whoever may no longer read it learns of it.
const MAX_AGE: Duration = Duration::from_secs(3_600);
/// For how long what was prefetched is taken for current.
const PREFETCH_TTL: Duration = Duration::from_secs(60);

/// The one version of the one secret that a payload was read from.
#[derive(Clone)]
pub(super) struct VersionKey {
    /// A secret that is deleted and made anew under its name has another one.
    pub(super) arn: String,
    pub(super) version_id: String,
}

/// What is known of a secret.
#[derive(Clone)]
pub(super) enum CachedSecret {
    Fetched(VersionKey, Credentials),
    /// Read a moment ago, for the one who comes next: it needs no check.
    Prefetched(VersionKey, Credentials),
    /// Its reader may get it but not describe it.
    DescribeDenied,
}

pub(super) struct SecretCache {
    clock: Arc<dyn Clock>,
    state: Mutex<CacheState>,
}

#[derive(Default)]
struct CacheState {
    /// Moves when everything is forgotten; a read begun before keeps nothing.
    epoch: u64,
    entries: BTreeMap<String, CacheEntry>,
}

struct CacheEntry {
    /// Whoever read it. Nobody else gets it.
    reader: AccessKeyId,
    stored_at: SystemTime,
    secret: CachedSecret,
}

impl SecretCache {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Begins a read of one secret by one identity.
    pub(super) fn slot<'a>(&'a self, secret_id: &'a str, reader: &'a AccessKeyId) -> CacheSlot<'a> {
        CacheSlot { cache: self, secret_id, reader, epoch: self.lock_state().epoch }
    }

    pub(super) fn clear(&self) {
        let mut state = self.lock_state();
        state.epoch += 1;
        state.entries.clear();
    }

    fn lock_state(&self) -> MutexGuard<'_, CacheState> {
        self.state.lock()
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
    /// What is known. What another identity read, or was read too long ago, is dropped.
    pub(super) fn lookup(&self) -> Option<CachedSecret> {
        let now = self.cache.clock.now();
        let mut state = self.cache.lock_state();
        let entry = state.entries.get_mut(self.secret_id)?;
        let Some(age) = entry.age(now).filter(|_| entry.reader == *self.reader) else {
            state.entries.remove(self.secret_id);
            return None;
        };
        let known = entry.secret.clone();
        if let CachedSecret::Prefetched(stamp, credentials) = &known {
            entry.secret = CachedSecret::Fetched(stamp.clone(), credentials.clone());
        }
        Some(if age < PREFETCH_TTL { known } else { entry.secret.clone() })
    }

    /// Keeps it, unless all was forgotten since the read began.
    pub(super) fn store(&self, content: CachedSecret) {
        let now = self.cache.clock.now();
        let entry = CacheEntry { reader: self.reader.clone(), stored_at: now, secret: content };
        let mut state = self.cache.lock_state();
        if state.epoch != self.epoch {
            return;
        }
        state.entries.retain(|_, entry| entry.age(now).is_some());
        if state.entries.len() >= MAX_CACHED_SECRETS && !state.entries.contains_key(self.secret_id) {
            let oldest =
                state.entries.iter().min_by_key(|(_, entry)| entry.stored_at).map(|(id, _)| id.clone());
            oldest.and_then(|oldest| state.entries.remove(&oldest));
        }
        state.entries.insert(self.secret_id.to_owned(), entry);
    }

    pub(super) fn evict(&self) {
        self.cache.lock_state().entries.remove(self.secret_id);
    }
}

impl CacheEntry {
    /// `None` once it is too old. A clock that jumped back ends it too.
    fn age(&self, now: SystemTime) -> Option<Duration> {
        now.duration_since(self.stored_at).ok().filter(|age| *age < MAX_AGE)
    }
}
