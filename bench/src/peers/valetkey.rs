//! valetkey: a session in front of a provider, fetched from in each way that its users have.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use valetkey_core::{
    AccessKeyId, CredentialProvider, Credentials, Error, ErrorKind, Expiry, SecretString, SessionBuilder,
    SessionContext,
};

use crate::Result;
use crate::payload::Payload;
use crate::subject::{Peer, Subject};
use crate::upstream::{Answer, Upstream};

/// A session: `session.credentials()`.
#[derive(Clone)]
pub(crate) struct Session(pub(crate) SessionContext);

impl Session {
    pub(crate) fn over(upstream: Upstream) -> Self {
        Self(session_over(upstream).build())
    }
}

/// A session that fetches from an upstream, yet to be built.
pub(crate) fn session_over(upstream: Upstream) -> SessionBuilder {
    SessionContext::builder().provider(Source(upstream))
}

impl Subject for Session {
    type Set = Credentials;
    type Fault = Error;

    fn fetch(&self) -> impl Future<Output = std::result::Result<Credentials, Error>> + Send {
        self.0.credentials()
    }
}

impl Peer for Session {
    const NAME: &'static str = "valetkey";
    // A set of up to 20 minutes has a window of five.
    const BORN_STALE: Option<Duration> = Some(Duration::from_secs(300));

    async fn open(upstream: Upstream) -> Result<Self> {
        Ok(Self::over(upstream))
    }
}

/// The same session while its host keeps it warm.
pub(crate) struct KeptWarm(Session);

impl Subject for KeptWarm {
    type Set = Credentials;
    type Fault = Error;

    fn fetch(&self) -> impl Future<Output = std::result::Result<Credentials, Error>> + Send {
        self.0.fetch()
    }
}

impl Peer for KeptWarm {
    const NAME: &'static str = "valetkey, kept warm";
    const BORN_STALE: Option<Duration> = Session::BORN_STALE;

    async fn open(upstream: Upstream) -> Result<Self> {
        Session::open(upstream).await.map(Self)
    }

    fn attend(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.0.keep_warm()
    }
}

/// A session as a consumer sees it that knows the trait alone.
pub(crate) struct AsProvider(pub(crate) Arc<dyn CredentialProvider>);

impl Subject for AsProvider {
    type Set = Credentials;
    type Fault = Error;

    fn fetch(&self) -> impl Future<Output = std::result::Result<Credentials, Error>> + Send {
        self.0.credentials()
    }
}

/// A session's set, read in place; only when there is none that is fresh would one be fetched.
pub(crate) struct Lent(pub(crate) SessionContext);

impl Subject for Lent {
    type Set = usize;
    type Fault = Error;

    async fn fetch(&self) -> std::result::Result<usize, Error> {
        let read = |credentials: &Credentials| credentials.expose_secret_access_key().len();
        match self.0.with_cached(read) {
            Some(length) => Ok(length),
            None => self.0.credentials().await.as_ref().map(read).map_err(Error::clone),
        }
    }
}

/// The same without the synchronous path: a boxed future for each fetch.
pub(crate) struct Boxed(pub(crate) Arc<dyn CredentialProvider>);

impl Subject for Boxed {
    type Set = Credentials;
    type Fault = Error;

    async fn fetch(&self) -> std::result::Result<Credentials, Error> {
        self.0.provide().await
    }
}

/// The upstream as a provider of ours.
struct Source(Upstream);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

#[async_trait]
impl CredentialProvider for Source {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("upstream")
    }

    async fn provide(&self) -> valetkey_core::Result<Credentials> {
        match self.0.ask().await {
            Ok(Answer { payload, expires_at, .. }) => credentials(&payload, Expiry::At(expires_at)),
            Err(refused) => Err(Error::new(ErrorKind::Unavailable, refused.to_string())),
        }
    }
}

/// A payload as our credentials.
pub(crate) fn credentials(payload: &Payload, expiry: Expiry) -> valetkey_core::Result<Credentials> {
    let id = AccessKeyId::parse("access_key_id", &payload.key_id)?;
    Credentials::builder(id, SecretString::from(payload.secret.as_str()))
        .session_token(SecretString::from(payload.token.as_str()))
        .expiry(expiry)
        .build()
}
