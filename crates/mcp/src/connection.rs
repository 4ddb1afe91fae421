//! `Connection`: an MCP connection to a server. Results stay the JSON that the server sent.
//!
//! A connection has two parts: [`Connection`], which callers clone, and [`ConnectionDriver`], which the supervisor
//! keeps and which ends the connection when it is dropped. A request has three ways to end: its response, its
//! cancellation, of which the child is notified, and the end of the connection.

mod handshake;
mod in_flight;
mod lists;
mod server_messages;
mod transport;
mod watched;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, ClientConfig, ClientRequest, CustomRequest, Implementation, ProtocolVersion,
    RequestMetaObject, ResourceUpdatedNotificationParam, ServerResult,
};
use rmcp::service::ClientServiceExt;
use rmcp::service::{NotificationContext, Peer, PeerRequestOptions, RunningService, ServiceError};
use rmcp::{ClientHandler, RoleClient};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::codec::FramedRead;
use tokio_util::sync::CancellationToken;

use handshake::probe_handshake;
pub(crate) use handshake::{Handshake, HandshakeError};
use lists::{AnnouncedChanges, PageCollector};
pub(crate) use lists::{Announcement, ListKind, PerList};
use server_messages::ClientCall;
pub(crate) use transport::{REMOTE_FAILURE_CODE, ServerInput, ServerOutput};
use transport::{RawTransport, ServerWriter, UNREADABLE_CODE};
use watched::WatchedResources;

use crate::Redactor;
use crate::client::{CLIENT_CAPABILITIES, ClientContext, ClientSlot, LOG_LEVEL};
use crate::json::JsonLineDecoder;

/// The timeout for notifying a server of a cancellation or of the end of the connection.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// An established connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    peer: Peer<RoleClient>,
    changes: Arc<AnnouncedChanges>,
    clients: Arc<ClientSlot>,
    /// Whether the server has the modern protocol.
    is_modern: bool,
    watched: Arc<WatchedResources>,
}

/// Drives a [`Connection`]. Dropping the driver ends the connection.
pub(crate) struct ConnectionDriver {
    running: RunningService<RoleClient, ServerClientHandler>,
    input: ServerWriter,
}

/// Why a request has no result.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// The server responded with a protocol error.
    Refused(RefusedRequest),
    /// The server's response cannot be read.
    Unreadable(String),
    /// A remote server cannot be reached, or has not responded in its protocol, for this reason.
    Unreachable(String),
    /// The connection is closed, most likely because the server exited.
    Disconnected,
    /// The caller cancelled the request.
    Cancelled,
    /// The response did not arrive within this time, and the request was cancelled.
    TimedOut(Duration),
    /// A list has too many pages or is too large.
    ListTooLarge,
}

/// A protocol error of a server, as the server sent it.
#[derive(Debug, Clone)]
pub(crate) struct RefusedRequest {
    pub(crate) code: i32,
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

impl Connection {
    /// Establishes a connection over the streams of a server. Returns the handshake that the server supports.
    pub(crate) async fn open(
        stdout: ServerOutput,
        stdin: ServerInput,
        handshake: Handshake,
        clients: &Arc<ClientSlot>,
        redactor: &Arc<Redactor>,
    ) -> Result<(Self, ConnectionDriver, Handshake), HandshakeError> {
        let keep_raw = Arc::new(AtomicBool::new(false));
        let input = ServerWriter::new(stdin);
        let mut lines = FramedRead::new(stdout, JsonLineDecoder::default());
        let handshake =
            if handshake == Handshake::Probe { probe_handshake(&mut lines, &input).await } else { handshake };
        let transport = RawTransport::new(
            lines,
            input.clone(),
            Arc::clone(&keep_raw),
            Arc::clone(clients),
            Arc::clone(redactor),
        );
        let changes = Arc::new(AnnouncedChanges::new());
        let client = ServerClientHandler {
            changes: Arc::clone(&changes),
            initialize_version: handshake.initialize_version(),
        };
        let running = client.serve_with_lifecycle(transport, handshake.lifecycle()).await?;
        keep_raw.store(true, Ordering::Release);
        let peer = running.peer().clone();
        let is_modern = handshake == Handshake::Discover;
        let connection =
            Self { peer, changes, clients: Arc::clone(clients), is_modern, watched: Arc::default() };
        Ok((connection, ConnectionDriver { running, input }, handshake))
    }

