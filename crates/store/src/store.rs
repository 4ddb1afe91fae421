//! `SessionStore`: the interface of a store that several nodes share, and what it reports.

mod error;
mod event;
mod lease;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::{RecordGeneration, RecordId, SealedRecord};

pub use error::StoreError;
pub use event::{Change, EventBatch, StoreEvent, StorePosition};
pub use lease::{Lease, LeaseOutcome, NodeId};

/// How long a record stays in a store. Measured by the clock of the store, so that the clocks of nodes may differ.
///
/// # Examples
/// ```
/// # use std::time::Duration;
/// # use valetkey_store::RecordLifetime;
/// // A quarter of an hour after the last call, and after a working day in any case.
/// let lifetime = RecordLifetime { idle: Duration::from_secs(900), total: Duration::from_secs(8 * 3_600) };
/// assert!(lifetime.idle < lifetime.total);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordLifetime {
    /// The time after which a record that no node touches ends.
    pub idle: Duration,
    /// The time after which it ends in any case.
    pub total: Duration,
}

/// What a store knows of the state of a record without opening it.
///
/// Generations alone do not show whether a store that has lost its last writes still has a clear: other nodes may have
/// saved as many generations since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordVersion {
    /// The generation of the record.
    pub generation: RecordGeneration,
    /// The generation of the last save that was a [clear](Change::Cleared).
    pub cleared: Option<RecordGeneration>,
}

/// Keeps sealed records, one per session, for several nodes.
///
/// A store does not open records and needs no trust beyond availability. [`MemoryStore`](crate::MemoryStore) is the
/// reference.
///
/// # Contract
/// 1. Operations on one record are atomic and have one order, which every node observes.
/// 2. [`create`](Self::create) never replaces a record, and [`save`](Self::save) only ever changes the record of the
///    generation that it expects. A record that was closed stays closed: no delayed `create` or `save` brings it back.
/// 3. A repeated `create` or `save` of the same record succeeds, so that a caller whose response was lost may repeat it.
/// 4. A record ends when it was not touched for its idle time, and at the end of its lifetime.
/// 5. Every save and close is an event. [`events_since`](Self::events_since) returns all events after a position, in
///    order for each record, or reports that some may be missing.
/// 6. A failure of the store is never [`StoreError::NoSession`]. After a transient error an operation may have taken
///    place.
/// 7. Every operation ends within the store's own timeout.
///
/// # Cancel safety
/// A dropped operation may have taken place, as after a transient error.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use valetkey_store::{
///     Change, ClientHandle, KeyRing, MemoryStore, RecordGeneration, RecordLifetime, RecordOwner, SessionStore, StoreError,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ring, handle) = (KeyRing::generate()?, ClientHandle::random()?);
/// let owner = RecordOwner::new("acme", "alice".parse()?);
/// let store = MemoryStore::new();
/// let lifetime = RecordLifetime { idle: Duration::from_secs(900), total: Duration::from_secs(28_800) };
///
/// // One node opens a session, another one changes it.
/// let first = ring.seal(&handle, &owner, RecordGeneration::FIRST, b"first")?;
/// store.create(handle.id(), &first, lifetime).await?;
///
/// let loaded = store.load(handle.id()).await?;
/// let next = ring.seal(&handle, &owner, loaded.generation().successor()?, b"second")?;
/// store.save(handle.id(), loaded.generation(), &next, Change::Rotated).await?;
///
/// // A third one has not noticed the change.
/// let stale = ring.seal(&handle, &owner, loaded.generation().successor()?, b"third")?;
/// let refused = store.save(handle.id(), loaded.generation(), &stale, Change::Rotated).await;
/// assert!(matches!(refused, Err(StoreError::Superseded { .. })));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync {
    /// Stores the record of a new session.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the id has another record, or had one that was closed; those of a failing store.
    async fn create(
        &self,
        id: RecordId,
        record: &SealedRecord,
        lifetime: RecordLifetime,
    ) -> Result<(), StoreError>;

    /// Returns the record of a session. This does not touch it.
    ///
    /// # Errors
    /// [`StoreError::NoSession`]; [`StoreError::Record`] for bytes that are no record; those of a failing store.
    async fn load(&self, id: RecordId) -> Result<SealedRecord, StoreError>;

    /// Replaces the record of generation `expected` by `record`, which has a later generation, and reports `change` to
    /// all nodes. The remaining time of the record stays the same, and a lease on it ends.
    ///
    /// The generation is usually the next one. It is a later one when a node stores again what a store has lost.
    ///
    /// # Errors
    /// [`StoreError::NoSession`]; [`StoreError::Superseded`] if the record has another generation; those of a failing
    /// store.
    async fn save(
        &self,
        id: RecordId,
        expected: RecordGeneration,
        record: &SealedRecord,
        change: Change,
    ) -> Result<(), StoreError>;

    /// Starts the idle time of a record again. Its end by lifetime stays the same.
    ///
    /// # Errors
    /// [`StoreError::NoSession`]; those of a failing store.
    async fn touch(&self, id: RecordId) -> Result<(), StoreError>;

    /// Removes a record and reports it to all nodes. An unknown id, and one that was closed before, are closed as well:
    /// no `create` of the id succeeds for an hour.
    ///
    /// # Errors
    /// Those of a failing store.
    async fn close(&self, id: RecordId) -> Result<(), StoreError>;

    /// Returns the version of each record, or `None` for a session that has ended.
    ///
    /// # Errors
    /// Those of a failing store.
    async fn versions(&self, ids: &[RecordId]) -> Result<Vec<Option<RecordVersion>>, StoreError>;

    /// Leases the refresh of generation `expected` to one node for `lifetime`. A node that has the lease already gets it
    /// again.
    ///
    /// The lease keeps other nodes from the same work. It does not have to be exact, since [`save`](Self::save) expects
    /// the leased generation: of two nodes that both believe they have the lease, only one saves.
    ///
    /// # Errors
    /// [`StoreError::NoSession`]; [`StoreError::Superseded`] if the record has another generation, which is the result
    /// of the refresh; those of a failing store.
    async fn lease(
        &self,
        id: RecordId,
        expected: RecordGeneration,
        node: NodeId,
        lifetime: Duration,
    ) -> Result<LeaseOutcome, StoreError>;

    /// Ends a lease early, after a refresh that failed. A lease that has ended is no error.
    ///
    /// # Errors
    /// Those of a failing store.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Returns the position after the latest event.
    ///
    /// # Errors
    /// Those of a failing store.
    async fn position(&self) -> Result<StorePosition, StoreError>;

    /// Returns the events after `position`, and waits up to `wait` for one.
    ///
    /// # Errors
    /// Those of a failing store. The position stays valid.
    async fn events_since(&self, position: &StorePosition, wait: Duration) -> Result<EventBatch, StoreError>;
}
