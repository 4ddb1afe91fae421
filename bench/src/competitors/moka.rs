//! moka: a cache by key with a time to live; `get`, and `try_get_with`, which fetches once for all waiting callers.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use super::registry_key;
use crate::Result;
use crate::fake_source::{LIFETIME, Upstream, UpstreamError};
use crate::payload::Payload;
use crate::subject::{Peer, Subject};

/// Creates a cache with the keys of a session registry.
pub(crate) fn build_cache(time_to_live: Duration) -> Cache<String, Arc<Payload>> {
    Cache::builder().max_capacity(1_000_000).time_to_live(time_to_live).build()
}

/// `get` of a present key.
pub(crate) struct MokaGet {
    cache: Cache<String, Arc<Payload>>,
    key: String,
}

impl MokaGet {
    /// Creates a cache with `count` entries, and reads the middle one.
    pub(crate) async fn with_entries(count: u64) -> Self {
        let cache = build_cache(LIFETIME);
        for number in 0..count {
            cache.insert(registry_key(number), Arc::new(Payload::with_number(number))).await;
        }
        cache.run_pending_tasks().await;
        Self { cache, key: registry_key(count / 2) }
    }
}

impl Subject for MokaGet {
    type Fetched = Arc<Payload>;
    type FetchError = UpstreamError;

    async fn fetch(&self) -> std::result::Result<Arc<Payload>, UpstreamError> {
        self.cache.get(self.key.as_str()).await.ok_or(UpstreamError)
    }
}

/// `try_get_with`, which fetches a missing key.
pub(crate) struct MokaTryGetWith {
    cache: Cache<String, Arc<Payload>>,
    key: String,
    upstream: Upstream,
}

impl Subject for MokaTryGetWith {
    type Fetched = Arc<Payload>;
    type FetchError = Arc<UpstreamError>;

    async fn fetch(&self) -> std::result::Result<Arc<Payload>, Arc<UpstreamError>> {
        let ask = async { Ok(Arc::new(self.upstream.call().await?.payload)) };
        self.cache.try_get_with_by_ref(self.key.as_str(), ask).await
    }
}

impl Peer for MokaTryGetWith {
    const NAME: &'static str = "moka try_get_with";
    const STALE_LIFETIME: Option<Duration> = None;

    async fn setup(upstream: Upstream) -> Result<Self> {
        // All entries share one time to live: the lifetime of the first credentials.
        let time_to_live = upstream.first_lifetime().unwrap_or(LIFETIME);
        Ok(Self { cache: build_cache(time_to_live), key: registry_key(0), upstream })
    }
}
