//! `MemoryProvider`: a cell that its owner writes and sessions read.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use valetkey_core::{Clock, CredentialProvider, Credentials, Error, Result, SystemClock};

use crate::validity;

const NAME: &str = "memory";

/// Answers with the set it was last given. A clone is another handle to the same cell, so that whoever hosts the
/// sessions can go on writing to it: a session picks the new set up at its next fetch.
#[derive(Clone)]
pub struct MemoryProvider {
    cell: Arc<Mutex<Option<Credentials>>>,
    clock: Arc<dyn Clock>,
}

impl MemoryProvider {
    /// An empty cell: not configured.
    #[must_use]
    pub fn new() -> Self {
        Self { cell: Arc::default(), clock: Arc::new(SystemClock) }
    }

    /// Tells expiry by `clock` rather than by the machine.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps `credentials`, in place of what was there.
    pub fn set(&self, credentials: Credentials) {
        self.replace(credentials);
    }

    /// Keeps `credentials`, and hands back what was there.
    pub fn replace(&self, credentials: Credentials) -> Option<Credentials> {
        self.lock_cell().replace(credentials)
    }

    /// Forgets what was kept. Sessions that fetched it before keep their copy until they refresh or are cleared.
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
    /// `NotConfigured` while the cell is empty, `Expired` when what it holds has run out.
    async fn provide(&self) -> Result<Credentials> {
        let credentials = self.lock_cell().clone().ok_or_else(|| {
            Error::not_configured("no credentials were handed in")
                .with_next_step("set credentials on the provider")
        });
        credentials
            .and_then(|held| {
                validity::ensure_unexpired(held, &*self.clock, "set new credentials on the provider")
            })
            .map_err(|error| error.with_provider(NAME))
    }
}

impl fmt::Debug for MemoryProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryProvider").field("credentials", &*self.lock_cell()).finish_non_exhaustive()
    }
}
