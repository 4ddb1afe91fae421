//! The listener and its connections.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::router::{HttpState, handle};

/// Limit on open connections; further ones are closed. It exceeds the default limit on requests in progress, so that a
/// client over that limit still gets a response.
const MAX_CONNECTIONS: usize = 2_048;
/// The time for the head of a request, and for the pause between two requests of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Limit on the size of a request head, in bytes: larger than the largest token.
const MAX_HEAD_SIZE: usize = 64 * 1024;
/// Delay before accepting again after an error, for example when the machine is out of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Accepts connections until the future is dropped. The connections are tracked by `connections`, and end when the
/// state is stopping.
pub(super) async fn accept_connections(
    listener: &TcpListener,
    state: &Arc<HttpState>,
    connections: &TaskTracker,
) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // A connection over the limit is closed.
                let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
                let serving = serve_stream(stream, Arc::clone(state));
                connections.spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "the gateway could not accept a connection");
                sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

/// Serves a connection, encrypted if the gateway has a certificate.
async fn serve_stream(stream: TcpStream, state: Arc<HttpState>) {
    // Without it, the second event of a stream waits for an acknowledgement, which takes 40 ms. An error means that the
    // client has left.
    let _gone = stream.set_nodelay(true);
    let Some(identity) = state.tls.clone() else { return serve_connection(stream, state).await };
    let encrypted = tokio::select! {
        encrypted = identity.accept(stream) => encrypted,
        () = state.stopping.cancelled() => None,
    };
    if let Some(encrypted) = encrypted {
        serve_connection(encrypted, state).await;
    }
}

/// Serves the requests of one connection. When the gateway stops, the request in progress still gets its response.
async fn serve_connection(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, state: Arc<HttpState>) {
    let serving = Arc::clone(&state);
    let service = service_fn(move |request| {
        let state = Arc::clone(&serving);
        async move { Ok::<_, Infallible>(handle(state, request).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD_SIZE)
            .serve_connection(TokioIo::new(stream), service)
    );
    // Errors of a connection concern only its client, which has left or does not speak HTTP.
    tokio::select! {
        _ended = connection.as_mut() => return,
        () = state.stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ended = connection => {}
        () = state.closed.cancelled() => {}
    }
}
