//! Events: what a store reports to all nodes, and the position up to which a node has read.

use std::sync::Arc;

use crate::{RecordGeneration, RecordId};

/// What a save changed, as far as other nodes have to distinguish it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// Credentials, accounts or the service context: other nodes read the record again before the next use.
    Rotated,
    /// Credentials were removed: other nodes stop using what they have at once.
    Cleared,
}

/// One change of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreEvent {
    /// The record was saved.
    Saved {
        /// The record.
        id: RecordId,
        /// Its new generation.
        generation: RecordGeneration,
        /// What the save changed.
        change: Change,
    },
    /// The record was closed.
    Closed {
        /// The record.
        id: RecordId,
    },
}

/// Up to where a node has read the events of a store. Only the store that returned it can read it.
///
/// # Examples
/// ```
/// # use valetkey_store::{MemoryStore, SessionStore};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), valetkey_store::StoreError> {
/// let position = MemoryStore::new().position().await?;
/// assert_eq!(position, position.clone());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePosition(Arc<str>);

impl StorePosition {
    /// Wraps the text of a position, for implementations of [`SessionStore`](crate::SessionStore).
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Events, and the position after them.
///
/// # Examples
/// ```
/// # use std::time::Duration;
/// # use valetkey_store::{ClientHandle, MemoryStore, SessionStore, StoreEvent};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let start = store.position().await?;
/// let id = ClientHandle::random()?.id();
/// store.close(id).await?;
///
/// let batch = store.events_since(&start, Duration::ZERO).await?;
/// assert_eq!(batch.events, [StoreEvent::Closed { id }]);
/// assert!(batch.is_complete);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct EventBatch {
    /// The events, in order for each record.
    pub events: Vec<StoreEvent>,
    /// The position after the events.
    pub position: StorePosition,
    /// Whether these are all events since the position that was given. If not, the store has dropped some, or another
    /// server has taken its place: compare [versions](crate::SessionStore::versions).
    pub is_complete: bool,
}
