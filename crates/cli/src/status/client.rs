//! Requests the status of a gateway over its socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Limit on the time for a status.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Limit on the size of a status, in bytes: that of some ten thousand sessions.
const MAX_SIZE: usize = 16 << 20;

/// Returns the status of the gateway behind a socket.
///
/// # Errors
/// `ConnectionRefused` if no program listens on the socket.
pub(super) async fn read_status(socket: &Path) -> io::Result<Value> {
    timeout(TIMEOUT, request(socket)).await?
}

async fn request(socket: &Path) -> io::Result<Value> {
    let stream = TokioIo::new(UnixStream::connect(socket).await?);
    let (mut sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
    let request = Request::get("/status").header("host", "localhost").body(Empty::<Bytes>::new());
    let request = request.map_err(io::Error::other)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        if !response.status().is_success() {
            return Err(io::Error::other(format!("it responded with {}", response.status())));
        }
        let body = Limited::new(response.into_body(), MAX_SIZE).collect().await.map_err(io::Error::other)?;
        serde_json::from_slice(&body.to_bytes()).map_err(io::Error::from)
    };
    // The connection is driven by this future, and ends with it.
    tokio::pin!(connection);
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        status = &mut exchange => return status,
        ended = &mut connection => ended.map_err(io::Error::other)?,
    }
    exchange.await
}
