//! valetkey: a session with a provider, in each way in which callers fetch credentials.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use valetkey_core::{
    AccessKeyId, CredentialProvider, Credentials, Error, ErrorKind, Expiry, RefreshPolicy, SecretString,
    SessionBuilder, SessionContext,
};

use crate::Result;
use crate::fake_source::{Upstream, UpstreamResponse};
use crate::payload::Payload;
use crate::subject::{Peer, Subject};

/// The refresh window of the session, and the lifetime of credentials that are in it from the start.
const WINDOW: Duration = Duration::from_secs(300);

/// A session: `session.credentials()`.
#[derive(Clone)]
pub(crate) struct SessionPeer(pub(crate) SessionContext);

impl SessionPeer {
    pub(crate) fn new(upstream: Upstream) -> Self {
        Self(session_builder(upstream).build())
    }
}

/// Creates the builder of a session that fetches from `upstream`.
///
/// A second fetch is allowed at once: with the default policy, credentials are fresh for half a minute at least.
pub(crate) fn session_builder(upstream: Upstream) -> SessionBuilder {
    let policy = RefreshPolicy::default().advisory_window(WINDOW).min_fetch_interval(Duration::ZERO);
    SessionContext::builder().provider(UpstreamProvider(upstream)).refresh_policy(policy)
}

impl Subject for SessionPeer {
    type Fetched = Credentials;
    type FetchError = Error;

    fn fetch(&self) -> impl Future<Output = std::result::Result<Credentials, Error>> + Send {
        self.0.credentials()
    }
}

impl Peer for SessionPeer {
    const NAME: &'static str = "valetkey";
    const STALE_LIFETIME: Option<Duration> = Some(WINDOW);

    async fn setup(upstream: Upstream) -> Result<Self> {
        Ok(Self::new(upstream))
    }
}

/// The same session while `keep_warm` refreshes it in the background.
pub(crate) struct BackgroundRefreshed(SessionPeer);

impl Subject for BackgroundRefreshed {
    type Fetched = Credentials;
    type FetchError = Error;

    fn fetch(&self) -> impl Future<Output = std::result::Result<Credentials, Error>> + Send {
        self.0.fetch()
    }
}

impl Peer for BackgroundRefreshed {
    const NAME: &'static str = "valetkey, kept warm";
    const STALE_LIFETIME: Option<Duration> = SessionPeer::STALE_LIFETIME;

    async fn setup(upstream: Upstream) -> Result<Self> {
        SessionPeer::setup(upstream).await.map(Self)
    }

    fn run_background(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.0.keep_warm()
    }
}

/// A session as a `dyn CredentialProvider`.
pub(crate) struct DynProvider(pub(crate) Arc<dyn CredentialProvider>);

impl Subject for DynProvider {
    type Fetched = Credentials;
    type FetchError = Error;

    fn fetch(&self) -> impl Future<Output = std::result::Result<Credentials, Error>> + Send {
        self.0.credentials()
    }
}

/// A session whose cached credentials are borrowed. A fetch only happens without fresh credentials.
pub(crate) struct Borrowed(pub(crate) SessionContext);

impl Subject for Borrowed {
    type Fetched = usize;
    type FetchError = Error;

    async fn fetch(&self) -> std::result::Result<usize, Error> {
        let read = |credentials: &Credentials| credentials.expose_secret_access_key().len();
        match self.0.with_cached(read) {
            Some(length) => Ok(length),
            None => self.0.credentials().await.as_ref().map(read).map_err(Error::clone),
        }
    }
}

/// The same without the synchronous path: each fetch boxes a future.
pub(crate) struct BoxedFuture(pub(crate) Arc<dyn CredentialProvider>);

impl Subject for BoxedFuture {
    type Fetched = Credentials;
    type FetchError = Error;

    async fn fetch(&self) -> std::result::Result<Credentials, Error> {
        self.0.provide().await
    }
}

/// The upstream as a provider of valetkey.
pub(crate) struct UpstreamProvider(pub(crate) Upstream);

impl fmt::Debug for UpstreamProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamProvider")
    }
}

#[async_trait]
impl CredentialProvider for UpstreamProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("upstream")
    }

    async fn provide(&self) -> valetkey_core::Result<Credentials> {
        match self.0.call().await {
            Ok(UpstreamResponse { payload, expires_at, .. }) => {
                payload_credentials(&payload, Expiry::At(expires_at))
            }
            Err(refused) => Err(Error::new(ErrorKind::Unavailable, refused.to_string())),
        }
    }
}

/// Converts a payload to credentials of valetkey.
pub(crate) fn payload_credentials(payload: &Payload, expiry: Expiry) -> valetkey_core::Result<Credentials> {
    let id = AccessKeyId::parse("access_key_id", &payload.key_id)?;
    Credentials::builder(id, SecretString::from(payload.secret.as_str()))
        .session_token(SecretString::from(payload.token.as_str()))
        .expiry(expiry)
        .build()
}
