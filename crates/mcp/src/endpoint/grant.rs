//! `Grant`: the right of one reader to the credentials of one account, revoked on drop.
//!
//! Some programs read the key, the secret and the token separately, with one request to the endpoint for each. If the
//! credentials changed in between, such a program would sign with parts of two versions. Requests in close succession
//! therefore get the same credentials, for a bounded time and while these are valid. Only a renewal by the same
//! provider is deferred. Credentials that were cleared, rejected or replaced manually are never served again, because
//! the new ones may belong to a different principal.
//!
//! The access token of a grant has 244 random bits. The server keeps its digest, and compares digests in constant time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, MutexGuard};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use uuid::Uuid;
use valetkey_core::{
    Credentials, CredentialsVersion, CurrentCredentials, Error, ErrorKind, Result, SessionAccount,
};

use super::AdvertisedExpiry;
use super::server::{CREDENTIALS_PATH, EndpointServer};
use crate::Redactor;

/// Limit on concurrent requests per grant; further ones are rejected. A reader that waits for an account's first
/// credentials thus leaves capacity for other readers.
const MAX_REQUESTS_PER_GRANT: usize = 64;

/// Limit on waiting for an account's first credentials: SDKs give up after 2 s.
const FIRST_FETCH_TIMEOUT: Duration = Duration::from_millis(1500);