    /// Sends a request and returns its result as the child sent it. When the client cancels it, the child is notified
    /// and the request fails.
    pub(crate) async fn request(
        &self,
        method: &str,
        params: Value,
        context: &ClientContext,
    ) -> Result<Value, RequestError> {
        let mut request = CustomRequest::new(method, Some(params));
        if let Some(link) = &context.link {
            let progress_token = context.progress_token.clone();
            request.extensions.insert(ClientCall { link: Arc::clone(link), progress_token });
        }
        let options = PeerRequestOptions::no_options().with_meta(self.request_meta(context));
        let request = ClientRequest::CustomRequest(request);
        let mut handle = self.peer.send_cancellable_request(request, options).await?;
        let answer = tokio::select! {
            answer = &mut handle.rx => answer,
            () = context.cancelled.cancelled() => {
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

    /// Returns the metadata of a request that describe the client.
    fn request_meta(&self, context: &ClientContext) -> RequestMetaObject {
        let mut meta = RequestMetaObject::new();
        if self.is_modern {
            let capabilities = self.clients.profile().capabilities_for(true);
            meta.insert(CLIENT_CAPABILITIES.to_owned(), capabilities.into());
            if let Some(level) = context.link.as_ref().and_then(|link| link.log_level()) {
                meta.insert(LOG_LEVEL.to_owned(), level.name().into());
            }
        }
        meta
    }

    /// Whether the server has declared that a call may return a task.
    pub(crate) fn supports_tasks(&self) -> bool {
        self.peer.peer_info().is_some_and(|info| info.capabilities.supports_tasks())
    }

    /// Returns the instructions that the server gave for its use.
    pub(crate) fn instructions(&self) -> Option<String> {
        self.peer.peer_info()?.instructions.clone()
    }

    /// Whether the server has declared that it has this list.
    pub(crate) fn offers(&self, kind: ListKind) -> bool {
        self.peer.peer_info().is_none_or(|info| kind.is_offered_by(&info.capabilities))
    }

    /// Fetches a list of the server, and the error that ended the list early. Pages read before the error are kept. A
    /// list that the server does not offer is empty.
    pub(crate) async fn list(
        &self,
        kind: ListKind,
        cancelled: &CancellationToken,
    ) -> (Vec<Value>, Option<RequestError>) {
        self.changes.set_stale(kind, false);
        let mut listing = PageCollector::new(kind);
        let incomplete = match self.offers(kind) {
            true => self.list_pages(kind, &mut listing, cancelled).await.err(),
            false => None,
        };
        if !matches!(incomplete, None | Some(RequestError::ListTooLarge)) {
            // The rest may be read by the next request, unless the list is too large.
            self.changes.set_stale(kind, true);
        }
        (listing.into_items(), incomplete)
    }

    async fn list_pages(
        &self,
        kind: ListKind,
        listing: &mut PageCollector,
        cancelled: &CancellationToken,
    ) -> Result<(), RequestError> {
        let (mut params, context) = (json!({}), ClientContext::without_client(cancelled));
        loop {
            let page = self.request(kind.method(), params, &context).await?;
            match listing.add_page(page)? {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => return Ok(()),
            }
        }
    }

    /// Whether the server has announced a change of the list since it was last read, or the list is incomplete.
    pub(crate) fn is_stale(&self, kind: ListKind) -> bool {
        self.changes.is_stale(kind)
    }

    /// Waits until the server announces changes. Cancel safe.
    pub(crate) async fn wait_change(&self) -> Announcement {
        self.changes.wait().await
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
            ServiceError::McpError(error) if error.code.0 == REMOTE_FAILURE_CODE => {
                Self::Unreachable(error.message.into_owned())
            }
            ServiceError::McpError(refusal) => Self::Refused(RefusedRequest {
                code: refusal.code.0,
                message: refusal.message.into_owned(),
                data: refusal.data,
            }),
            ServiceError::Cancelled { .. } => Self::Cancelled,
            _ => Self::Disconnected,
        }
    }
}

/// Handles the requests and notifications of a server, as its MCP client.
pub(crate) struct ServerClientHandler {
    changes: Arc<AnnouncedChanges>,
    /// The protocol version that `initialize` offers. The newest version has no `initialize`.
    initialize_version: ProtocolVersion,
}

impl ClientHandler for ServerClientHandler {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changes.announce(&[ListKind::Tools]);
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changes.announce(&[ListKind::Prompts]);
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changes.announce(&ListKind::RESOURCES);
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.changes.announce_update(params.uri);
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
