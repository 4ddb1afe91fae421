//! `Grant`: one reader's right to one account. Dropping it takes the right away.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use uuid::Uuid;
use valetkey_core::{Credentials, SessionAccount, SetId};

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
    given: Mutex<Given>,
    redactor: Option<Arc<Redactor>>,
}

/// Which credentials the reader got, and may have cached since.
#[derive(Default)]
struct Given {
    first: Option<SetId>,
    /// Others came later that do not renew the first.
    mixed: bool,
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
            given: Mutex::default(),
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

    /// Whether the reader got any credentials.
    pub(crate) fn was_used(&self) -> bool {
        self.entry.given().first.is_some()
    }

    /// Whether all credentials that the reader may have cached are `current` or are renewed by it.
    pub(crate) fn is_renewed_by(&self, current: SetId) -> bool {
        let given = self.entry.given();
        !given.mixed && given.first.is_none_or(|first| continues(first, current))
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

    /// Notes that the reader is about to get the credentials `id`.
    pub(super) fn note_given(&self, id: SetId) {
        let mut given = self.given();
        let first = *given.first.get_or_insert(id);
        given.mixed |= !continues(first, id);
    }

    fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A set is about to leave.
    pub(super) fn reveal(&self, credentials: &Credentials) {
        if let Some(redactor) = &self.redactor {
            redactor.learn(credentials);
        }
    }
}

/// Whether `current` is `earlier` or a renewal of it.
fn continues(earlier: SetId, current: SetId) -> bool {
    current == earlier || current.renews(earlier)
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("holder", &self.entry.holder).finish_non_exhaustive()
    }
}
