//! DashMap: a map by key without expiry; `get`, and a clone of the value.

use std::sync::Arc;

use dashmap::DashMap;

use super::registry_key;
use crate::fake_source::UpstreamError;
use crate::payload::Payload;
use crate::subject::Subject;

pub(crate) struct DashMapGet {
    map: DashMap<String, Arc<Payload>>,
    key: String,
}

impl DashMapGet {
    /// Creates a map with `count` entries, and reads the middle one.
    pub(crate) fn with_entries(count: u64) -> Self {
        let map =
            (0..count).map(|number| (registry_key(number), Arc::new(Payload::with_number(number)))).collect();
        Self { map, key: registry_key(count / 2) }
    }
}

impl Subject for DashMapGet {
    type Fetched = Arc<Payload>;
    type FetchError = UpstreamError;

    async fn fetch(&self) -> Result<Arc<Payload>, UpstreamError> {
        self.map.get(self.key.as_str()).map(|found| Arc::clone(&found)).ok_or(UpstreamError)
    }
}
