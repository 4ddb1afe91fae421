//! The endpoint's connections: limited in number and duration, with one request for each.
//!
//! A child that opens connections without sending a request must not lock out the others. When the limit is reached,
//! the oldest connection without a request is closed. Connections with a request are kept.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tower_service::Service;

/// More than the number of concurrent requests, so that a client over that limit gets an error response.
const MAX_CONNECTIONS: usize = 320;
/// The time from connecting to the end of the response. Longer than the wait for an account's first credentials.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Delay before accepting again after an error, for example when the machine is out of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// Limit on the size of a request head, in bytes. No SDK sends larger ones.
const MAX_HEAD_SIZE: usize = 16 * 1024;

/// Accepts connections until the future is dropped, which ends every open connection.
pub(super) async fn accept_connections(listener: TcpListener, router: Router) {
    let mut open = ConnectionSet::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => open.accept(stream, &router),
            Err(error) => {
                tracing::debug!(%error, "the credential endpoint could not accept");
                sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

/// The open connections, oldest first.
#[derive(Default)]
struct ConnectionSet(VecDeque<OpenConnection>);

struct OpenConnection {
    task: AbortHandle,
    /// Whether a request was read.
    has_request: Arc<AtomicBool>,
}

impl ConnectionSet {
    /// Serves the connection. At the limit, it replaces the oldest connection without a request; if there is none,
    /// the new connection is refused.
    fn accept(&mut self, stream: TcpStream, router: &Router) {
        self.0.retain(|connection| !connection.task.is_finished());
        if self.0.len() >= MAX_CONNECTIONS {
            let idle = self.0.iter().position(|connection| !connection.has_request.load(Ordering::Acquire));
            if idle.and_then(|silent| self.0.remove(silent)).is_none() {
                return;
            }
        }
        let has_request = Arc::new(AtomicBool::new(false));
        let task =
            tokio::spawn(serve_connection(stream, router.clone(), Arc::clone(&has_request))).abort_handle();
        self.0.push_back(OpenConnection { task, has_request });
    }
}

/// Serves one request.
async fn serve_connection(stream: TcpStream, router: Router, has_request: Arc<AtomicBool>) {
    let service = service_fn(move |request: Request<Incoming>| {
        has_request.store(true, Ordering::Release);
        handle_request(router.clone(), request)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_SIZE)
        .serve_connection(TokioIo::new(stream), service);
    // The result is not needed: after a timeout or an early disconnect, no client is waiting for the response.
    let _ended = timeout(CONNECTION_TIMEOUT, connection).await;
}

async fn handle_request(mut router: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
    router.call(request).await
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.task.abort();
    }
}
