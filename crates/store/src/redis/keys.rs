//! The names of keys. All keys of one shard have one hash slot.

use std::fmt;
use std::sync::Arc;

use crate::RecordId;

#[derive(Clone)]
pub(super) struct Keys {
    namespace: Arc<str>,
    shards: u8,
}

impl Keys {
    pub(super) fn new(namespace: &str, shards: u8) -> Self {
        Self { namespace: namespace.into(), shards }
    }

    pub(super) fn record(&self, id: RecordId) -> String {
        format!("{{{}:{}}}:s:{id}", self.namespace, self.shard(id))
    }

    /// The stream on which the changes of a record are reported.
    pub(super) fn events(&self, id: RecordId) -> String {
        self.events_of(self.shard(id))
    }

    /// The streams of all shards, in order.
    pub(super) fn all_events(&self) -> impl Iterator<Item = String> {
        (0..self.shards).map(|shard| self.events_of(shard))
    }

    pub(super) fn shards(&self) -> usize {
        usize::from(self.shards)
    }

    fn events_of(&self, shard: u8) -> String {
        format!("{{{}:{shard}}}:events", self.namespace)
    }

    /// Ids are random, so that one byte divides them evenly enough.
    fn shard(&self, id: RecordId) -> u8 {
        id.as_bytes()[0] % self.shards
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:0..{}", self.namespace, self.shards)
    }
}
