//! The listener, and the state that its requests share.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use valetkey_core::{Error, ErrorKind, Result};

use super::ProxySettings;
use super::connections::{ClientConnection, ConnectionSet, InProgress};
use super::exchange::handle_request;
use super::upstream_client::UpstreamClient;
use crate::payload::BodyError;
use crate::placeholder::PlaceholderState;
use crate::routes::Routes;

/// Limit on concurrent requests; further ones are throttled.
pub(super) const MAX_REQUESTS: usize = 512;
/// Limit on the time for a request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Delay before accepting again after an error, for example when the machine is out of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// Limit on the size of the head of a request or response, and on each buffer of a connection, in bytes. A transfer whose
/// receiver is slow fills four to five buffers; smaller ones cost throughput (`cargo xtask bench --only signing`).
pub(super) const MAX_BUFFER: usize = 64 * 1024;

/// The state that the listener's task and all placeholders share.
///
/// Invariant: a placeholder is in `placeholders` from its creation until it is dropped or the server stops. A request finds
/// its placeholder here, so a revoked one has no effect from the next request on.
pub(crate) struct ProxyServer {
    address: SocketAddr,
    placeholders: Mutex<HashMap<String, Arc<PlaceholderState>>>,
    routes: Routes,
    pub(super) settings: ProxySettings,
    pub(super) client: UpstreamClient,
    pub(super) requests: Semaphore,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl ProxyServer {
    pub(super) async fn start(settings: ProxySettings) -> Result<Arc<Self>> {
        let unbound =
            |error| Error::new(ErrorKind::Unavailable, "no loopback port can be bound").with_source(error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(unbound)?;
        let server = Arc::new(Self {
            address: listener.local_addr().map_err(unbound)?,
            placeholders: Mutex::default(),
            routes: Routes::new()?,
            client: UpstreamClient::new(settings.https_proxy.as_ref())?,
            settings,
            requests: Semaphore::new(MAX_REQUESTS),
            task: Mutex::new(None),
        });
        // The task has only a weak reference to the server, so that dropping the last handle stops it.
        let serving = accept_connections(listener, Arc::downgrade(&server));
        *server.task.lock() = Some(tokio::spawn(serving));
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }

    pub(crate) fn register(&self, placeholder: Arc<PlaceholderState>) {
        self.placeholders.lock().insert(placeholder.access_key_id.clone(), placeholder);
    }

    pub(crate) fn revoke(&self, access_key_id: &str) {
        self.placeholders.lock().remove(access_key_id);
    }

    pub(super) fn find(&self, access_key_id: &str) -> Option<Arc<PlaceholderState>> {
        self.placeholders.lock().get(access_key_id).cloned()
    }

    /// Stops the listener and removes all placeholders, so that requests on open connections fail too.
    pub(super) async fn stop(&self) {
        self.placeholders.lock().clear();
        let task = self.task.lock().take();
        if let Some(task) = task {
            task.abort();
            let _aborted = task.await;
        }
    }
}

impl Drop for ProxyServer {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }
}

/// Accepts connections until the future is dropped, which ends every open connection.
async fn accept_connections(listener: TcpListener, server: Weak<ProxyServer>) {
    let mut open = ConnectionSet::default();
    loop {
        match listener.accept().await {
            Ok((stream, client)) => open.accept(stream, client, &server),
            Err(error) => {
                tracing::debug!(%error, "the signing proxy could not accept");
                sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

pub(super) async fn serve_connection(
    stream: TcpStream,
    client: Arc<ClientConnection>,
    server: Weak<ProxyServer>,
    requests: Arc<AtomicUsize>,
) {
    let _without_delay = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let (server, progress) = (Weak::clone(&server), InProgress::new(&requests));
        let client = Arc::clone(&client);
        async move {
            let response = handle_request(server, &client, request).await;
            drop(progress);
            Ok::<http::Response<UnsyncBoxBody<Bytes, BodyError>>, Infallible>(response)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_BUFFER);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(64).max_header_list_size(64 * 1024);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection of the signing proxy ended");
    }
}
