//! `Grant`: one reader's right to one account. Dropping it takes the right away.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use uuid::Uuid;
use valetkey_core::{Credentials, SessionAccount};

use super::Leash;
use super::burst::Burst;
use super::server::{PATH, Server};
use crate::Redactor;

/// More requests than this at a time are turned away: one reader that asks for a set that is not there yet leaves room
/// for the others.
const MOST_REQUESTS: usize = 64;

/// One reader's right to one account of a session.
pub struct Grant {
    server: Arc<Server>,
    entry: Arc<Entry>,
    token: SecretString,
}

/// The server's side of a grant: it knows the token's digest, not the token.
pub(super) struct Entry {
    pub(super) id: Uuid,
    digest: [u8; 32],
    pub(super) account: SessionAccount,
    pub(super) holder: String,
    pub(super) leash: Leash,
    pub(super) burst: Burst,
    pub(super) requests: Semaphore,
    redactor: Option<Arc<Redactor>>,
}

impl Grant {
    pub(super) fn new(
        server: &Arc<Server>,
        account: SessionAccount,
        holder: String,
        leash: Leash,
        redactor: Option<Arc<Redactor>>,
    ) -> Self {
        // Two version-4 UUIDs: 244 bits from the operating system.
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let entry = Arc::new(Entry {
            id: Uuid::new_v4(),
            digest: digest(&token),
            account,
            holder,
            leash,
            burst: Burst::default(),
            requests: Semaphore::new(MOST_REQUESTS),
            redactor,
        });
        if let Some(redactor) = &entry.redactor {
            redactor.learn_grant(entry.id, &token);
        }
        server.admit(Arc::clone(&entry));
        Self { server: Arc::clone(server), entry, token: token.into() }
    }

    /// For `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{PATH}{}", self.server.address(), self.entry.id.simple())
    }

    /// For `AWS_CONTAINER_AUTHORIZATION_TOKEN`. Whoever has it reads the account's credentials.
    #[must_use]
    pub fn expose_token(&self) -> &str {
        self.token.expose_secret()
    }

    /// The account that is granted.
    #[must_use]
    pub fn account(&self) -> &SessionAccount {
        &self.entry.account
    }

    /// Says that the reader is between calls: the next request may get a new set, whatever came before.
    pub fn settle(&self) {
        self.entry.burst.settle();
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.server.dismiss(self.entry.id);
        if let Some(redactor) = &self.entry.redactor {
            redactor.forget_grant(self.entry.id);
        }
    }
}

impl Entry {
    /// Compares in constant time, over digests of one length.
    pub(super) fn admits(&self, token: &str) -> bool {
        digest(token).ct_eq(&self.digest).into()
    }

    /// A set is about to leave.
    pub(super) fn reveal(&self, credentials: &Credentials) {
        if let Some(redactor) = &self.redactor {
            redactor.learn(credentials);
        }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("holder", &self.entry.holder).finish_non_exhaustive()
    }
}
