//! `LocalAws`: the HTTP server and its handle.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::request_log::RequestRecord;
use super::services::Services;
use super::spec::LocalAwsBuilder;

/// Longer than any single request takes.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running local STS and Secrets Manager.
///
/// It listens on a free port of 127.0.0.1. Dropping the handle stops the server; [`stop`](Self::stop) also waits until
/// the server has ended.
pub struct LocalAws {
    address: SocketAddr,
    services: Arc<Services>,
    stop: oneshot::Sender<()>,
    server_task: JoinHandle<io::Result<()>>,
}

impl LocalAws {
    /// Returns a builder for a local AWS.
    pub fn builder() -> LocalAwsBuilder {
        LocalAwsBuilder::default()
    }

    pub(super) async fn serve(services: Services) -> io::Result<Self> {
        let services = Arc::new(services);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(handle_request).with_state(Arc::clone(&services));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async {
            // A dropped handle stops the server as well.
            let _ = stopped.await;
        });
        let server = tokio::spawn(async move { serving.await });
        Ok(Self { address, services, stop, server_task: server })
    }

    /// Returns the value for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the latest 10,000 requests, oldest first. They contain no secrets.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.services.requests()
    }

    /// Returns the ARN of the secret `name` of `account`, if it exists.
    #[must_use]
    pub fn secret_arn(&self, account: &str, name: &str) -> Option<String> {
        self.services.secret_arn(account, name)
    }

    /// Makes `value` the current version of a secret and returns the id of that version.
    ///
    /// Returns `None`, and changes nothing, if no secret has this name or ARN, or if secrets of several accounts have
    /// this name.
    pub fn rotate_secret(&self, name_or_arn: &str, value: &str) -> Option<String> {
        self.services.rotate_secret(name_or_arn, value)
    }

    /// Brings the expiry of all temporary credentials issued so far forward by `by`.
    ///
    /// The shortest role session lasts 15 minutes; this lets a demonstration show an expired one at once.
    pub fn advance_expiry(&self, by: Duration) {
        self.services.advance_expiry(by);
    }

    /// Stops the server and waits until it has ended.
    ///
    /// # Errors
    /// `TimedOut` if a request had to be aborted; otherwise the server's own error.
    ///
    /// # Cancel safety
    /// Dropping the future stops the server without waiting for it.
    pub async fn stop(self) -> io::Result<()> {
        let Self { stop, server_task: mut server, .. } = self;
        drop(stop);
        match timeout(STOP_TIMEOUT, &mut server).await {
            Ok(joined) => joined.map_err(io::Error::other)?,
            Err(_) => {
                server.abort();
                Err(io::Error::new(io::ErrorKind::TimedOut, "a request of the local AWS was aborted"))
            }
        }
    }
}

async fn handle_request(State(services): State<Arc<Services>>, request: Request) -> Response {
    services.respond(request).await
}

impl fmt::Debug for LocalAws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalAws").field("address", &self.address).finish_non_exhaustive()
    }
}
