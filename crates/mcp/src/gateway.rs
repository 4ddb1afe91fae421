//! `Gateway`: serves the credential tools and all proxied tools of one session over MCP.

mod approval;
mod changes;
mod direct_call;
mod legacy_tasks;
mod protocol;
mod service;
mod stream_client;
mod subscription_request;
mod transport;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rmcp::service::serve_server_with_ct;
use rmcp::transport::io::stdio_pipes;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use valetkey_core::{AccountName, Error, ErrorKind, Result, SessionContext};
use valetkey_tools::{CREDENTIAL_SESSION, ToolDefinition, ToolOutput, ToolSet};

use crate::catalog::ItemCatalog;
use crate::client::ClientContext;
use crate::connection::{ListKind, RefusedRequest};
use crate::host::{ItemRequest, ToolCall, add_account_argument, error_result};
use crate::server::RequestFailure;
use crate::subscriptions::{ClientSubscriptions, ResourceSubscription, UpdateQueue};
use crate::{AccessRequests, McpHost, ServerError};
use service::describe_accounts;
use transport::{ClientTransport, EofNotifier};

pub(crate) use approval::OwnCalls;
#[cfg(feature = "http")]
pub(crate) use changes::Change;
pub(crate) use changes::ChangeNotifier;
#[cfg(feature = "http")]
pub(crate) use direct_call::DirectCall;
use direct_call::DirectCalls;
#[cfg(feature = "http")]
pub(crate) use legacy_tasks::with_task_capability;
#[cfg(feature = "http")]
pub(crate) use service::attach_params;
pub(crate) use service::{ContentSource, GatewayService};

/// The time for sending responses to a client that has closed its side, before its servers are stopped; and again
/// before the connection is abandoned.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);

/// Serves one session to one MCP client, with a legacy or the modern protocol, over standard input and output or any
/// other stream.
///
/// # Examples
/// ```no_run
/// use tokio_util::sync::CancellationToken;
/// use valetkey_core::SessionContext;
/// use valetkey_mcp::Gateway;
/// use valetkey_tools::ToolSet;
///
/// # async fn example() -> valetkey_core::Result<()> {
/// let session = SessionContext::builder().build();
/// let tools = ToolSet::for_session(session.clone());
/// Gateway::new(session, tools).serve_stdio(CancellationToken::new()).await
/// # }
/// ```
#[derive(Debug)]
pub struct Gateway {
    session: SessionContext,
    inner: GatewayInner,
}

/// The tools of one session: its credential tools, and the tools of its host.
#[derive(Debug)]
pub(crate) struct GatewayInner {
    tools: ToolSet,
    host: Option<Arc<McpHost>>,
    own_calls: Arc<OwnCalls>,
    /// Whether the client has sent a valid request.
    initialized: AtomicBool,
    subscriptions: ClientSubscriptions,
}

impl Gateway {
    /// Creates a gateway that serves `tools`, which act on `session`.
    #[must_use]
    pub fn new(session: SessionContext, tools: ToolSet) -> Self {
        Self { session, inner: GatewayInner::new(tools, None, Arc::default()) }
    }

    /// Adds the tools of the host's servers.
    ///
    /// The host must run servers for the gateway's session. A caller that keeps a reference can
    /// [reconfigure](McpHost::reconfigure) it while the gateway serves. A credential tool takes precedence over a proxied tool of
    /// the same name.
    ///
    /// # Examples
    /// ```no_run
    /// use tokio_util::sync::CancellationToken;
    /// use valetkey_core::{Result, SessionContext};
    /// use valetkey_mcp::{Gateway, McpConfig, McpHost};
    /// use valetkey_tools::ToolSet;
    ///
    /// # async fn example(config: McpConfig) -> Result<()> {
    /// let session = SessionContext::builder().build();
    /// let host = McpHost::builder(&session, config).start().await?;
    /// let tools = ToolSet::for_session(session.clone());
    /// Gateway::new(session, tools).with_host(host).serve_stdio(CancellationToken::new()).await
    /// # }
    /// ```
    #[must_use]
    pub fn with_host(mut self, host: impl Into<Arc<McpHost>>) -> Self {
        self.inner.host = Some(host.into());
        self
    }

