//! `SigningProxy`: a listener on the loopback interface that signs what programs send through it.

mod connections;
mod exchange;
mod record;
mod request_body;
mod revocation;
mod server;
mod settings;
mod upstream;
mod upstream_client;

use std::fmt;
use std::sync::Arc;

use valetkey_core::{Result, SessionAccount};

pub use settings::ProxySettings;

pub(crate) use server::ProxyServer;

use crate::placeholder::Placeholder;
use crate::rules::Rules;

/// Signs the requests of programs that have placeholders, with the current credentials of their sessions.
///
/// One proxy serves any number of sessions. Clones share the listener. It stops on [`stop`](Self::stop), or when the last
/// clone and the last placeholder are dropped.
///
/// Requests arrive over HTTP/1.1 or cleartext HTTP/2 and are forwarded over TLS; redirects are not followed.
///
/// # Audit
/// Each request is recorded once in the audit log of its session, with
/// [`RequestDetails`](valetkey_core::audit::RequestDetails) and without any of its content:
///
/// | request | event | written |
/// |---|---|---|
/// | sent, with a response | `request`, with the status | when the response ends, or the program leaves it |
/// | sent, without a response | `request`, with the failure | when that is known |
/// | refused | `deny`, with the kind of the refusal | at once |
/// | left by its program before it was sent | none | |
///
/// A record is written even if the session ends before the response does.
///
/// # Examples
/// ```no_run
/// use tokio::process::Command;
/// use valetkey_core::SessionAccount;
/// use valetkey_signing::{Rules, SigningProxy};
///
/// # async fn example(account: SessionAccount) -> Result<(), Box<dyn std::error::Error>> {
/// let proxy = SigningProxy::start().await?;
/// let placeholder = proxy.placeholder(account, "report", Rules::default());
/// Command::new("report").env_clear().envs(placeholder.environment()).status().await?;
/// // Requests with these keys are refused from here on.
/// drop(placeholder);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SigningProxy {
    server: Arc<ProxyServer>,
}

impl SigningProxy {
    /// Binds a free port on 127.0.0.1 and serves until stopped. Spawns one task on the current tokio runtime.
    ///
    /// The proxy verifies dates with the clock of the machine, and sends requests to the endpoints of AWS.
    /// # Errors
    /// `Unavailable` if no port can be bound, `Internal` if the certificates that the machine trusts cannot be read.
    pub async fn start() -> Result<Self> {
        Self::start_with(ProxySettings::default()).await
    }

    /// Like [`start`](Self::start), with other settings.
    ///
    /// # Examples
    /// ```no_run
    /// use valetkey_signing::routes::EndpointVariant;
    /// use valetkey_signing::{ProxySettings, SigningProxy};
    ///
    /// # async fn example() -> valetkey_core::Result<()> {
    /// let settings = ProxySettings::default().variant(EndpointVariant::Fips);
    /// let proxy = SigningProxy::start_with(settings).await?;
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(settings: ProxySettings) -> Result<Self> {
        Ok(Self { server: ProxyServer::start(settings).await? })
    }

    /// Creates an identity for one program. Its requests are signed with the credentials of `account` and limited by
    /// `rules`, until the returned placeholder is dropped. `holder` names the program in the audit records.
    #[must_use]
    pub fn placeholder(
        &self,
        account: SessionAccount,
        holder: impl Into<String>,
        rules: Rules,
    ) -> Placeholder {
        Placeholder::new(&self.server, account, holder.into(), rules)
    }

    /// Stops serving. Requests with existing placeholders fail, and requests in progress end.
    ///
    /// # Cancel safety
    /// Once the future has been polled, serving ends even if the future is dropped.
    pub async fn stop(&self) {
        self.server.stop().await;
    }
}

impl fmt::Debug for SigningProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningProxy").field("address", &self.server.address()).finish_non_exhaustive()
    }
}
