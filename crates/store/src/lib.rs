//! Keeps the sessions of several nodes in one store, sealed so that a copy of the store opens nothing.
//!
//! A record of a session opens only with three things together: the [`KeyRing`] of the nodes, the [`ClientHandle`] that
//! the client keeps, and the owner that the node has verified. The store has none of them.
//!
//! # Examples
//! ```
//! use valetkey_store::{ClientHandle, KeyRing, RecordGeneration, RecordOwner};
//!
//! let ring = KeyRing::generate()?;
//! let handle = ClientHandle::random()?;
//! let owner = RecordOwner::new("acme", "alice".parse()?);
//! let sealed = ring.seal(&handle, &owner, RecordGeneration::FIRST, b"contents")?;
//!
//! let another = ClientHandle::random()?;
//! assert!(ring.open(&another, &owner, &sealed).is_err());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod client_handle;
mod contents;
mod error;
mod key_ring;
mod known_sessions;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod sealing;
mod store;
#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub mod testing;

pub use client_handle::{ClientHandle, RecordId};
pub use contents::{AccountContents, CredentialSource, IssuedCredentials, SessionContents, StoredNarrowing};
pub use error::RecordError;
pub use key_ring::{KeyRing, Term};
pub use known_sessions::{KnownSessions, SessionNotice};
pub use memory::MemoryStore;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use redis::{RedisStore, RedisStoreBuilder};
pub use sealing::{MAX_CONTENTS, RecordGeneration, RecordOwner, SealedRecord};
pub use store::{
    Change, EventBatch, Lease, LeaseOutcome, NodeId, RecordLifetime, RecordVersion, SessionStore, StoreError,
    StoreEvent, StorePosition,
};

/// Compiles the Rust code in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
