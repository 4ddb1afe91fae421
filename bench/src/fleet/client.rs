//! `ToolClient`: calls valetkey's own tools over HTTP, without a protocol session.

use std::net::SocketAddr;

use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use serde_json::{Value, json};

use crate::Result;
use crate::gateway::http_client::{last_event, open_connection};

const REVISION: &str = "2026-07-28";

/// A client of one gateway. It connects at the first call, and again after a failure.
pub(crate) struct ToolClient {
    address: SocketAddr,
    /// The bearer token of each request.
    token: Option<String>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// What a tool has returned.
pub(crate) struct ToolReply(Value);

impl ToolReply {
    /// Returns the structured content, or the code of the error.
    pub(crate) fn content(&self) -> std::result::Result<&Value, &str> {
        let content = &self.0["structuredContent"];
        if self.0["isError"] != true {
            return Ok(content);
        }
        Err(content["error"]["code"].as_str().unwrap_or("an error without a code"))
    }

    pub(crate) fn into_content(self) -> Result<Value> {
        match self.content() {
            Ok(content) => Ok(content.clone()),
            Err(code) => Err(format!("the tool returned `{code}`: {}", self.0).into()),
        }
    }

    /// Returns the last characters of the key that a session has, or the code of the error.
    pub(crate) fn key(&self) -> &str {
        match self.content() {
            Ok(content) => content["key_suffix"].as_str().unwrap_or("no key"),
            Err(code) => code,
        }
    }
}

impl ToolClient {
    pub(crate) const fn new(address: SocketAddr, token: Option<String>) -> Self {
        Self { address, token, sender: None }
    }

    /// Continues as the holder of this token.
    pub(crate) fn set_token(&mut self, token: Option<String>) {
        self.token = token;
    }

    /// Calls a tool in a session.
    pub(crate) async fn call_in(
        &mut self,
        session: &str,
        tool: &str,
        mut arguments: Value,
    ) -> Result<ToolReply> {
        arguments["credential_session"] = json!(session);
        self.call(tool, &arguments).await
    }

    /// Opens a session, and returns its handle.
    pub(crate) async fn create(&mut self) -> Result<String> {
        let created = self.call("create_credential_session", &json!({})).await?.into_content()?;
        let handle = created["credential_session"].as_str().ok_or("the session has no handle")?;
        Ok(handle.to_owned())
    }

    /// Sets a key whose id ends with these four characters.
    pub(crate) async fn set(
        &mut self,
        session: &str,
        key: &str,
        expiration: Option<&str>,
    ) -> Result<ToolReply> {
        let mut keys = json!({
            "access_key_id": format!("ASIA000000000000{key}"),
            "secret_access_key": "s".repeat(40),
            "session_token": "t".repeat(436),
        });
        if let Some(expiration) = expiration {
            keys["expiration"] = json!(expiration);
        }
        self.call_in(session, "set_aws_credentials_context", json!({"credentials_json": keys})).await
    }

    pub(crate) async fn status(&mut self, session: &str) -> Result<ToolReply> {
        self.call_in(session, "get_aws_credentials_context", json!({})).await
    }

    /// Calls a tool, and waits for its result.
    ///
    /// # Errors
    /// A failure of the connection or of the protocol. That of the tool is a reply.
    pub(crate) async fn call(&mut self, tool: &str, arguments: &Value) -> Result<ToolReply> {
        let mut sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => open_connection(self.address).await?,
        };
        sender.ready().await?;
        let response = sender.send_request(self.request(tool, arguments)?).await?;
        let status = response.status();
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let body = response.into_body().collect().await?.to_bytes();
        self.sender = Some(sender);
        let message = if is_stream { last_event(&body)? } else { &body[..] };
        let mut message: Value = serde_json::from_slice(message)?;
        if !status.is_success() || message["result"].is_null() {
            return Err(format!("{status}: {message}").into());
        }
        Ok(ToolReply(message["result"].take()))
    }

    fn request(&self, tool: &str, arguments: &Value) -> Result<Request<Full<Bytes>>> {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": REVISION,
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let request = Request::post("/mcp")
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header("mcp-protocol-version", REVISION)
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool);
        let request = self
            .token
            .iter()
            .fold(request, |request, token| request.header(header::AUTHORIZATION, format!("Bearer {token}")));
        Ok(request.body(Full::from(message.to_string()))?)
    }
}
