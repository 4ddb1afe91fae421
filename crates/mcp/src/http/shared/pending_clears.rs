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

/// The clears that this node has to save. They outlive the session on this node, which may end before the store is
/// reached again; a session in the store is not opened before its clear is saved.
#[derive(Default)]
pub(super) struct PendingClears(Mutex<HashMap<RecordId, PendingClear>>);

#[derive(Clone)]
pub(super) struct PendingClear {
    pub(super) record: Arc<SessionRecord>,
    /// The session as it is after the clear.
    pub(super) contents: Arc<SessionContents>,
    added_at: Instant,
}

impl PendingClears {
    /// Keeps a clear in place of an earlier one of the session.
    pub(super) fn insert(&self, record: &Arc<SessionRecord>, contents: SessionContents) {
        let (record, contents) = (Arc::clone(record), Arc::new(contents));
        let id = record.id();
        self.0.lock().insert(id, PendingClear { record, contents, added_at: Instant::now() });
    }

    /// Forgets the clear of a session: it was saved, or the session has ended.
    pub(super) fn remove(&self, id: RecordId) {
        self.0.lock().remove(&id);
    }

    /// Fails while the clear of a session is not saved.
    pub(super) fn check(&self, id: RecordId) -> Result<(), StoreError> {
        if self.0.lock().contains_key(&id) {
            return Err(StoreError::Unavailable("a clear is not saved yet"));
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Returns the clears that are not older than `lifetime`. The sessions of the others have ended everywhere.
    pub(super) fn list(&self, lifetime: Duration) -> Vec<PendingClear> {
        let mut pending = self.0.lock();
        pending.retain(|_, clear| clear.added_at.elapsed() < lifetime);
        pending.values().cloned().collect()
    }
}
