//! An MCP connection to a child, in which results stay the JSON that the child sent.

mod lines;
mod raw;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
use tokio_util::sync::CancellationToken;

use raw::RawTransport;

/// Pages of a tool list that are followed; more is a server that never stops.
const MOST_PAGES: usize = 100;

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
pub(crate) struct Session(RunningService<RoleClient, Client>);

/// Why a request was not answered with a result.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// The server answered with a protocol error.
    Refused { code: i32, message: String },
    /// The connection is gone, most likely because the server ended.
    Gone,
    /// The caller took the request back.
    Cancelled,
}

impl Connection {
    /// Establishes a connection over a child's streams.
    pub(crate) async fn open(
        stdout: ChildStdout,
        stdin: ChildStdin,
        era: Era,
    ) -> io::Result<(Self, Session)> {
        let keep_raw = Arc::new(AtomicBool::new(false));
        let transport = RawTransport::new(stdout, stdin, Arc::clone(&keep_raw));
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
        Ok((Self { peer: running.peer().clone(), tools_changed }, Session(running)))
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
                // The child may be gone already, and then needs no telling.
                let _gone = handle.cancel(Some("cancelled by the caller".to_owned())).await;
                return Err(RequestError::Cancelled);
            }
        };
        match answer.map_err(|_closed| RequestError::Gone)?? {
            ServerResult::CustomResult(result) => Ok(result.0),
            other => serde_json::to_value(other).map_err(|_unlikely| RequestError::Gone),
        }
    }

    /// Every tool of the server, as the server describes it.
    pub(crate) async fn list_tools(&self) -> Result<Vec<Value>, RequestError> {
        self.tools_changed.store(false, Ordering::Release);
        let (mut tools, mut params) = (Vec::new(), json!({}));
        for _ in 0..MOST_PAGES {
            let page = self.request("tools/list", params, &CancellationToken::new()).await?;
            let Value::Object(mut page) = page else { break };
            if let Some(Value::Array(more)) = page.remove("tools") {
                tools.extend(more);
            }
            match page.remove("nextCursor") {
                Some(Value::String(cursor)) => params = json!({"cursor": cursor}),
                _ => break,
            }
        }
        Ok(tools)
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
    /// Ends the connection.
    pub(crate) async fn close(mut self) {
        let _ended = self.0.close().await;
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
