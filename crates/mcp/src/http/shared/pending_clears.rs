//! `PendingClears`: clears that the store has not confirmed, kept until it does.
//!
//! | event | effect on a clear that is kept |
//! |---|---|
//! | the store is reached again | it is saved over whatever the record has |
//! | the session has ended in the store | it is forgotten |
//! | the session ends on this node only | it is kept |
//! | the longest lifetime of a session has passed | it is forgotten |
//! | this process ends | it is lost, as the documentation of operations says |

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use valetkey_store::{RecordId, SessionContents, StoreError};

use super::record::SessionRecord;
use super::status::Counted;

/// The clears that this node has to save. They outlive the session on this node, which may end before the store is
/// reached again; a session in the store is not opened before its clear is saved.
#[derive(Default)]
pub(super) struct PendingClears(Mutex<HashMap<RecordId, PendingClear>>);

struct PendingClear {
    record: Arc<SessionRecord>,
    /// The session as it is after the clear.
    contents: Arc<SessionContents>,
    added_at: Instant,
    _count: Counted,
}

impl PendingClears {
    /// Keeps a clear in place of an earlier one of the session.
    pub(super) fn insert(&self, record: &Arc<SessionRecord>, contents: SessionContents, count: Counted) {
        let (id, record, contents) = (record.id(), Arc::clone(record), Arc::new(contents));
        let clear = PendingClear { record, contents, added_at: Instant::now(), _count: count };
        self.0.lock().insert(id, clear);
    }

    /// Forgets the clear of a session: it was saved, or the session has ended.
    pub(super) fn remove(&self, id: RecordId) {
        self.0.lock().remove(&id);
    }

    /// Whether the clear of a session is not saved.
    pub(super) fn contains(&self, id: RecordId) -> bool {
        self.0.lock().contains_key(&id)
    }

    /// Fails while the clear of a session is not saved.
    pub(super) fn check(&self, id: RecordId) -> Result<(), StoreError> {
        if self.contains(id) {
            return Err(StoreError::Unavailable("a clear is not saved yet"));
        }
        Ok(())
    }

    /// Returns the records and their contents after the clears that are not older than `lifetime`. The sessions of the
    /// others have ended everywhere.
    pub(super) fn list(&self, lifetime: Duration) -> Vec<(Arc<SessionRecord>, Arc<SessionContents>)> {
        let mut pending = self.0.lock();
        pending.retain(|_, clear| clear.added_at.elapsed() < lifetime);
        pending.values().map(|clear| (Arc::clone(&clear.record), Arc::clone(&clear.contents))).collect()
    }
}
