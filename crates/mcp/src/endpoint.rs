//! The container-credentials endpoint: a loopback address at which a child reads its session's current set.
//!
//! It speaks what every AWS SDK already asks (`AWS_CONTAINER_CREDENTIALS_FULL_URI` with
//! `AWS_CONTAINER_AUTHORIZATION_TOKEN`), so rotation, expiry and clearing reach a program that is already running.

mod answer;
mod burst;
mod connections;
mod grant;
mod server;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use valetkey_core::{Clock, SessionAccount, SystemClock};

pub use grant::Grant;

use crate::Redactor;
use server::EndpointServer;

/// How long a child is told that a set lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdvertisedExpiry {
    /// At most this long, whatever the real expiry. SDKs ask again when little is left (botocore 15 min, JavaScript
    /// 5 min), so a short leash makes them ask before each call, and rotation and clearing are felt at the next one.
    AtMost(Duration),
    /// The real expiry: fewer requests, but clients keep what they have until shortly before it.
    Actual,
}

impl Default for AdvertisedExpiry {
    /// 4 min 30 s: below the refresh windows of botocore and JavaScript, which then ask before each call. The Rust SDK
    /// keeps what it has until 10 s before the told expiry, so it feels a change after 4 min 20 s at the latest.
    fn default() -> Self {
        Self::AtMost(Duration::from_secs(270))
    }
}

/// Serves the current credentials of lent accounts on 127.0.0.1, each behind a token of its own.
///
/// One endpoint serves any number of sessions. Clones share it; it ends with [`stop`](Self::stop), or with the last
/// clone or grant.
#[derive(Clone)]
pub struct CredentialEndpoint {
    server: Arc<EndpointServer>,
    redactor: Option<Arc<Redactor>>,
}

impl CredentialEndpoint {
    /// Binds a free port on 127.0.0.1 and serves until stopped. Spawns one task on the current tokio runtime.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::start_with_clock(Arc::new(SystemClock)).await
    }

    /// The same, with a clock of one's own.
    ///
    /// # Errors
    /// As [`start`](Self::start_server).
    pub async fn start_with_clock(clock: Arc<dyn Clock>) -> io::Result<Self> {
        Ok(Self { server: EndpointServer::start(clock).await?, redactor: None })
    }

    /// The same endpoint, of whose grants `redactor` knows what opens them, for as long as it does, and every set that is
    /// read.
    #[must_use]
    pub fn with_redactor(&self, redactor: &Arc<Redactor>) -> Self {
        Self { server: Arc::clone(&self.server), redactor: Some(Arc::clone(redactor)) }
    }

    /// Lets whoever holds the grant's token read `account`, until the grant is dropped. `holder` names the reader in
    /// the audit trail.
    #[must_use]
    pub fn grant(
        &self,
        account: SessionAccount,
        holder: impl Into<String>,
        advertised_expiry: AdvertisedExpiry,
    ) -> Grant {
        Grant::new(&self.server, account, holder.into(), advertised_expiry, self.redactor.clone())
    }

    /// Stops serving. Grants stay valid as values, but nobody answers.
    pub async fn stop(&self) {
        self.server.stop().await;
    }
}

impl fmt::Debug for CredentialEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialEndpoint").field("address", &self.server.address()).finish_non_exhaustive()
    }
}
