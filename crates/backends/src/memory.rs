//! `MemoryProvider`: credentials that the program sets.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use valetkey_core::{Clock, CredentialProvider, Credentials, Error, Result, SystemClock};

use crate::validity;

const NAME: &str = "memory";

/// Returns the credentials that the program set last.
///
/// Clones share the credentials, so the program can keep a clone and set new ones. A session uses them from its next
/// fetch on.
///
/// # Examples
///
/// ```
/// use valetkey_backends::MemoryProvider;
/// use valetkey_core::{Credentials, SecretString, SessionContext};
///
/// # fn main() -> valetkey_core::Result<()> {
/// let provider = MemoryProvider::new();
/// let session = SessionContext::builder().provider(provider.clone()).build();
/// let keys = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, SecretString::from("secret")).build()?;
/// provider.set(keys);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryProvider {
    cell: Arc<Mutex<Option<Credentials>>>,
    clock: Arc<dyn Clock>,
}

impl MemoryProvider {
    /// Creates a provider without credentials, which is not configured.
    #[must_use]
    pub fn new() -> Self {
        Self { cell: Arc::default(), clock: Arc::new(SystemClock) }
    }

    /// Sets the source of wall time for expiry (default: the machine's clock).
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the credentials.
    pub fn set(&self, credentials: Credentials) {
        self.replace(credentials);
    }

    /// Sets the credentials and returns the previous ones.
    pub fn replace(&self, credentials: Credentials) -> Option<Credentials> {
        self.lock_cell().replace(credentials)
    }

    /// Removes the credentials. A session that has fetched them keeps its copy until its next refresh, or until it is cleared.
    pub fn clear(&self) {
        *self.lock_cell() = None;
    }

    fn lock_cell(&self) -> MutexGuard<'_, Option<Credentials>> {
        self.cell.lock()
    }
}

impl Default for MemoryProvider {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Credentials> for MemoryProvider {
    fn from(credentials: Credentials) -> Self {
        let provider = Self::new();
        provider.set(credentials);
        provider
    }
}

#[async_trait]
impl CredentialProvider for MemoryProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// `NotConfigured` without credentials, and `Expired` if the credentials have expired.
    async fn provide(&self) -> Result<Credentials> {
        let credentials = self.lock_cell().clone().ok_or_else(|| {
            Error::not_configured("no credentials are set").with_next_step("set credentials on the provider")
        });
        credentials
            .and_then(|credentials| {
                validity::ensure_unexpired(credentials, &*self.clock, "set new credentials on the provider")
            })
            .map_err(|error| error.with_provider(NAME))
    }
}

impl fmt::Debug for MemoryProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryProvider").field("credentials", &*self.lock_cell()).finish_non_exhaustive()
    }
}