/// The right of one reader to the credentials of one account. Dropping the grant revokes it.
///
/// A reader may keep credentials that it has fetched, up to the advertised expiry. So revoking a grant does not revoke
/// credentials: it prevents further fetches.
///
/// # Examples
/// ```
/// use valetkey_core::SessionContext;
/// use valetkey_mcp::CredentialEndpoint;
/// use valetkey_mcp::endpoint::AdvertisedExpiry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = SessionContext::builder().build();
/// let endpoint = CredentialEndpoint::start().await?;
/// let account = session.account(session.default_account())?;
/// let grant = endpoint.grant(account, "report", AdvertisedExpiry::default());
/// assert!(grant.url().starts_with("http://127.0.0.1:"));
/// assert_eq!(grant.account().account_name(), session.default_account());
/// # Ok(())
/// # }
/// ```
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
    rotation_hold: RotationHold,
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
        advertised_expiry: AdvertisedExpiry,
        redactor: Option<Arc<Redactor>>,
    ) -> Self {
        // Two version-4 UUIDs: 244 random bits from the operating system.
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let state = Arc::new(GrantState {
            id: Uuid::new_v4(),
            digest: token_digest(&token),
            account,
            holder,
            advertised_expiry,
            rotation_hold: RotationHold::default(),
            requests: Semaphore::new(MAX_REQUESTS_PER_GRANT),
            served: Mutex::default(),
            redactor,
        });
        if let Some(redactor) = &state.redactor {
            redactor.add_grant(state.id, &[&token]);
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
    ///
    /// The token has 64 hexadecimal digits. A reader sends it as the value of the header `Authorization`, without a
    /// scheme.
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
    ///
    /// Requests less than a second apart belong to one burst. Within a burst, the reader gets the earlier credentials
    /// for up to five seconds after the account has renewed them, so that a program that reads each field with a
    /// request of its own does not combine two versions.
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

    /// Returns the credentials to serve. They come from the cache unless the account has none yet: refreshing ahead of
    /// expiry is left to the session.
    ///
    /// The version is recorded before it is compared with the account's current one again. So either a switch of
    /// credentials sees that the reader has the old ones, or the reader gets the new ones.
    pub(super) async fn current_credentials(&self, now: SystemTime) -> Result<Credentials> {
        loop {
            let current = match self.account.current() {
                Some(served) => served,
                None => self.fetch_first().await?,
            };
            self.record_served(current.id);
            if self.account.current().is_some_and(|now| now.id == current.id) {
                return Ok(self.rotation_hold.select(current, now));
            }
        }
    }

    /// Fetches the credentials of an account that has none yet. The wait is shorter than the timeout of SDKs, so that
    /// they report this error and not a timeout of their own.
    async fn fetch_first(&self) -> Result<CurrentCredentials> {
        let fetched = timeout(FIRST_FETCH_TIMEOUT, self.account.credentials()).await.map_err(|_elapsed| {
            Error::new(ErrorKind::TimedOut, "the first credentials of this account are still being fetched")
        })?;
        fetched?;
        self.account.current().ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "the account moved on while its credentials were fetched")
        })
    }

    /// Records that the version `id` is about to be served to the reader.
    fn record_served(&self, id: CredentialsVersion) {
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

/// Requests closer together than this belong to one burst.
const MAX_BURST_GAP: Duration = Duration::from_secs(1);
/// The longest time that a burst defers newer credentials.
const MAX_ROTATION_HOLD: Duration = Duration::from_secs(5);

/// Defers rotation until the end of a burst of requests.
#[derive(Default)]
struct RotationHold(Mutex<Option<HeldCredentials>>);

/// The credentials of the last response, which the next request of the burst gets too.
struct HeldCredentials {
    served: CurrentCredentials,
    last_request: Instant,
    /// When newer credentials were first held back.
    superseded_at: Option<Instant>,
}

impl RotationHold {
    /// Returns the credentials to serve while the account's current ones are `current`.
    fn select(&self, current: CurrentCredentials, now: SystemTime) -> Credentials {
        let requested_at = Instant::now();
        let mut held = self.0.lock();
        if let Some(held) = held.as_mut()
            && held.should_hold(&current, requested_at, now)
        {
            held.superseded_at.get_or_insert(requested_at);
            held.last_request = requested_at;
            return held.served.credentials.clone();
        }
        // The hold keeps the clone, whose reference is counted: a thread can hold only eight uncounted `Credentials`.
        *held = Some(HeldCredentials {
            served: current.clone(),
            last_request: requested_at,
            superseded_at: None,
        });
        current.credentials
    }

    /// Ends the burst.
    fn release(&self) {
        *self.0.lock() = None;
    }
}

impl HeldCredentials {
    /// Whether the request belongs to the burst of the last one, and the held credentials may be served again: the
    /// current ones renew them, the hold has not taken too long, and they have not expired.
    fn should_hold(&self, current: &CurrentCredentials, requested_at: Instant, now: SystemTime) -> bool {
        current.id.is_renewal_of(self.served.id)
            && requested_at.duration_since(self.last_request) < MAX_BURST_GAP
            && self.superseded_at.is_none_or(|since| requested_at.duration_since(since) < MAX_ROTATION_HOLD)
            && !self.served.credentials.expiry().has_passed(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;
    use valetkey_core::testing::{Canary, ManualClock, Script, ScriptedProvider};
    use valetkey_core::{Clock, Expiry, SessionContext};

    fn canary_credentials() -> Credentials {
        Canary::new().credentials(Expiry::Never).unwrap()
    }

    /// A session whose provider issues different credentials at each fetch.
    async fn rotating_session() -> SessionContext {
        let provider = ScriptedProvider::new((0..4).map(|_| Script::Answer(canary_credentials())));
        let session = SessionContext::builder().provider(provider).build();
        session.credentials().await.unwrap();
        session
    }

    fn current_credentials(session: &SessionContext) -> CurrentCredentials {
        session.account(session.default_account()).unwrap().current().unwrap()
    }

    async fn refresh_and_get(session: &SessionContext) -> CurrentCredentials {
        session.refresh().await.unwrap();
        current_credentials(session)
    }

    fn has_key_of(chosen: &Credentials, set: &CurrentCredentials) -> bool {
        chosen.access_key_id() == set.credentials.access_key_id()
    }

    #[tokio::test(start_paused = true)]
    async fn rotation_hold_during_burst_ends_after_max_hold() {
        let (burst, session, now) =
            (RotationHold::default(), rotating_session().await, ManualClock::new().now());
        let (old, new) = (current_credentials(&session), refresh_and_get(&session).await);
        assert!(has_key_of(&burst.select(old.clone(), now), &old));
        for _ in 0..10 {
            advance(Duration::from_millis(500)).await;
            assert!(has_key_of(&burst.select(new.clone(), now), &old));
        }
        advance(Duration::from_millis(500)).await;
        assert!(has_key_of(&burst.select(new.clone(), now), &new));
    }

    #[tokio::test(start_paused = true)]
    async fn rotation_hold_after_gap_or_release_selects_current() {
        let (burst, session, now) =
            (RotationHold::default(), rotating_session().await, ManualClock::new().now());
        let (old, new) = (current_credentials(&session), refresh_and_get(&session).await);
        burst.select(old.clone(), now);
        advance(MAX_BURST_GAP).await;
        assert!(has_key_of(&burst.select(new.clone(), now), &new));
        burst.release();
        burst.select(old.clone(), now);
        burst.release();
        assert!(has_key_of(&burst.select(new.clone(), now), &new));
    }

    #[tokio::test(start_paused = true)]
    async fn rotation_hold_cleared_credentials_are_not_held() {
        let (burst, session, now) =
            (RotationHold::default(), rotating_session().await, ManualClock::new().now());
        burst.select(current_credentials(&session), now);
        session.clear();
        session.set_credentials(canary_credentials()).unwrap();
        let after = current_credentials(&session);
        assert!(has_key_of(&burst.select(after.clone(), now), &after));
    }

    #[tokio::test(start_paused = true)]
    async fn rotation_hold_manually_set_credentials_replace_held_at_once() {
        let (burst, session, now) =
            (RotationHold::default(), rotating_session().await, ManualClock::new().now());
        burst.select(current_credentials(&session), now);
        session.set_credentials(canary_credentials()).unwrap();
        let after = current_credentials(&session);
        assert!(has_key_of(&burst.select(after.clone(), now), &after));
    }

    #[tokio::test(start_paused = true)]
    async fn rotation_hold_rejected_credentials_are_not_held() {
        let (burst, session, now) =
            (RotationHold::default(), rotating_session().await, ManualClock::new().now());
        let rejected = current_credentials(&session);
        burst.select(rejected.clone(), now);
        session.mark_rejected(rejected.credentials.access_key_id());
        let after = refresh_and_get(&session).await;
        assert!(has_key_of(&burst.select(after.clone(), now), &after));
    }
}
