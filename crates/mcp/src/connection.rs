//! An MCP connection to a child, in which results stay the JSON that the child sent.

mod lines;
mod listing;
mod raw;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, ClientConfig, ClientRequest, CustomRequest, Implementation, ProtocolVersion,
    ServerResult,
};
use rmcp::service::ClientServiceExt;
use rmcp::service::{
    ClientLifecycleMode, NotificationContext, Peer, PeerRequestOptions, RunningService, ServiceError,
};
use rmcp::{ClientHandler, RoleClient};
use serde_json::{Map, Value, json};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use listing::Listing;
use raw::{Input, RawTransport};

/// How long a server may take to hear of something that nobody waits for: a cancellation, or the end.
const PARTING: Duration = Duration::from_millis(500);

/// How a child speaks MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// Ask `server/discover` first, and fall back to `initialize` when that is refused.
    Probe,
    /// `initialize` at once: for children that end on an unknown first message.
    Legacy,
}

/// An established connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    peer: Peer<RoleClient>,
    tools_changed: Arc<AtomicBool>,
}

/// What keeps a [`Connection`] going; dropping it ends the connection.
pub(crate) struct Session {
    running: RunningService<RoleClient, Client>,
    input: Input,
}

/// Why a request was not answered with a result.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// The server answered with a protocol error.
    Refused { code: i32, message: String },
    /// The connection is gone, most likely because the server ended.
    Gone,
    /// The caller took the request back.
    Cancelled,
    /// The answer did not come in time, and the request was taken back.
    TimedOut(Duration),
    /// A list has no end, or too much in it.
    Endless,
}

impl Connection {
    /// Establishes a connection over a child's streams.
    pub(crate) async fn open(
        stdout: ChildStdout,
        stdin: ChildStdin,
        era: Era,
    ) -> io::Result<(Self, Session)> {
        let keep_raw = Arc::new(AtomicBool::new(false));
        let input = Input::new(stdin);
        let transport = RawTransport::new(stdout, input.clone(), Arc::clone(&keep_raw));
        let tools_changed = Arc::new(AtomicBool::new(true));
        let client = Client { tools_changed: Arc::clone(&tools_changed) };
        let lifecycle = match era {
            Era::Legacy => ClientLifecycleMode::Initialize,
            Era::Probe => ClientLifecycleMode::Auto {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
            },
        };
        let running = client.serve_with_lifecycle(transport, lifecycle).await.map_err(io::Error::other)?;
        keep_raw.store(true, Ordering::Release);
        Ok((Self { peer: running.peer().clone(), tools_changed }, Session { running, input }))
    }

    /// Sends a request and gives back its result as the child sent it. The child is told when `cancelled` fires.
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
                let told = handle.cancel(Some("cancelled by the caller".to_owned()));
                // A child that is gone needs no telling, and one that does not read cannot be told.
                let _untold = timeout(PARTING, told).await;
                return Err(RequestError::Cancelled);
            }
        };
        match answer.map_err(|_closed| RequestError::Gone)?? {
            ServerResult::CustomResult(result) => Ok(result.0),
            other => serde_json::to_value(other).map_err(|_unlikely| RequestError::Gone),
        }
    }

    /// Every tool of the server, as the server describes it.
    pub(crate) async fn list_tools(&self, cancelled: &CancellationToken) -> Result<Vec<Value>, RequestError> {
        self.tools_changed.store(false, Ordering::Release);
        let listed = self.list_pages(cancelled).await;
        if listed.is_err() {
            // What was listed before is still not what the server has now.
            self.tools_changed.store(true, Ordering::Release);
        }
        listed
    }

    async fn list_pages(&self, cancelled: &CancellationToken) -> Result<Vec<Value>, RequestError> {
        let mut listing = Listing::default();
        let mut params = json!({});
        loop {
            let page = self.request("tools/list", params, cancelled).await?;
            match listing.add(page)? {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => return Ok(listing.tools()),
            }
        }
    }

    /// Calls a tool.
    pub(crate) async fn call_tool(
        &self,
        name: &str,
        arguments: Option<Map<String, Value>>,
        cancelled: &CancellationToken,
    ) -> Result<Value, RequestError> {
        let params = json!({"name": name, "arguments": arguments.unwrap_or_default()});
        self.request("tools/call", params, cancelled).await
    }

    /// Whether the server said that its tools changed since they were last listed.
    pub(crate) fn tools_changed(&self) -> bool {
        self.tools_changed.load(Ordering::Acquire)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.peer.is_transport_closed()
    }
}

impl Session {
    /// Ends the connection, in bounded time whatever the server does.
    pub(crate) async fn close(mut self) {
        self.input.close().await;
        // What is left of it ends with the process.
        let _ended = self.running.close_with_timeout(PARTING).await;
    }
}

impl From<ServiceError> for RequestError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::McpError(refusal) => {
                Self::Refused { code: refusal.code.0, message: refusal.message.into_owned() }
            }
            ServiceError::Cancelled { .. } => Self::Cancelled,
            _ => Self::Gone,
        }
    }
}

/// valetkey towards a server.
pub(crate) struct Client {
    tools_changed: Arc<AtomicBool>,
}

impl ClientHandler for Client {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.tools_changed.store(true, Ordering::Release);
    }

    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("valetkey", env!("CARGO_PKG_VERSION")),
        )
    }
}
