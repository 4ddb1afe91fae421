//! A client that writes its own requests, so that tests control every header.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::keys::{secret_of_key, token_of_key};

/// A client of one principal. It is modern until it has initialized a protocol session.
#[derive(Clone)]
pub(crate) struct HttpClientFixture {
    address: SocketAddr,
    /// The path of the MCP endpoint.
    pub(crate) path: String,
    pub(crate) token: Option<String>,
    pub(crate) session_id: Option<String>,
    /// The handle in the header `Valetkey-Session`.
    pub(crate) handle: Option<String>,
    pub(crate) capabilities: Value,
    last_id: u64,
}

/// A response with its whole body.
#[derive(Debug)]
pub(crate) struct HttpReply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl HttpReply {
    /// Returns the body as JSON, or the last message of an event stream.
    pub(crate) fn json(&self) -> Value {
        let data = self.body.lines().rev().find_map(|line| line.strip_prefix("data: "));
        serde_json::from_str(data.unwrap_or(&self.body)).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Returns the status and the JSON-RPC error code.
    pub(crate) fn error(&self) -> (u16, i64) {
        (self.status, self.json()["error"]["code"].as_i64().unwrap_or_else(|| panic!("{self:?}")))
    }
}

impl HttpClientFixture {
    pub(crate) fn new(address: SocketAddr, token: Option<&str>) -> Self {
        let token = token.map(str::to_owned);
        Self {
            address,
            path: "/mcp".to_owned(),
            token,
            session_id: None,
            handle: None,
            capabilities: json!({}),
            last_id: 0,
        }
    }

    /// Opens a protocol session.
    pub(crate) async fn initialize(&mut self) {
        let reply = self.send(self.initialize_request()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.json()["result"]["protocolVersion"], "2025-11-25");
        self.session_id = Some(reply.header("mcp-session-id").unwrap().to_owned());
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(self.post(&initialized).await.status, 202);
    }

    pub(crate) fn initialize_request(&self) -> Request<Full<Bytes>> {
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": self.capabilities,
            "clientInfo": {"name": "test", "version": "1"},
        });
        self.request_with(
            "POST",
            &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string(),
        )
    }

    /// Returns a request with the headers of this client and this body.
    pub(crate) fn request_with(&self, method: &str, body: &str) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(&self.path)
            .header("host", self.address.to_string())
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(session_id) = &self.session_id {
            request = request.header("mcp-session-id", session_id);
        }
        if let Some(handle) = &self.handle {
            request = request.header("valetkey-session", handle);
        }
        request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
    }

    /// Returns a POST of a message, with the headers that the message requires.
    pub(crate) fn request_for(&self, message: &Value) -> Request<Full<Bytes>> {
        let mut request = self.request_with("POST", &message.to_string());
        if self.session_id.is_none() {
            let headers = request.headers_mut();
            headers.insert("mcp-protocol-version", HeaderValue::from_static("2026-07-28"));
            headers.insert("mcp-method", message["method"].as_str().unwrap_or_default().parse().unwrap());
            let params = &message["params"];
            if let Some(name) =
                params["name"].as_str().or(params["uri"].as_str()).or(params["taskId"].as_str())
            {
                headers.insert("mcp-name", name.parse().unwrap());
            }
        }
        request
    }

    /// Returns a message of this client's era.
    pub(crate) fn message(&mut self, method: &str, mut params: Value) -> Value {
        self.last_id += 1;
        if let (None, Some(params)) = (&self.session_id, params.as_object_mut()) {
            let mut meta = request_meta(&self.capabilities);
            if let (Some(Value::Object(own)), Some(meta)) = (params.remove("_meta"), meta.as_object_mut()) {
                meta.extend(own);
            }
            params.insert("_meta".to_owned(), meta);
        }
        json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params})
    }

    pub(crate) async fn post(&self, message: &Value) -> HttpReply {
        self.send(self.request_for(message)).await
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> HttpReply {
        self.send_on(TcpStream::connect(self.address).await.unwrap(), request).await
    }

    /// Sends a request on this connection.
    pub(crate) async fn send_on(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        request: Request<Full<Bytes>>,
    ) -> HttpReply {
        let (parts, body) = open_on(stream, request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        HttpReply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends a request on a connection of its own, and returns the response with its body unread.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        open_on(TcpStream::connect(self.address).await.unwrap(), request).await
    }

    pub(crate) async fn request(&mut self, method: &str, params: Value) -> HttpReply {
        let message = self.message(method, params);
        self.post(&message).await
    }

    /// Calls a tool and returns the result.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let reply = self.request("tools/call", json!({"name": tool, "arguments": arguments})).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let mut message = reply.json();
        assert!(message["result"].is_object(), "{message}");
        message["result"].take()
    }

    /// Calls a tool that succeeds, and returns its structured content.
    pub(crate) async fn call_ok(&mut self, tool: &str, arguments: Value) -> Value {
        let mut result = self.call(tool, arguments).await;
        assert_ne!(result["isError"], json!(true), "{result}");
        result["structuredContent"].take()
    }

    /// Calls a tool that fails, and returns the text of the error.
    pub(crate) async fn call_error(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], json!(true), "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// Opens a credential session and returns its handle.
    pub(crate) async fn create_session(&mut self) -> String {
        let created = self.call_ok("create_credential_session", json!({})).await;
        created["credential_session"].as_str().unwrap().to_owned()
    }

    /// Sets the credentials named `name`, with the tool that a model uses.
    pub(crate) async fn set(&mut self, name: &str) {
        let keys = json!({
            "access_key_id": format!("ASIA000000000000{name}"),
            "secret_access_key": secret_of_key(name),
            "session_token": token_of_key(name),
        });
        let set = self.call("set_aws_credentials_context", json!({"credentials_json": keys})).await;
        assert_ne!(set["isError"], json!(true), "{set}");
    }

    /// Returns the key that the session has, by its last four characters.
    pub(crate) async fn own_key(&mut self) -> Value {
        self.call_ok("get_aws_credentials_context", json!({})).await["key_suffix"].take()
    }

    /// Returns the key that the fixture server signs with, and its process id.
    pub(crate) async fn whoami(&mut self) -> (String, u32) {
        let answer = self.call_ok("fixture__whoami", json!({})).await;
        (answer["key"].as_str().unwrap().to_owned(), crate::host_fixture::pid(&answer))
    }
}

async fn open_on(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Response<Incoming> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap()
}

/// Sets a header of a request.
pub(crate) fn with_header(
    mut request: Request<Full<Bytes>>,
    name: &'static str,
    value: &str,
) -> Request<Full<Bytes>> {
    request.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
    request
}

/// Removes a header of a request.
pub(crate) fn without_header(mut request: Request<Full<Bytes>>, name: &str) -> Request<Full<Bytes>> {
    request.headers_mut().remove(name);
    request
}

fn request_meta(capabilities: &Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    })
}
