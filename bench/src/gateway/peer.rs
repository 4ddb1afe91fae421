//! The programs between which calls are measured: a server with one tool, a relay of bytes, and a forwarder that is
//! made of rmcp alone.

use std::borrow::Cow;
use std::process::Stdio;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{Peer, RequestContext, RunningService, ServiceExt};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService, stdio};
use rmcp::{ErrorData, RoleClient, RoleServer, ServerHandler};
use serde_json::json;
use tokio::io::copy;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::Result;

fn tools_only() -> ServerConfig {
    ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
}

/// The server: returns the text it is given.
struct EchoServer;

impl ServerHandler for EchoServer {
    fn get_info(&self) -> ServerConfig {
        tools_only()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<ListToolsResult, ErrorData> {
        let schema = json!({"type": "object", "properties": {"text": {"type": "string"}}});
        let schema = schema.as_object().cloned().unwrap_or_default();
        Ok(ListToolsResult::with_all_items(vec![Tool::new("echo", "Returns the text.", Arc::new(schema))]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let text = arguments.get("text").and_then(|text| text.as_str()).unwrap_or_default();
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}

/// Forwards lists and calls to a server, with the typed models of rmcp.
struct PassThrough(Peer<RoleClient>);

impl ServerHandler for PassThrough {
    fn get_info(&self) -> ServerConfig {
        tools_only()
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<ListToolsResult, ErrorData> {
        self.0.list_tools(request).await.map_err(forward_failed)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<CallToolResponse, ErrorData> {
        self.0.call_tool(request).await.map(Into::into).map_err(forward_failed)
    }
}

fn forward_failed(error: impl ToString) -> ErrorData {
    ErrorData::internal_error(Cow::Owned(error.to_string()), None)
}

/// Serves `echo` over stdio.
pub(crate) async fn serve_echo() -> Result<()> {
    EchoServer.serve(stdio()).await?.waiting().await?;
    Ok(())
}

/// Copies bytes between the own streams and those of a server, in both directions.
pub(crate) async fn relay(server: &[String]) -> Result<()> {
    let mut process = command(server)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = process.stdin.take().ok_or("the server has no input")?;
    let mut output = process.stdout.take().ok_or("the server has no output")?;
    let (mut own_input, mut own_output) = stdio();
    tokio::select! {
        copied = copy(&mut own_input, &mut input) => copied?,
        copied = copy(&mut output, &mut own_output) => copied?,
    };
    Ok(())
}

async fn connect(server: &[String]) -> Result<RunningService<RoleClient, ()>> {
    let mut process = command(server)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let output = process.stdout.take().ok_or("the server has no output")?;
    let input = process.stdin.take().ok_or("the server has no input")?;
    tokio::spawn(async move { process.wait().await });
    Ok(().serve((output, input)).await?)
}

/// Forwards from stdio to a server on stdio.
pub(crate) async fn pass_through(server: &[String]) -> Result<()> {
    let server = connect(server).await?;
    PassThrough(server.peer().clone()).serve(stdio()).await?.waiting().await?;
    Ok(())
}

/// Forwards from streamable HTTP to a server on stdio. Prints its address.
pub(crate) async fn pass_through_http(server: &[String]) -> Result<()> {
    let server = connect(server).await?;
    let peer = server.peer().clone();
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(
        move || Ok(PassThrough(peer.clone())),
        sessions,
        StreamableHttpServerConfig::default(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        // Otherwise each event stream waits 40 ms for an acknowledgement.
        stream.set_nodelay(true)?;
        let service = hyper_util::service::TowerToHyperService::new(service.clone());
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}

fn command(words: &[String]) -> Result<Command> {
    let (program, arguments) = words.split_first().ok_or("no server is named")?;
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    Ok(command)
}
