//! `[store]`: where several gateways keep their sessions.

use std::num::NonZeroU64;
use std::path::PathBuf;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{SESSION_SECTIONS, Settings};

/// The store of the sessions of `serve --http`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    not(feature = "redis"),
    allow(dead_code, reason = "a build without the feature refuses the section")
)]
pub(crate) struct StoreSettings {
    /// `redis://` or `rediss://`, without a user and a password.
    pub(crate) url: String,
    pub(crate) username: Option<String>,
    /// The environment variable with the password.
    pub(crate) password_env: Option<String>,
    /// The file with the password.
    pub(crate) password_file: Option<PathBuf>,
    /// What distinguishes the keys of this fleet (default: `valetkey`).
    pub(crate) namespace: Option<String>,
    /// The environment variable with the document of the key ring.
    pub(crate) key_ring_env: Option<String>,
    /// The file with that document.
    pub(crate) key_ring_file: Option<PathBuf>,
    /// The ARN of the key of AWS KMS that has encrypted the document.
    pub(crate) key_ring_kms_key: Option<String>,
    /// The file with the certificates that the server's certificate must descend from, as PEM.
    pub(crate) root_certificates: Option<PathBuf>,
    /// The time that one operation takes at most.
    pub(crate) timeout_seconds: Option<NonZeroU64>,
    /// How many replicas must confirm a write.
    pub(crate) min_replicas: Option<u8>,
    /// A session ends after this time without a call.
    pub(crate) idle_seconds: Option<NonZeroU64>,
    /// A session ends after this time in any case.
    pub(crate) lifetime_seconds: Option<NonZeroU64>,
}

impl Settings {
    /// Returns a digest of everything that decides what the accounts of sessions may do.
    pub(crate) fn sessions_digest(&self) -> String {
        let mut digest = Sha256::new();
        for section in SESSION_SECTIONS.iter().chain(&["principals"]) {
            let text = self.tables.get(*section).map(ToString::to_string).unwrap_or_default();
            digest.update(text.len().to_be_bytes());
            digest.update(text);
        }
        hex::encode(digest.finalize())
    }
}
