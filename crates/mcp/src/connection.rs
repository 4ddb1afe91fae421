//! `Connection`: an MCP connection to a server. Results stay the JSON that the server sent.
//!
//! A connection has two parts: [`Connection`], which callers clone, and [`ConnectionDriver`], which the supervisor
//! keeps and which ends the connection when it is dropped. A request has three ways to end: its response, its
//! cancellation, of which the child is notified, and the end of the connection.

mod handshake;
mod in_flight;
mod lists;
mod requests;
mod server_messages;
mod transport;
mod watched;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, ClientConfig, Implementation, ProtocolVersion, RequestId,
    ResourceUpdatedNotificationParam,
};
use rmcp::service::ClientServiceExt;
use rmcp::service::{NotificationContext, Peer, RunningService};
use rmcp::{ClientHandler, RoleClient};
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use tokio_util::codec::FramedRead;
use tokio_util::sync::CancellationToken;

use handshake::probe_handshake;
pub(crate) use handshake::{Handshake, HandshakeError};
use lists::{AnnouncedChanges, PageCollector};
pub(crate) use lists::{Announcement, ListKind, PerList};
use requests::{ClientCall, ForgetGuard, NewRequest, SharedRequests};
pub(crate) use transport::{REMOTE_FAILURE_CODE, ServerInput, ServerOutput};
use transport::{RawTransport, ServerWriter};
use watched::WatchedResources;

use crate::Redactor;
use crate::client::{ClientContext, ClientSlot, Refusal};
use crate::json::JsonLineDecoder;
use crate::meta::{LOG_LEVEL, PROGRESS_TOKEN, client_meta};

/// The timeout for notifying a server of a cancellation or of the end of the connection.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// An established connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    /// Sends the requests of rmcp, and knows what the server has declared.
    peer: Peer<RoleClient>,
    input: ServerWriter,
    requests: SharedRequests,
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

impl From<Refusal> for RefusedRequest {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code(), message: refusal.message().to_owned(), data: None }
    }
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
        let requests = SharedRequests::default();
        let input = ServerWriter::new(stdin);
        let mut lines = FramedRead::new(stdout, JsonLineDecoder::default());
        let handshake =
            if handshake == Handshake::Probe { probe_handshake(&mut lines, &input).await } else { handshake };
        let transport = RawTransport::new(
            lines,
            input.clone(),
            Arc::clone(&requests),
            Arc::clone(clients),
            Arc::clone(redactor),
        );
        let keep_raw = transport.keep_raw();
        let changes = Arc::new(AnnouncedChanges::new());
        let client = ServerClientHandler {
            changes: Arc::clone(&changes),
            initialize_version: handshake.initialize_version(),
        };
        let running = client.serve_with_lifecycle(transport, handshake.lifecycle()).await?;
        keep_raw.store(true, Ordering::Release);
        let peer = running.peer().clone();
        let is_modern = handshake == Handshake::Discover;
        let (clients, watched) = (Arc::clone(clients), Arc::default());
        let connection = Self { peer, input: input.clone(), requests, changes, clients, is_modern, watched };
        Ok((connection, ConnectionDriver { running, input }, handshake))
    }

    /// Sends a request and returns its result as the child sent it. When the client cancels it, the child is notified
    /// and the request fails.
    ///
    /// # Cancel safety
    /// Dropping the future discards the result, and does not notify the child.
    pub(crate) async fn request(
        &self,
        method: &str,
        params: Value,
        context: &ClientContext,
    ) -> Result<Value, RequestError> {
        if context.cancelled.is_cancelled() {
            return Err(RequestError::Cancelled);
        }
        let client = context.link.as_ref().map(|link| ClientCall {
            link: Arc::clone(link),
            progress_token: context.progress_token.clone(),
        });
        let begun = self.requests.lock().begin(client);
        let NewRequest { id, level, response } = begun.ok_or(RequestError::Disconnected)?;
        let _forgotten = ForgetGuard::new(&self.requests, id);
        let params = self.with_meta(params, id, context);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let exchange = async {
            for message in level.iter().chain([&message]) {
                self.input.write(message).await.map_err(|_closed| RequestError::Disconnected)?;
            }
            response.await.unwrap_or(Err(RequestError::Disconnected))
        };
        match context.cancelled.run_until_cancelled(exchange).await {
            Some(outcome) => outcome,
            None => {
                self.cancel(id).await;
                Err(RequestError::Cancelled)
            }
        }
    }

    /// Notifies the child that the caller no longer needs a response. A child that has exited or does not read cannot be
    /// notified, and neither is an error.
    async fn cancel(&self, id: i64) {
        self.requests.lock().cancel(&RequestId::Number(id));
        let params = json!({"requestId": id, "reason": "cancelled by the caller"});
        let message = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
        let _notified = timeout(CLOSE_TIMEOUT, self.input.write(&message)).await;
    }

    /// Adds the metadata of a request, which describe the client to a modern server. Progress is reported under the id of
    /// the request.
    fn with_meta(&self, params: Value, id: i64, context: &ClientContext) -> Map<String, Value> {
        let mut params = match params {
            Value::Object(params) => params,
            _ => Map::new(),
        };
        let meta = params.entry("_meta").or_insert_with(|| Map::new().into());
        if !meta.is_object() {
            *meta = Map::new().into();
        }
        if self.is_modern {
            let capabilities = self.clients.profile().capabilities_for(true);
            for (key, value) in client_meta(capabilities) {
                meta[key] = value;
            }
            if let Some(level) = context.link.as_ref().and_then(|link| link.log_level()) {
                meta[LOG_LEVEL] = level.name().into();
            }
        }
        meta[PROGRESS_TOKEN] = id.into();
        params
    }

    /// Whether the server has declared that a call may return a task of the modern protocol.
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
