//! A session on a manual clock, with numbered credentials.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use valetkey_core::testing::{ManualClock, Script, ScriptedProvider};
use valetkey_core::{
    Clock, Credentials, Error, ErrorKind, Expiry, RefreshPolicy, Result, SecretString, SessionBuilder,
    SessionContext,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) struct SessionFixture {
    pub(crate) clock: ManualClock,
    pub(crate) provider: ScriptedProvider,
    pub(crate) session: SessionContext,
}

impl SessionFixture {
    /// A session whose provider follows `script` in order; the last entry repeats.
    pub(crate) fn new(script: impl FnOnce(&ManualClock) -> Vec<Script>) -> Self {
        Self::with_policy(script, RefreshPolicy::default())
    }

    pub(crate) fn with_policy(
        script: impl FnOnce(&ManualClock) -> Vec<Script>,
        policy: RefreshPolicy,
    ) -> Self {
        let clock = ManualClock::new();
        let provider = ScriptedProvider::new(script(&clock));
        let session = builder(&clock).provider(provider.clone()).refresh_policy(policy).build();
        Self { clock, provider, session }
    }

    /// A session whose provider waits to be let through.
    pub(crate) fn blocked(script: impl FnOnce(&ManualClock) -> Vec<Script>) -> Self {
        let clock = ManualClock::new();
        let provider = ScriptedProvider::blocked(script(&clock));
        let session = builder(&clock).provider(provider.clone()).build();
        Self { clock, provider, session }
    }

    /// A session that holds credentials 1, valid for `lifetime`, and whose provider follows the script `then`.
    pub(crate) async fn with_cached(
        lifetime: Duration,
        then: impl FnOnce(&ManualClock) -> Vec<Script>,
    ) -> Self {
        let fixture = Self::new(|clock| [vec![returns(clock, 1, lifetime)], then(clock)].concat());
        assert_eq!(fixture.number().await.unwrap(), 1);
        fixture
    }

    /// The number of the credentials that a caller gets.
    pub(crate) async fn number(&self) -> Result<u64> {
        self.session.credentials().await.map(|credentials| number(&credentials))
    }

    pub(crate) async fn kind(&self) -> ErrorKind {
        self.session.credentials().await.unwrap_err().kind()
    }
}

pub(crate) fn builder(clock: &ManualClock) -> SessionBuilder {
    SessionContext::builder().clock(Arc::new(clock.clone()))
}

/// Credentials `n`, valid for `lifetime` from the current time of `clock`.
pub(crate) fn expiring(clock: &ManualClock, n: u64, lifetime: Duration) -> Credentials {
    numbered(n, Expiry::At(clock.now() + lifetime))
}

pub(crate) fn numbered(n: u64, expiry: Expiry) -> Credentials {
    Credentials::builder(format!("AKIA{n:016}").parse().unwrap(), SecretString::from(format!("secret-{n}")))
        .expiry(expiry)
        .provider("numbered")
        .build()
        .unwrap()
}

pub(crate) fn number(credentials: &Credentials) -> u64 {
    credentials.expose_secret_access_key().strip_prefix("secret-").unwrap().parse().unwrap()
}

pub(crate) fn returns(clock: &ManualClock, n: u64, lifetime: Duration) -> Script {
    Script::Answer(expiring(clock, n, lifetime))
}

pub(crate) fn fails_unavailable() -> Script {
    Script::Fail(Error::new(ErrorKind::Unavailable, "down"))
}

pub(crate) fn fails_denied() -> Script {
    Script::Fail(Error::new(ErrorKind::Denied, "no"))
}

/// Polls once, and returns the output if the future is ready.
pub(crate) async fn poll_once<T>(future: &mut Pin<Box<dyn Future<Output = T> + Send + '_>>) -> Option<T> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Lets every other task run until all of them wait.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// What the error was caused by.
pub(crate) fn source_kind(error: &Error) -> Option<ErrorKind> {
    std::error::Error::source(error)?.downcast_ref::<Error>().map(Error::kind)
}
