//! Requests to a running gateway over its socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::runtime_dir;
use crate::error::CliError;

/// Limit on the time for a response.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Limit on the size of a response, in bytes: that of a status of some ten thousand sessions.
const MAX_SIZE: usize = 16 << 20;

/// A request to a gateway.
#[derive(Debug, Clone)]
pub(crate) struct OpsRequest {
    method: Method,
    path: String,
    body: String,
}

/// The response of a gateway.
#[derive(Debug)]
pub(crate) struct OpsResponse {
    pub(crate) status: StatusCode,
    body: Bytes,
}

impl OpsRequest {
    /// Reads the status.
    pub(crate) fn status() -> Self {
        Self { method: Method::GET, path: "/status".to_owned(), body: String::new() }
    }

    /// Changes something.
    pub(crate) fn post(path: impl Into<String>, body: &Value) -> Self {
        Self { method: Method::POST, path: path.into(), body: body.to_string() }
    }

    /// Sends the request to the gateway behind a socket.
    ///
    /// # Errors
    /// `ConnectionRefused` if no program listens on the socket.
    async fn send(&self, socket: &Path) -> io::Result<OpsResponse> {
        timeout(TIMEOUT, self.exchange(socket)).await?
    }

    async fn exchange(&self, socket: &Path) -> io::Result<OpsResponse> {
        let stream = TokioIo::new(UnixStream::connect(socket).await?);
        let (mut sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
        let request = Request::builder().method(&self.method).uri(&self.path).header(HOST, "localhost");
        let request = match self.body.as_str() {
            "" => request,
            _ => request.header(CONTENT_TYPE, "application/json"),
        };
        let request = request.body(Full::<Bytes>::from(self.body.clone())).map_err(io::Error::other)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(io::Error::other)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_SIZE).collect().await;
            Ok(OpsResponse { status, body: body.map_err(io::Error::other)?.to_bytes() })
        };
        // The connection is driven by this future, and ends with it.
        tokio::pin!(connection);
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            response = &mut exchange => return response,
            ended = &mut connection => ended.map_err(io::Error::other)?,
        }
        exchange.await
    }

    /// Sends the request to each gateway of this user, or to the one with this socket. A gateway that ends meanwhile is
    /// left out.
    pub(crate) async fn send_all(&self, socket: Option<&PathBuf>) -> Result<Vec<OpsResponse>, CliError> {
        if let Some(socket) = socket {
            return self.send(socket).await.map(|response| vec![response]).map_err(|error| {
                CliError::failed(format!(
                    "{} cannot be read: {error}; name the socket of a running gateway",
                    socket.display()
                ))
            });
        }
        let sockets = runtime_dir::sockets().map_err(|error| CliError::failed(error.to_string()))?;
        let sent = join_all(sockets.iter().map(|socket| self.send(socket))).await;
        let mut responses = Vec::new();
        for (socket, response) in sockets.iter().zip(sent) {
            match response {
                Ok(response) => responses.push(response),
                // Its gateway was killed. The folder is that of this user.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    let _gone = std::fs::remove_file(socket);
                }
                Err(error) => {
                    tracing::warn!(socket = %socket.display(), %error, "a gateway does not respond")
                }
            }
        }
        Ok(responses)
    }
}

impl OpsResponse {
    /// Returns the body of a successful response.
    pub(crate) fn json(&self) -> Result<Value, String> {
        if !self.status.is_success() {
            return Err(format!("it responded with {}: {}", self.status, self.text()));
        }
        serde_json::from_slice(&self.body).map_err(|error| error.to_string())
    }

    /// Returns the body as text, without the end of its line.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end().to_owned()
    }
}
