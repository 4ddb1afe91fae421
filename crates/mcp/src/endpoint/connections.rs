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
const MOST: usize = 320;
/// From connecting to the end of the answer. A first set is waited for less long.
const LONGEST: Duration = Duration::from_secs(5);
/// Before accepting again when the machine has nothing left to accept with.
const PAUSE: Duration = Duration::from_millis(50);
/// The head of a request; no SDK's is larger.
const LARGEST_HEAD: usize = 16 * 1024;

/// Accepts until it is dropped, and then ends every connection.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let mut open = Open::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => open.admit(stream, &router),
            Err(error) => {
                tracing::debug!(%error, "the credential endpoint could not accept");
                sleep(PAUSE).await;
            }
        }
    }
}

/// The oldest first.
#[derive(Default)]
struct Open(VecDeque<Connection>);

struct Connection {
    task: AbortHandle,
    /// A request was read.
    asked: Arc<AtomicBool>,
}

impl Open {
    /// Takes the connection in, in place of a silent one if need be; refuses it when every other one has asked.
    fn admit(&mut self, stream: TcpStream, router: &Router) {
        self.0.retain(|connection| !connection.task.is_finished());
        if self.0.len() >= MOST {
            let silent = self.0.iter().position(|connection| !connection.asked.load(Ordering::Acquire));
            if silent.and_then(|silent| self.0.remove(silent)).is_none() {
                return;
            }
        }
        let asked = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(converse(stream, router.clone(), Arc::clone(&asked))).abort_handle();
        self.0.push_back(Connection { task, asked });
    }
}

/// One request, and its answer.
async fn converse(stream: TcpStream, router: Router, asked: Arc<AtomicBool>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        asked.store(true, Ordering::Release);
        answer(router.clone(), request)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), answer);
    // Whoever is not done by then, or breaks off, has no answer to wait for.
    let _ended = timeout(LONGEST, connection).await;
}

async fn answer(mut router: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
    router.call(request).await
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}
