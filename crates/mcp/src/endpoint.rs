//! The container credentials endpoint: a loopback HTTP server from which a child process reads its session's current
//! credentials.
//!
//! It implements the protocol that every AWS SDK supports (`AWS_CONTAINER_CREDENTIALS_FULL_URI` with
//! `AWS_CONTAINER_AUTHORIZATION_TOKEN`), so that rotation, expiry and clearing reach a program that is already
//! running.

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

/// The expiry that the endpoint reports to a client, which determines how long the client caches the credentials.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use valetkey_mcp::endpoint::AdvertisedExpiry;
///
/// assert_eq!(AdvertisedExpiry::default(), AdvertisedExpiry::AtMost(Duration::from_secs(270)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdvertisedExpiry {
    /// At most this long from now, or the real expiry if that is earlier. SDKs refresh when little time is left
    /// (botocore 15 min, JavaScript 5 min), so a short expiry makes them fetch before each call, and rotation and
    /// clearing take effect at the next call.
    AtMost(Duration),
    /// The real expiry. This causes fewer requests, but clients keep cached credentials until shortly before it.
    Actual,
}

impl Default for AdvertisedExpiry {
    /// Returns 4 min 30 s: below the refresh windows of botocore and JavaScript, which then fetch before each call.
    /// The Rust SDK caches credentials until 10 s before the reported expiry, so a change takes effect there after 4
    /// min 20 s at the latest.
    fn default() -> Self {
        Self::AtMost(Duration::from_secs(270))
    }
}

/// Serves the current credentials of accounts on 127.0.0.1, with a separate access token for each grant.
///
/// One endpoint serves any number of sessions. Clones share the listener. It stops on [`stop`](Self::stop), or when
/// the last clone and the last grant are dropped.
///
/// # Examples
/// ```
/// # async fn example(account: valetkey_core::SessionAccount) -> std::io::Result<()> {
/// use valetkey_mcp::CredentialEndpoint;
/// use valetkey_mcp::endpoint::AdvertisedExpiry;
///
/// let endpoint = CredentialEndpoint::start().await?;
/// let grant = endpoint.grant(account, "my-server", AdvertisedExpiry::default());
/// println!("AWS_CONTAINER_CREDENTIALS_FULL_URI={}", grant.url());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CredentialEndpoint {
    server: Arc<EndpointServer>,
    redactor: Option<Arc<Redactor>>,
}

impl CredentialEndpoint {
    /// Binds a free port on 127.0.0.1 and serves until stopped. Spawns one task on the current tokio runtime.
    ///
    /// # Errors
    /// Returns the error of the operating system if no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::start_with_clock(Arc::new(SystemClock)).await
    }

    /// Like [`start`](Self::start), with the given clock.
    ///
    /// The clock determines the expiry that is advertised, and which credentials have expired. Give the endpoint the
    /// clock of its sessions.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::SessionContext;
    /// use valetkey_mcp::CredentialEndpoint;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let session = SessionContext::builder().build();
    /// let endpoint = CredentialEndpoint::start_with_clock(session.clock()).await?;
    /// # drop(endpoint);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with_clock(clock: Arc<dyn Clock>) -> io::Result<Self> {
        Ok(Self { server: EndpointServer::start(clock).await?, redactor: None })
    }

    /// Returns this endpoint with a redactor attached: the ids and tokens of its grants (while they are valid) and
    /// all credentials that it serves are masked.
    ///
    /// # Examples
    /// ```no_run
    /// use std::sync::Arc;
    /// use valetkey_mcp::{CredentialEndpoint, Redactor};
    ///
    /// # async fn example() -> std::io::Result<()> {
    /// let redactor = Arc::new(Redactor::default());
    /// let endpoint = CredentialEndpoint::start().await?.with_redactor(&redactor);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_redactor(&self, redactor: &Arc<Redactor>) -> Self {
        Self { server: Arc::clone(&self.server), redactor: Some(Arc::clone(redactor)) }
    }

    /// Grants read access to `account`, until the returned grant is dropped. Any program that has the grant's token
    /// can read the account's credentials. `holder` names the reader in the audit records.
    ///
    /// Each fetch is recorded in the audit log as `serve`, or as `deny` with the reason.
    ///
    /// # Examples
    /// ```no_run
    /// use tokio::process::Command;
    /// use valetkey_core::SessionAccount;
    /// use valetkey_mcp::CredentialEndpoint;
    /// use valetkey_mcp::endpoint::AdvertisedExpiry;
    ///
    /// # async fn example(endpoint: &CredentialEndpoint, account: SessionAccount) -> std::io::Result<()> {
    /// let grant = endpoint.grant(account, "report", AdvertisedExpiry::default());
    /// let status = Command::new("report")
    ///     .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", grant.url())
    ///     .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", grant.expose_token())
    ///     .status()
    ///     .await?;
    /// // The program cannot read credentials any more.
    /// drop(grant);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn grant(
        &self,
        account: SessionAccount,
        holder: impl Into<String>,
        advertised_expiry: AdvertisedExpiry,
    ) -> Grant {
        Grant::new(&self.server, account, holder.into(), advertised_expiry, self.redactor.clone())
    }

    /// Stops serving. Existing grants remain valid values, but requests to them fail.
    ///
    /// # Examples
    /// ```
    /// use tokio::net::TcpStream;
    /// use valetkey_core::SessionContext;
    /// use valetkey_mcp::CredentialEndpoint;
    /// use valetkey_mcp::endpoint::AdvertisedExpiry;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let session = SessionContext::builder().build();
    /// # let account = session.account(session.default_account())?;
    /// let endpoint = CredentialEndpoint::start().await?;
    /// let grant = endpoint.grant(account, "report", AdvertisedExpiry::default());
    /// let url = grant.url();
    /// let address = url.split('/').nth(2).unwrap();
    /// assert!(TcpStream::connect(address).await.is_ok());
    /// endpoint.stop().await;
    /// assert!(TcpStream::connect(address).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Once the future has been polled, serving ends even if the future is dropped.
    pub async fn stop(&self) {
        self.server.stop().await;
    }
}

impl fmt::Debug for CredentialEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialEndpoint").field("address", &self.server.address()).finish_non_exhaustive()
    }
}
