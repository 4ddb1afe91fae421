//! The endpoint's connections: so many at a time, each for one request and for seconds.
//!
//! A child that opens connections and asks nothing must not lock the others out. When all places are taken, the
//! connection goes that has been silent longest; those that asked are answered.

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

/// More than all requests that are answered at a time, so that a reader who is turned away is told.
const MAX_CONNECTIONS: usize = 320;
/// From connecting to the end of the answer. A first set is waited for less long.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Before accepting again when the machine has nothing left to accept with.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// The head of a request; no SDK's is larger.
const MAX_HEAD_SIZE: usize = 16 * 1024;

/// Accepts until it is dropped, and then ends every connection.
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

/// The oldest first.
#[derive(Default)]
struct ConnectionSet(VecDeque<OpenConnection>);

struct OpenConnection {
    task: AbortHandle,
    /// A request was read.
    has_request: Arc<AtomicBool>,
}

impl ConnectionSet {
    /// Takes the connection in, in place of a silent one if need be; refuses it when every other one has asked.
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

/// One request, and its answer.
async fn serve_connection(stream: TcpStream, router: Router, has_request: Arc<AtomicBool>) {
    let service = service_fn(move |request: Request<Incoming>| {
        has_request.store(true, Ordering::Release);
        handle_request(router.clone(), request)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_SIZE)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever is not done by then, or breaks off, has no answer to wait for.
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
