//! The requirements of [`SessionStore`] as a test suite for any implementation.
//!
//! # Examples
//! ```
//! use valetkey_store::{MemoryStore, testing};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let faults = testing::faults(&MemoryStore::new()).await;
//! assert!(faults.is_empty(), "{faults:#?}");
//! # }
//! ```

mod events;
mod leases;
mod records;

use std::time::Duration;

use crate::{
    ClientHandle, KeyRing, RecordGeneration, RecordId, RecordLifetime, RecordOwner, SealedRecord,
    SessionStore,
};

/// What a check found, if it found a fault.
type Verdict = Result<(), String>;

/// How long a check waits for something that ends by itself.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(3_600);
const LASTING: RecordLifetime = RecordLifetime { idle: LONG, total: LONG };

/// Checks `store` against the clauses of [`SessionStore`] that can be observed from outside, and returns those that it
/// violates. The records of the suite have random ids; a store in use is not disturbed.
///
/// Must be called in a tokio runtime with time enabled.
pub async fn faults(store: &dyn SessionStore) -> Vec<String> {
    let groups = [records::faults(store).await, leases::faults(store).await, events::faults(store).await];
    groups.into_iter().flatten().collect()
}

/// A session of the suite, whose records can be sealed for any generation.
struct Subject {
    ring: KeyRing,
    handle: ClientHandle,
    owner: RecordOwner,
}

impl Subject {
    fn new() -> Result<Self, String> {
        let principal = "alice".parse().map_err(describe)?;
        Ok(Self {
            ring: KeyRing::generate().map_err(describe)?,
            handle: ClientHandle::random().map_err(describe)?,
            owner: RecordOwner::new("contract", principal),
        })
    }

    /// Creates the record of a new session.
    async fn created(store: &dyn SessionStore, lifetime: RecordLifetime) -> Result<Self, String> {
        let subject = Self::new()?;
        let first = subject.seal(1, "first")?;
        store.create(subject.id(), &first, lifetime).await.map_err(describe)?;
        Ok(subject)
    }

    const fn id(&self) -> RecordId {
        self.handle.id()
    }

    fn seal(&self, generation: u64, contents: &str) -> Result<SealedRecord, String> {
        let generation = RecordGeneration::new(generation);
        self.ring.seal(&self.handle, &self.owner, generation, contents.as_bytes()).map_err(describe)
    }
}

fn describe(error: impl std::fmt::Display) -> String {
    format!("a step failed: {error}")
}

/// Fails with the clause when the condition does not hold.
fn require(holds: bool, clause: &str) -> Verdict {
    if holds { Ok(()) } else { Err(clause.to_owned()) }
}

fn collect(verdicts: impl IntoIterator<Item = Verdict>) -> Vec<String> {
    verdicts.into_iter().filter_map(Result::err).collect()
}
