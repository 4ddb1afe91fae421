//! `Connection`: an MCP connection to a child process. Results stay the JSON that the child sent.
//!
//! A connection has two parts: [`Connection`], which callers clone, and [`ConnectionDriver`], which the supervisor
//! keeps and which ends the connection when it is dropped. A request has three ways to end: its response, its
//! cancellation, of which the child is notified, and the end of the connection.

mod handshake;
mod in_flight;
mod pages;
mod transport;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, ClientConfig, ClientRequest, CustomRequest, Implementation, ProtocolVersion,
    ServerResult,
};
use rmcp::service::ClientServiceExt;
use rmcp::service::{NotificationContext, Peer, PeerRequestOptions, RunningService, ServiceError};
use rmcp::{ClientHandler, RoleClient};
use serde_json::{Map, Value, json};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::codec::FramedRead;
use tokio_util::sync::CancellationToken;

use handshake::probe_handshake;
pub(crate) use handshake::{Handshake, HandshakeError};
use pages::PageCollector;
use transport::{ChildWriter, RawTransport, UNREADABLE_CODE};

use crate::json::JsonLineDecoder;

/// The timeout for notifying a server of a cancellation or of the end of the connection.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// An established connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    peer: Peer<RoleClient>,
    tools_changed: Arc<AtomicBool>,
    change_notify: Arc<Notify>,
}

/// Drives a [`Connection`]. Dropping the driver ends the connection.
pub(crate) struct ConnectionDriver {
    running: RunningService<RoleClient, ServerClientHandler>,
    input: ChildWriter,
}

/// Why a request has no result.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// The server responded with a protocol error.
    Refused { code: i32, message: String },
    /// The server's response cannot be read.
    Unreadable(String),
    /// The connection is closed, most likely because the server exited.
    Disconnected,
    /// The caller cancelled the request.
    Cancelled,
    /// The response did not arrive within this time, and the request was cancelled.
    TimedOut(Duration),
    /// A list has too many pages or is too large.
    ListTooLarge,
}

impl Connection {
    /// Establishes a connection over the streams of a child. Returns the handshake that the child supports.
    pub(crate) async fn open(
        stdout: ChildStdout,
        stdin: ChildStdin,
        handshake: Handshake,
    ) -> Result<(Self, ConnectionDriver, Handshake), HandshakeError> {
        let keep_raw = Arc::new(AtomicBool::new(false));
        let input = ChildWriter::new(stdin);
        let mut lines = FramedRead::new(stdout, JsonLineDecoder::default());
        let handshake =
            if handshake == Handshake::Probe { probe_handshake(&mut lines, &input).await } else { handshake };
        let transport = RawTransport::new(lines, input.clone(), Arc::clone(&keep_raw));
        let tools_changed = Arc::new(AtomicBool::new(true));
        let changes = Arc::new(Notify::new());
        let client = ServerClientHandler {
            tools_changed: Arc::clone(&tools_changed),
            change_notify: Arc::clone(&changes),
            initialize_version: handshake.initialize_version(),
        };
        let running = client.serve_with_lifecycle(transport, handshake.lifecycle()).await?;
        keep_raw.store(true, Ordering::Release);
        let peer = running.peer().clone();
        Ok((
            Self { peer, tools_changed, change_notify: changes },
            ConnectionDriver { running, input },
            handshake,
        ))
    }

    /// Sends a request and returns its result as the child sent it. When `cancelled` fires, the child is notified and
    /// the request fails.
    pub(crate) async fn request(
        &self,
        method: &str,
        params: Value,
        cancelled: &CancellationToken,
    ) -> Result<Value, RequestError> {
        let request = ClientRequest::CustomRequest(CustomRequest::new(method, Some(params)));
        let mut handle =
            self.peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await?;
        let answer = tokio::select! {
            answer = &mut handle.rx => answer,
            () = cancelled.cancelled() => {
                let notification = handle.cancel(Some("cancelled by the caller".to_owned()));
                // A child that has exited or does not read cannot be notified, and neither is an error.
                let _notified = timeout(CLOSE_TIMEOUT, notification).await;
                return Err(RequestError::Cancelled);
            }
        };
        match answer.map_err(|_closed| RequestError::Disconnected)?? {
            ServerResult::CustomResult(result) => Ok(result.0),
            other => serde_json::to_value(other).map_err(|_unlikely| RequestError::Disconnected),
        }
    }

    /// Fetches the tool definitions of the server, and the error that ended the list early. Pages read before the error
    /// are kept.
    pub(crate) async fn list_tools(
        &self,
        cancelled: &CancellationToken,
    ) -> (Vec<Value>, Option<RequestError>) {
        self.tools_changed.store(false, Ordering::Release);
        let mut listing = PageCollector::default();
        let incomplete = self.list_pages(&mut listing, cancelled).await.err();
        if incomplete.is_some() {
            // The list is incomplete, so it does not count as current.
            self.tools_changed.store(true, Ordering::Release);
        }
        (listing.into_tools(), incomplete)
    }

    async fn list_pages(
        &self,
        listing: &mut PageCollector,
        cancelled: &CancellationToken,
    ) -> Result<(), RequestError> {
        let mut params = json!({});
        loop {
            let page = self.request("tools/list", params, cancelled).await?;
            match listing.add_page(page)? {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => return Ok(()),
            }
        }
    }

    pub(crate) async fn call_tool(
        &self,
        name: &str,
        arguments: Option<Map<String, Value>>,
        cancelled: &CancellationToken,
    ) -> Result<Value, RequestError> {
        let params = json!({"name": name, "arguments": arguments.unwrap_or_default()});
        self.request("tools/call", params, cancelled).await
    }

    /// Whether the server has announced a change of its tools since they were last listed, or the list is incomplete.
    pub(crate) fn tools_changed(&self) -> bool {
        self.tools_changed.load(Ordering::Acquire)
    }

    /// Waits until the server announces a change of its tools. Cancel safe.
    pub(crate) async fn wait_tools_change(&self) {
        self.change_notify.notified().await;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.peer.is_transport_closed()
    }
}

impl ConnectionDriver {
    /// Closes the connection in bounded time, whatever the server does.
    pub(crate) async fn close(mut self) {
        self.input.close().await;
        // Anything that remains ends with the process.
        let _ended = self.running.close_with_timeout(CLOSE_TIMEOUT).await;
    }
}

impl From<ServiceError> for RequestError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::McpError(error) if error.code.0 == UNREADABLE_CODE => {
                Self::Unreadable(error.message.into_owned())
            }
            ServiceError::McpError(refusal) => {
                Self::Refused { code: refusal.code.0, message: refusal.message.into_owned() }
            }
            ServiceError::Cancelled { .. } => Self::Cancelled,
            _ => Self::Disconnected,
        }
    }
}

/// Handles the requests and notifications of a server, as its MCP client.
pub(crate) struct ServerClientHandler {
    tools_changed: Arc<AtomicBool>,
    change_notify: Arc<Notify>,
    /// The protocol version that `initialize` offers. The newest version has no `initialize`.
    initialize_version: ProtocolVersion,
}

impl ClientHandler for ServerClientHandler {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.tools_changed.store(true, Ordering::Release);
        // `Notify` keeps the permit until a waiter consumes it.
        self.change_notify.notify_one();
    }

    fn get_info(&self) -> ClientConfig {
        let mut info = ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("valetkey", env!("CARGO_PKG_VERSION")),
        );
        info.protocol_version = self.initialize_version.clone();
        info
    }
}