    /// Lists requests for access, so that an operator can decide about them (default: only the person at the client
    /// decides). A client that cannot show a form then waits for the operator.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::SessionContext;
    /// use valetkey_mcp::{AccessRequests, Gateway};
    /// use valetkey_tools::ToolSet;
    ///
    /// let requests = AccessRequests::new();
    /// let session = SessionContext::builder().build();
    /// let tools = ToolSet::for_session(session.clone());
    /// let gateway = Gateway::new(session, tools).with_access_requests(requests.clone());
    /// assert!(requests.list().is_empty());
    /// # drop(gateway);
    /// ```
    #[must_use]
    pub fn with_access_requests(mut self, requests: AccessRequests) -> Self {
        self.inner.own_calls = Arc::new(OwnCalls::new(Some(requests)));
        self
    }

    /// Serves over standard input and output, like [`serve`](Self::serve). Nothing else may write to standard output.
    ///
    /// # Errors
    /// See [`serve`](Self::serve).
    pub async fn serve_stdio(self, stop: CancellationToken) -> Result<()> {
        let (input, output) = stdio_pipes();
        self.serve(input, output, stop).await
    }

    /// Serves until the client closes its side or `stop` fires; then closes the session and stops every server.
    ///
    /// # Examples
    /// ```no_run
    /// use tokio::net::UnixListener;
    /// use tokio_util::sync::CancellationToken;
    /// use valetkey_core::SessionContext;
    /// use valetkey_mcp::Gateway;
    /// use valetkey_tools::ToolSet;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = UnixListener::bind("/run/agent/mcp.sock")?;
    /// let (stream, _) = listener.accept().await?;
    /// let (input, output) = stream.into_split();
    /// let session = SessionContext::builder().build();
    /// let tools = ToolSet::for_session(session.clone());
    /// Gateway::new(session, tools).serve(input, output, CancellationToken::new()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A client that disconnects before its first valid request is an error, because it is usually no MCP client:
    /// ```
    /// use tokio_util::sync::CancellationToken;
    /// use valetkey_core::{ErrorKind, SessionContext};
    /// use valetkey_mcp::Gateway;
    /// use valetkey_tools::ToolSet;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (client, server) = tokio::io::duplex(4096);
    /// let (input, output) = tokio::io::split(server);
    /// let session = SessionContext::builder().build();
    /// let tools = ToolSet::for_session(session.clone());
    /// drop(client);
    /// let served = Gateway::new(session.clone(), tools).serve(input, output, CancellationToken::new()).await;
    /// assert_eq!(served.unwrap_err().kind(), ErrorKind::Unavailable);
    /// assert!(session.is_closed());
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Unavailable` when the client disconnects before it has sent a valid MCP request; `Internal` when the gateway's
    /// task failed.
    ///
    /// # Cancel safety
    /// Not cancel safe. Dropping the future closes the session, but does not wait for the servers to exit. Cancel
    /// `stop` for an orderly shutdown.
    pub async fn serve<R, W>(self, input: R, output: W, stop: CancellationToken) -> Result<()>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let inner = Arc::new(self.inner);
        let source = Arc::clone(&inner) as Arc<dyn ContentSource>;
        let changes = ChangeNotifier::new(inner.host.as_deref());
        let calls = DirectCalls::new(Arc::clone(&source), stop.clone());
        let service = GatewayService::new(source, describe_accounts(&self.session), changes);
        let closing = CloseSessionOnDrop(self.session);
        let disconnected = CancellationToken::new();
        let input = EofNotifier::new(input, disconnected.clone());
        let transport = ClientTransport::new(input, output, calls);
        let running = match serve_server_with_ct(service, transport, stop.clone()).await {
            Ok(running) => running,
            Err(_handshake_failed) => {
                inner.stop(closing).await;
                let is_fine = stop.is_cancelled() || inner.initialized.load(Ordering::Acquire);
                let no_handshake = "the client left before a protocol was agreed on";
                return if is_fine { Ok(()) } else { Err(Error::new(ErrorKind::Unavailable, no_handshake)) };
            }
        };
        let peer = running.peer().clone();
        let changes = ChangeNotifier::new(inner.host.as_deref());
        let changes = changes.with_updates(Arc::clone(inner.subscriptions.queue()));
        let announcing = pin!(changes.notify_legacy(&peer));
        let mut serving = pin!(running.waiting());
        let stopping = async {
            tokio::select! {
                () = disconnected.cancelled() => {}
                () = stop.cancelled() => {}
            }
            sleep(SHUTDOWN_GRACE).await;
        };
        let ended = tokio::select! {
            ended = &mut serving => Ok(ended),
            // Responses are pending. They complete as soon as the servers are stopped, but the client may not read
            // them.
            () = stopping => Err(()),
            never = announcing => match never {},
        };
        inner.stop(closing).await;
        let ended = match ended {
            Ok(ended) => Ok(ended),
            Err(()) => timeout(SHUTDOWN_GRACE, serving).await,
        };
        match ended {
            Ok(Err(failed)) => {
                Err(Error::new(ErrorKind::Internal, "the gateway's task failed").with_source(failed))
            }
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }
}

impl GatewayInner {
    pub(crate) fn new(tools: ToolSet, host: Option<Arc<McpHost>>, own_calls: Arc<OwnCalls>) -> Self {
        Self {
            tools,
            host,
            own_calls,
            initialized: AtomicBool::new(false),
            subscriptions: ClientSubscriptions::default(),
        }
    }

    /// Returns the host of the session's servers, if it has one.
    #[cfg(feature = "http")]
    pub(crate) fn host(&self) -> Option<&McpHost> {
        self.host.as_deref()
    }

    /// Closes the session first, so that the servers cannot use its credentials while they shut down.
    async fn stop(&self, closing: CloseSessionOnDrop) {
        drop(closing);
        // Pending requests may keep the host alive beyond this, so its servers are stopped explicitly.
        if let Some(host) = &self.host {
            host.stop().await;
        }
    }

    /// Returns one list of the servers. It is the same value until the list changes.
    pub(crate) async fn list_catalog(&self, kind: ListKind) -> Arc<ItemCatalog> {
        let Some(host) = &self.host else { return Arc::default() };
        let (catalog, errors) = match kind {
            ListKind::Tools => host.list_tools().await,
            kind => host.list(kind).await,
        };
        log_errors(kind, &catalog, &errors);
        catalog
    }

    /// Returns the definition of every tool, with those of servers in `catalog`, for a session with these accounts. Tools
    /// of servers can select an account if there are several.
    pub(crate) fn define_tools(&self, catalog: &ItemCatalog, accounts: &[AccountName]) -> Vec<Value> {
        self.define_tools_beside(&self.tools, catalog, accounts)
    }

    /// Like [`define_tools`](Self::define_tools), with other credential tools.
    pub(crate) fn define_tools_beside(
        &self,
        own: &ToolSet,
        catalog: &ItemCatalog,
        accounts: &[AccountName],
    ) -> Vec<Value> {
        let mut tools: Vec<Value> = own.definitions().map(tool_definition).collect();
        let proxied = catalog.items().iter().filter(|tool| own.get(&tool.name).is_none());
        tools.extend(proxied.map(|tool| self.with_session_argument(add_account_argument(tool, accounts))));
        tools
    }

    /// Adds the session argument, which is never passed on to the server, to the definition of a server's tool.
    fn with_session_argument(&self, mut definition: Value) -> Value {
        let fields = definition.get_mut("inputSchema").and_then(Value::as_object_mut);
        if let (Some(fields), Some(schema)) = (fields, self.tools.session_argument_schema()) {
            let properties = fields.entry("properties").or_insert_with(|| json!({}));
            if let Some(properties) = properties.as_object_mut() {
                properties.insert(CREDENTIAL_SESSION.to_owned(), schema);
            }
        }
        definition
    }
}

#[async_trait]
impl ContentSource for GatewayInner {
    fn record_request(&self, client: &ClientContext) {
        self.initialized.store(true, Ordering::Release);
        if let Some(host) = &self.host {
            host.admit_client(client);
        }
    }

    fn has_servers(&self) -> bool {
        self.host.as_deref().is_some_and(McpHost::has_servers)
    }

    fn has_tasks(&self) -> bool {
        self.host.as_deref().is_some_and(McpHost::has_tasks)
    }

    async fn may_be_task(&self, tool: &str) -> bool {
        match &self.host {
            Some(host) => host.may_be_task(tool).await,
            None => false,
        }
    }

    async fn list(&self, kind: ListKind) -> Vec<Value> {
        if kind != ListKind::Tools {
            return self
                .list_catalog(kind)
                .await
                .items()
                .iter()
                .map(|item| item.definition.clone())
                .collect();
        }
        let accounts = self.host.as_deref().map(McpHost::list_accounts);
        self.define_tools(&*self.list_catalog(kind).await, &accounts.unwrap_or_default())
    }

    async fn call_tool(
        &self,
        mut call: ToolCall,
        context: &ClientContext,
    ) -> std::result::Result<Option<Value>, RefusedRequest> {
        if self.tools.get(&call.name).is_some() {
            let result = self.own_calls.call(&self.tools, call, context).await;
            if let Some(host) = &self.host {
                host.announce_accounts();
            }
            return result;
        }
        let Some(host) = &self.host else { return Ok(None) };
        match call.arguments.as_mut().map_or(Ok(None), |arguments| self.tools.extract_session(arguments)) {
            Ok(narrowed) => host.call_with_session(narrowed.as_ref(), call, context).await,
            Err(error) => Ok(Some(error_result(&error))),
        }
    }

    async fn instructions(&self) -> Vec<(String, String)> {
        match &self.host {
            Some(host) => host.instructions().await,
            None => Vec::new(),
        }
    }

    async fn subscribe(
        &self,
        uri: &str,
        queue: &Arc<UpdateQueue>,
        context: &ClientContext,
    ) -> std::result::Result<ResourceSubscription, RequestFailure> {
        match &self.host {
            Some(host) => host.subscribe(uri, queue, context).await,
            None => Err(no_server().into()),
        }
    }

    fn subscriptions(&self) -> Option<&ClientSubscriptions> {
        Some(&self.subscriptions)
    }

    async fn request(
        &self,
        request: ItemRequest,
        context: &ClientContext,
    ) -> std::result::Result<Value, RequestFailure> {
        match &self.host {
            Some(host) => host.request(None, request, context).await,
            None => Err(no_server().into()),
        }
    }
}

fn log_errors(kind: ListKind, catalog: &ItemCatalog, errors: &[ServerError]) {
    for failed in errors.iter().chain(catalog.errors()) {
        tracing::warn!(server = %failed.server, list = kind.items_field(), error = %failed.error, "server fault");
    }
}

fn no_server() -> Error {
    Error::new(ErrorKind::NotConfigured, "no server is configured")
}

pub(crate) fn tool_definition(tool: &ToolDefinition) -> Value {
    let mut definition = json!({
        "name": tool.name,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "annotations": {
            "readOnlyHint": tool.annotations.read_only,
            "destructiveHint": tool.annotations.destructive,
            "idempotentHint": tool.annotations.idempotent,
            "openWorldHint": tool.annotations.open_world,
        },
    });
    if let Some(title) = &tool.title {
        definition["title"] = json!(title);
    }
    if let Some(schema) = &tool.output_schema {
        definition["outputSchema"] = schema.clone();
    }
    definition
}

pub(crate) fn call_result(output: ToolOutput) -> Value {
    let mut result = json!({"content": [{"type": "text", "text": output.text}], "isError": output.is_error});
    if let Some(structured) = output.structured {
        result["structuredContent"] = structured;
    }
    result
}

/// Closes the session when it is dropped, so that a dropped future of [`Gateway::serve`] closes it too.
struct CloseSessionOnDrop(SessionContext);

impl Drop for CloseSessionOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for GatewayService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayService").finish_non_exhaustive()
    }
}
