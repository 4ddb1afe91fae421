//! `Grant`: the right of one reader to the credentials of one account, revoked on drop.

use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use uuid::Uuid;
use valetkey_core::{Credentials, CredentialsVersion, SessionAccount};

use super::AdvertisedExpiry;
use super::burst::RotationHold;
use super::server::{CREDENTIALS_PATH, EndpointServer};
use crate::Redactor;

/// Limit on concurrent requests per grant; further ones are rejected. A reader that waits for an account's first
/// credentials thus leaves capacity for other readers.
const MAX_REQUESTS_PER_GRANT: usize = 64;

/// The right of one reader to the credentials of one account. Dropping the grant revokes it.
pub struct Grant {
    server: Arc<EndpointServer>,
    state: Arc<GrantState>,
    token: SecretString,
}

/// The server's state of a grant. It has the digest of the token and not the token itself.
pub(super) struct GrantState {
    pub(super) id: Uuid,
    digest: [u8; 32],
    pub(super) account: SessionAccount,
    pub(super) holder: String,
    pub(super) advertised_expiry: AdvertisedExpiry,
    pub(super) rotation_hold: RotationHold,
    pub(super) requests: Semaphore,
    served: Mutex<ServedVersions>,
    redactor: Option<Arc<Redactor>>,
}

/// The versions of credentials that the reader fetched and may have cached.
#[derive(Default)]
struct ServedVersions {
    first: Option<CredentialsVersion>,
    /// Whether later versions were served that do not renew the first.
    mixed: bool,
}

impl Grant {
    pub(super) fn new(
        server: &Arc<EndpointServer>,
        account: SessionAccount,
        holder: String,
        leash: AdvertisedExpiry,
        redactor: Option<Arc<Redactor>>,
    ) -> Self {
        // Two version-4 UUIDs: 244 random bits from the operating system.
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let state = Arc::new(GrantState {
            id: Uuid::new_v4(),
            digest: token_digest(&token),
            account,
            holder,
            advertised_expiry: leash,
            rotation_hold: RotationHold::default(),
            requests: Semaphore::new(MAX_REQUESTS_PER_GRANT),
            served: Mutex::default(),
            redactor,
        });
        if let Some(redactor) = &state.redactor {
            redactor.add_grant(state.id, &token);
        }
        server.register(Arc::clone(&state));
        Self { server: Arc::clone(server), state, token: token.into() }
    }

    /// Returns the URL of this grant, for `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{CREDENTIALS_PATH}{}", self.server.address(), self.state.id.simple())
    }

    /// Returns the secret token of this grant, for `AWS_CONTAINER_AUTHORIZATION_TOKEN`. Any program that has it can
    /// read the account's credentials.
    #[must_use]
    pub fn expose_token(&self) -> &str {
        self.token.expose_secret()
    }

    /// Returns the account whose credentials are granted.
    #[must_use]
    pub fn account(&self) -> &SessionAccount {
        &self.state.account
    }

    /// Whether the reader has fetched any credentials.
    pub(crate) fn was_used(&self) -> bool {
        self.state.lock_served().first.is_some()
    }

    /// Whether all credentials that the reader may have cached are `current` or are renewed by it.
    pub(crate) fn is_renewed_by(&self, current: CredentialsVersion) -> bool {
        let served = self.state.lock_served();
        !served.mixed && served.first.is_none_or(|first| is_same_or_renewal(first, current))
    }

    /// Ends the current burst of requests: the next request may get new credentials. Call it when the reader is
    /// between two calls.
    pub fn end_burst(&self) {
        self.state.rotation_hold.release();
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.server.revoke(self.state.id);
        if let Some(redactor) = &self.state.redactor {
            redactor.remove_grant(self.state.id);
        }
    }
}

impl GrantState {
    /// Compares in constant time, by digests of equal length.
    pub(super) fn verify_token(&self, token: &str) -> bool {
        token_digest(token).ct_eq(&self.digest).into()
    }

    /// Records that the version `id` is about to be served to the reader.
    pub(super) fn record_served(&self, id: CredentialsVersion) {
        let mut served = self.lock_served();
        let first = *served.first.get_or_insert(id);
        served.mixed |= !is_same_or_renewal(first, id);
    }

    fn lock_served(&self) -> MutexGuard<'_, ServedVersions> {
        self.served.lock()
    }

    /// Registers credentials with the redactor before they are served.
    pub(super) fn register_secret(&self, credentials: &Credentials) {
        if let Some(redactor) = &self.redactor {
            redactor.add(credentials);
        }
    }
}

/// Whether `current` is `earlier` or a renewal of it.
fn is_same_or_renewal(earlier: CredentialsVersion, current: CredentialsVersion) -> bool {
    current == earlier || current.is_renewal_of(earlier)
}

fn token_digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("holder", &self.state.holder).finish_non_exhaustive()
    }
}
