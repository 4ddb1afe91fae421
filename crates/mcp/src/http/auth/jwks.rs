//! `JwksSource`: where the keys of an issuer come from; and `KeyCache`, which follows their rotation.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use valetkey_core::Result;

use super::keys::KeySet;

/// How long fetched keys are used before they are fetched again.
const KEYS_TTL: Duration = Duration::from_secs(10 * 60);
/// How long keys are used when they cannot be fetched again.
const MAX_STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// The time between two fetches for tokens with an unknown key, so that forged tokens cause few.
const MIN_FETCH_INTERVAL: Duration = Duration::from_secs(30);
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Fetches the JSON Web Key Set of an issuer.
///
/// The gateway calls [`fetch`](Self::fetch) when a token arrives and its keys are ten minutes old, or the token names a
/// key that it does not have; at most every 30 s, so that forged tokens cause few requests. It waits 10 s for the
/// document, and uses keys that it cannot fetch again for at most a day.
///
/// # Examples
/// ```
/// use async_trait::async_trait;
/// use valetkey_core::{Error, ErrorKind, Result};
/// use valetkey_mcp::http::JwksSource;
///
/// /// A key set that another program keeps current in a file.
/// #[derive(Debug)]
/// struct JwksFile(std::path::PathBuf);
///
/// #[async_trait]
/// impl JwksSource for JwksFile {
///     async fn fetch(&self) -> Result<Vec<u8>> {
///         let unreadable = |error| Error::new(ErrorKind::Unavailable, "the keys cannot be read").with_source(error);
///         std::fs::read(&self.0).map_err(unreadable)
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let error = JwksFile("/no/such/file".into()).fetch().await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// # }
/// ```
#[async_trait]
pub trait JwksSource: fmt::Debug + Send + Sync + 'static {
    /// Returns the document.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be fetched. The gateway then continues to use the keys that it has.
    ///
    /// # Cancel safety
    /// The future must be cancel safe.
    async fn fetch(&self) -> Result<Vec<u8>>;
}

/// A key set that does not change.
///
/// # Examples
/// ```
/// use valetkey_mcp::http::StaticJwks;
///
/// let keys = StaticJwks::new(br#"{"keys": []}"#.to_vec());
/// # drop(keys);
/// ```
#[derive(Debug, Clone)]
pub struct StaticJwks(Vec<u8>);

impl StaticJwks {
    /// Creates a source from a JSON Web Key Set.
    #[must_use]
    pub fn new(document: Vec<u8>) -> Self {
        Self(document)
    }
}

#[async_trait]
impl JwksSource for StaticJwks {
    async fn fetch(&self) -> Result<Vec<u8>> {
        Ok(self.0.clone())
    }
}

/// The keys of an issuer.
#[derive(Debug)]
pub(super) struct KeyCache {
    source: Box<dyn JwksSource>,
    current: RwLock<Option<FetchedKeys>>,
    /// Held during a fetch, so that concurrent requests share it. Contains the time of the last attempt.
    last_attempt: Mutex<Option<Instant>>,
}

#[derive(Debug, Clone)]
struct FetchedKeys {
    keys: Arc<KeySet>,
    fetched_at: Instant,
}

/// The result of a look-up of keys.
pub(super) struct CurrentKeys {
    pub(super) keys: Arc<KeySet>,
    /// Whether this look-up replaced the keys by others.
    pub(super) changed: bool,
}

impl KeyCache {
    pub(super) fn new(source: impl JwksSource) -> Self {
        Self { source: Box::new(source), current: RwLock::default(), last_attempt: Mutex::default() }
    }

    /// Returns the keys, fetched again if they are old or have no key of this id. `None` when there are no keys that
    /// may be used.
    pub(super) async fn keys_for(&self, id: Option<&str>) -> Option<CurrentKeys> {
        let is_sufficient =
            |known: &FetchedKeys| known.fetched_at.elapsed() < KEYS_TTL && known.keys.find(id).is_some();
        let before = self.current.read().clone();
        let changed = if before.as_ref().is_some_and(is_sufficient) {
            false
        } else {
            self.fetch_unless(is_sufficient).await
        };
        let known = self.current.read().clone()?;
        (known.fetched_at.elapsed() < MAX_STALE).then_some(CurrentKeys { keys: known.keys, changed })
    }

    /// Fetches the keys, unless a concurrent request did or the last attempt was a moment ago. Keeps the old keys when
    /// that fails. Returns whether the keys changed.
    async fn fetch_unless(&self, is_sufficient: impl Fn(&FetchedKeys) -> bool) -> bool {
        let mut last_attempt = self.last_attempt.lock().await;
        let is_recent = last_attempt.is_some_and(|attempt| attempt.elapsed() < MIN_FETCH_INTERVAL);
        if is_recent || self.current.read().as_ref().is_some_and(is_sufficient) {
            return false;
        }
        *last_attempt = Some(Instant::now());
        let document = match timeout(FETCH_TIMEOUT, self.source.fetch()).await {
            Ok(Ok(document)) => document,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the keys of the issuer cannot be fetched");
                return false;
            }
            Err(_elapsed) => {
                tracing::warn!("the keys of the issuer were not sent in time");
                return false;
            }
        };
        let Some(keys) = KeySet::parse(&document) else {
            tracing::warn!("the issuer has sent no keys that can be used");
            return false;
        };
        let mut current = self.current.write();
        let changed = current.as_ref().is_some_and(|known| !known.keys.has_same_ids(&keys));
        *current = Some(FetchedKeys { keys: Arc::new(keys), fetched_at: Instant::now() });
        changed
    }
}
