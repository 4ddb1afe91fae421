//! moka: a cache by key, with a time to live; `get`, and `try_get_with`, which fetches once for all who wait.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use super::key;
use crate::Result;
use crate::payload::Payload;
use crate::subject::{Peer, Subject};
use crate::upstream::{HOUR, Refused, Upstream};

/// A cache as a registry of sessions would have it.
pub(crate) fn cache(time_to_live: Duration) -> Cache<String, Arc<Payload>> {
    Cache::builder().max_capacity(1_000_000).time_to_live(time_to_live).build()
}

/// `get`, of a key that is there.
pub(crate) struct Get {
    cache: Cache<String, Arc<Payload>>,
    key: String,
}

impl Get {
    /// The middle one of so many.
    pub(crate) async fn among(count: u64) -> Self {
        let cache = cache(HOUR);
        for number in 0..count {
            cache.insert(key(number), Arc::new(Payload::numbered(number))).await;
        }
        cache.run_pending_tasks().await;
        Self { cache, key: key(count / 2) }
    }
}

impl Subject for Get {
    type Set = Arc<Payload>;
    type Fault = Refused;

    async fn fetch(&self) -> std::result::Result<Arc<Payload>, Refused> {
        self.cache.get(self.key.as_str()).await.ok_or(Refused)
    }
}

/// `try_get_with`, of a key that may have to be fetched.
pub(crate) struct TryGetWith {
    cache: Cache<String, Arc<Payload>>,
    key: String,
    upstream: Upstream,
}

impl Subject for TryGetWith {
    type Set = Arc<Payload>;
    type Fault = Arc<Refused>;

    async fn fetch(&self) -> std::result::Result<Arc<Payload>, Arc<Refused>> {
        let ask = async { Ok(Arc::new(self.upstream.ask().await?.payload)) };
        self.cache.try_get_with_by_ref(self.key.as_str(), ask).await
    }
}

impl Peer for TryGetWith {
    const NAME: &'static str = "moka try_get_with";
    const BORN_STALE: Option<Duration> = None;

    async fn open(upstream: Upstream) -> Result<Self> {
        // The cache has one time to live for all: that of the first set.
        let time_to_live = upstream.first_lifetime().unwrap_or(HOUR);
        Ok(Self { cache: cache(time_to_live), key: key(0), upstream })
    }
}
