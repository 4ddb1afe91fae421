//! `HttpClient`: a subject over streamable HTTP, on one connection that stays open.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::process::Child;

use super::client::REVISION;
use crate::Result;

pub(crate) struct HttpClient {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    path: &'static str,
    /// The id of the protocol session, if the subject has one.
    session: Option<String>,
    /// The bearer token of each request.
    token: Option<String>,
    /// Killed when the last client is dropped.
    _process: Option<Arc<Child>>,
}

impl HttpClient {
    pub(crate) async fn connect(
        address: SocketAddr,
        path: &'static str,
        process: Option<Arc<Child>>,
    ) -> Result<Self> {
        let sender = open_connection(address).await?;
        Ok(Self { sender, address, path, session: None, token: None, _process: process })
    }

    /// Forgets the protocol session, and continues as the holder of this token.
    pub(crate) fn switch_to(&mut self, token: &str) {
        self.session = None;
        self.token = Some(token.to_owned());
    }

    /// Sends a message and returns the JSON of its response, also out of an event stream.
    pub(crate) async fn send_request(&mut self, message: String) -> Result<Vec<u8>> {
        let mut request = Request::post(self.path)
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream");
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session).header("mcp-protocol-version", REVISION);
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        // A server may close a connection that was idle while another subject was measured.
        if self.sender.ready().await.is_err() {
            self.sender = open_connection(self.address).await?;
            self.sender.ready().await?;
        }
        let response = self.sender.send_request(request.body(Full::from(message))?).await?;
        let status = response.status();
        if let Some(session) = response.headers().get("mcp-session-id") {
            self.session = Some(session.to_str()?.to_owned());
        }
        let is_stream = response.headers().get(header::CONTENT_TYPE);
        let is_stream = is_stream.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(if is_stream { last_event(&body)?.to_vec() } else { body.to_vec() })
    }
}

pub(crate) async fn open_connection(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Returns the data of the last event that has any.
pub(crate) fn last_event(stream: &[u8]) -> Result<&[u8]> {
    let lines = stream.split(|byte| *byte == b'\n');
    let mut data = lines.filter_map(|line| line.strip_prefix(b"data:")).filter(|data| data.len() > 2);
    data.next_back().ok_or_else(|| "the stream has no response".into())
}
