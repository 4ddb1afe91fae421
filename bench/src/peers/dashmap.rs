//! DashMap: a map by key without any notion of expiry; `get`, and a clone of what is there.

use std::sync::Arc;

use dashmap::DashMap;

use super::key;
use crate::payload::Payload;
use crate::subject::Subject;
use crate::upstream::Refused;

pub(crate) struct Get {
    map: DashMap<String, Arc<Payload>>,
    key: String,
}

impl Get {
    /// The middle one of so many.
    pub(crate) fn among(count: u64) -> Self {
        let map = (0..count).map(|number| (key(number), Arc::new(Payload::numbered(number)))).collect();
        Self { map, key: key(count / 2) }
    }
}

impl Subject for Get {
    type Set = Arc<Payload>;
    type Fault = Refused;

    async fn fetch(&self) -> Result<Arc<Payload>, Refused> {
        self.map.get(self.key.as_str()).map(|found| Arc::clone(&found)).ok_or(Refused)
    }
}
