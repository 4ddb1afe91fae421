//! Leases: one node at a time refreshes a session.

use std::fmt;
use std::time::Duration;

use data_encoding::HEXLOWER;
use valetkey_core::Error;

use crate::client_handle::fill_random;
use crate::{RecordGeneration, RecordId};

/// Identifies a node for as long as its process runs.
///
/// # Examples
/// ```
/// # use valetkey_store::NodeId;
/// assert_ne!(NodeId::random()?, NodeId::random()?);
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId([u8; 16]);

impl NodeId {
    /// Creates a random id.
    ///
    /// # Errors
    /// `Internal` when the operating system has no randomness.
    pub fn random() -> Result<Self, Error> {
        let mut id = [0; 16];
        fill_random(&mut id)?;
        Ok(Self(id))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

/// The right to refresh one generation of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The record.
    pub id: RecordId,
    /// The generation that the refresh replaces: the one that its save expects.
    pub generation: RecordGeneration,
    /// The node that has the lease.
    pub node: NodeId,
}

/// What became of a request for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// The node has the lease: it refreshes, and saves.
    Granted(Lease),
    /// Another node has it: wait for its event, at most this long, and request again.
    Held {
        /// The remaining time of the lease.
        remaining: Duration,
    },
}
