//! Canaries: unique secrets that a test can search for, to prove them present where they belong and absent elsewhere.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::SecretString;
use tracing_subscriber::fmt::MakeWriter;
use uuid::Uuid;

use crate::{AccessKeyId, Credentials, Expiry, Result};

/// The number of consecutive characters of a mark that cannot match by accident.
const MIN_MATCH_CHARS: usize = 12;

/// Credentials whose secret parts are unique marks.
///
/// Its `Debug` shows the marks, which are no secrets.
///
/// # Examples
/// ```
/// use valetkey_core::{Expiry, testing::Canary};
///
/// let canary = Canary::new();
/// let credentials = canary.credentials(Expiry::Never)?;
/// assert!(canary.found_in(&format!("{credentials:?}")).is_empty());
/// assert_eq!(canary.found_in(credentials.expose_secret_access_key()), ["secret"]);
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Canary {
    access_key_id: String,
    secret: String,
    token: String,
}

impl Canary {
    /// Creates a canary with new random marks.
    #[must_use]
    pub fn new() -> Self {
        let random_hex = || Uuid::new_v4().simple().to_string();
        let access_key_id = format!("ASIA{}", &random_hex()[..16]).to_uppercase();
        Self {
            access_key_id,
            secret: format!("canary-secret/{}+", random_hex()),
            token: format!("canary-token/{}==", random_hex()),
        }
    }

    /// Returns the marks as credentials.
    ///
    /// # Errors
    /// Never, since the marks are well-formed; a `Result` so that this function cannot panic.
    pub fn credentials(&self, expiry: Expiry) -> Result<Credentials> {
        let id = AccessKeyId::parse("access_key_id", &self.access_key_id)?;
        Credentials::builder(id, SecretString::from(self.secret.as_str()))
            .session_token(SecretString::from(self.token.as_str()))
            .expiry(expiry)
            .provider("canary")
            .build()
    }

    /// Returns the marks as JSON, in the form in which users paste credentials.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "access_key_id": self.access_key_id, "secret_access_key": self.secret, "session_token": self.token,
        })
    }

    /// Returns the secret access key, to prove it present where it belongs.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.secret
    }

    /// Returns which marks occur in `output`, raw or in JSON, URL or form encoding: `secret` and `token` for any
    /// twelve consecutive characters of their random parts, and `access_key_id` for the whole key id.
    #[must_use]
    pub fn found_in(&self, output: &str) -> Vec<&'static str> {
        // The middle of each mark is the same in every encoding.
        let core =
            |text: &str| text.chars().filter(char::is_ascii_alphanumeric).rev().take(24).collect::<String>();
        let output: String = output.chars().filter(char::is_ascii_alphanumeric).rev().collect();
        let holds_part = |mark: &str| {
            (0..=24 - MIN_MATCH_CHARS).any(|at| output.contains(&mark[at..at + MIN_MATCH_CHARS]))
        };
        [
            ("secret", holds_part(&core(&self.secret))),
            ("token", holds_part(&core(&self.token))),
            ("access_key_id", output.contains(&core(&self.access_key_id))),
        ]
        .into_iter()
        .filter_map(|(name, found)| found.then_some(name))
        .collect()
    }
}

impl Default for Canary {
    fn default() -> Self {
        Self::new()
    }
}

/// Captures everything that `tracing` writes at TRACE while it is installed, as text.
///
/// # Examples
/// ```
/// use valetkey_core::testing::CapturedLogs;
///
/// let logs = CapturedLogs::default();
/// tracing::subscriber::with_default(logs.subscriber(), || tracing::info!("a session was opened"));
/// assert!(logs.text().contains("a session was opened"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct CapturedLogs(Arc<Mutex<Vec<u8>>>);

impl CapturedLogs {
    /// Returns a subscriber that writes here; install it with `tracing::subscriber::set_global_default` or
    /// `with_default`.
    ///
    /// `with_default` captures the current thread only: use it with a runtime of one thread.
    #[must_use]
    pub fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish()
    }

    /// Returns the text captured so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }
}

impl io::Write for CapturedLogs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for CapturedLogs {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
