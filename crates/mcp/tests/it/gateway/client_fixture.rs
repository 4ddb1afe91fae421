//! A client that reads and writes raw protocol messages, so that tests see responses unchanged.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf, split};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use valetkey_core::{Result, SessionContext};
use valetkey_mcp::config::ServerConfig;
use valetkey_mcp::{Gateway, McpHost};
use valetkey_tools::ToolSet;

use crate::host_fixture::{host_environment, mcp_config};
use crate::keys::{secret_of_key, token_of_key};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProtocolEra {
    Legacy,
    Modern,
}

pub(crate) const ERAS: [ProtocolEra; 2] = [ProtocolEra::Legacy, ProtocolEra::Modern];

/// A client connection to a gateway that runs in a background task.
pub(crate) struct GatewayClientFixture {
    pub(crate) session: SessionContext,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinHandle<Result<()>>,
    /// The response to the first message.
    pub(crate) handshake_response: Value,
    /// All received lines.
    pub(crate) received: String,
    era: ProtocolEra,
    capabilities: Value,
    input: WriteHalf<DuplexStream>,
    output: Lines<BufReader<ReadHalf<DuplexStream>>>,
    last_id: u64,
}

impl GatewayClientFixture {
    pub(crate) async fn open<const N: usize>(era: ProtocolEra, servers: [(&str, ServerConfig); N]) -> Self {
        Self::with_capabilities(era, json!({}), servers).await
    }

    pub(crate) async fn with_capabilities<const N: usize>(
        era: ProtocolEra,
        capabilities: Value,
        servers: [(&str, ServerConfig); N],
    ) -> Self {
        Self::serve_with(era, SessionContext::builder().build(), capabilities, servers).await
    }

    pub(crate) async fn serve<const N: usize>(
        era: ProtocolEra,
        session: SessionContext,
        servers: [(&str, ServerConfig); N],
    ) -> Self {
        Self::serve_with(era, session, json!({}), servers).await
    }

    pub(crate) async fn serve_with<const N: usize>(
        era: ProtocolEra,
        session: SessionContext,
        capabilities: Value,
        servers: [(&str, ServerConfig); N],
    ) -> Self {
        let gateway = gateway_for_session(&session, servers).await;
        Self::serve_gateway(era, session, capabilities, gateway).await
    }

    /// Serves `gateway`, whose tools act on `session`.
    pub(crate) async fn serve_gateway(
        era: ProtocolEra,
        session: SessionContext,
        capabilities: Value,
        gateway: Gateway,
    ) -> Self {
        let (stop, (near, far)) = (CancellationToken::new(), tokio::io::duplex(64 * 1024));
        let (input, output) = split(far);
        let serving = tokio::spawn(gateway.serve(input, output, stop.clone()));
        let (output, input) = split(near);
        let output = BufReader::new(output).lines();
        let (handshake_response, received) = (Value::Null, String::new());
        let mut client = Self {
            session,
            stop,
            serving,
            handshake_response,
            received,
            era,
            capabilities,
            input,
            output,
            last_id: 0,
        };
        client.handshake().await;
        client
    }

    async fn handshake(&mut self) {
        self.handshake_response = match self.era {
            ProtocolEra::Modern => self.request("server/discover", json!({})).await,
            ProtocolEra::Legacy => {
                let client = json!({"name": "test", "version": "1"});
                let params = json!({"protocolVersion": "2025-06-18", "capabilities": self.capabilities, "clientInfo": client});
                let greeting = self.request("initialize", params).await;
                self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
                greeting
            }
        };
    }

    /// Sends a request and returns the whole response message.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.send_request(method, params).await;
        self.receive_response(&id).await
    }

    /// Sends a request without waiting for its response.
    pub(crate) async fn send_request(&mut self, method: &str, mut params: Value) -> Value {
        self.last_id += 1;
        if let (ProtocolEra::Modern, Some(params)) = (self.era, params.as_object_mut()) {
            let mut meta = request_meta(&self.capabilities);
            if let (Some(Value::Object(own)), Some(meta)) = (params.remove("_meta"), meta.as_object_mut()) {
                meta.extend(own);
            }
            params.insert("_meta".to_owned(), meta);
        }
        let id = json!(self.last_id);
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        id
    }

    /// Reads until the response to `id`.
    pub(crate) async fn receive_response(&mut self, id: &Value) -> Value {
        loop {
            let message = self.receive().await.expect("the gateway goes on");
            if message["id"] == *id {
                return message;
            }
        }
    }

    /// Reads until the response to `id`, and responds to the requests of servers meanwhile.
    pub(crate) async fn respond_until(&mut self, id: &Value) -> Value {
        loop {
            let message = self.receive().await.expect("the gateway goes on");
            if message["id"] == *id {
                return message;
            }
            if message.get("id").is_some() {
                self.send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": {}})).await;
            }
        }
    }

    pub(crate) async fn receive(&mut self) -> Option<Value> {
        let line = self.output.next_line().await.unwrap()?;
        self.received += &format!("{line}\n");
        Some(serde_json::from_str(&line).unwrap())
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string()).await;
    }

    pub(crate) async fn send_line(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    pub(crate) async fn list_tools(&mut self) -> Vec<Value> {
        let answer = self.request("tools/list", json!({})).await;
        answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }

    pub(crate) async fn list_tool_names(&mut self) -> Vec<String> {
        let tools = self.list_tools().await;
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Calls a tool and returns the result.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let mut answer = self.request("tools/call", json!({"name": tool, "arguments": arguments})).await;
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].take()
    }

    /// Sets the credentials named `name` in the session, with the tool that a model uses.
    pub(crate) async fn set(&mut self, name: &str) {
        let keys = json!({
            "access_key_id": format!("ASIA000000000000{name}"),
            "secret_access_key": secret_of_key(name),
            "session_token": token_of_key(name),
        });
        let result = self.call("set_aws_credentials_context", json!({"credentials_json": keys})).await;
        assert_ne!(result["isError"], json!(true), "{result}");
    }

    /// Closes the client's output and keeps reading.
    pub(crate) async fn close_input(&mut self) {
        self.input.shutdown().await.unwrap();
    }

    /// Closes the client's output, and waits until the gateway has ended.
    pub(crate) async fn close(mut self) -> Result<()> {
        self.input.shutdown().await.unwrap();
        drop((self.input, self.output));
        self.serving.await.unwrap()
    }
}

pub(crate) async fn gateway_for_session<const N: usize>(
    session: &SessionContext,
    servers: [(&str, ServerConfig); N],
) -> Gateway {
    gateway_with_tools(session, ToolSet::for_session(session.clone()), servers).await
}

pub(crate) async fn gateway_with_tools<const N: usize>(
    session: &SessionContext,
    tools: ToolSet,
    servers: [(&str, ServerConfig); N],
) -> Gateway {
    // A long budget, because test machines may be slow.
    let host = McpHost::builder(session, mcp_config(servers)).list_budget(Duration::from_secs(120));
    let host = host.environment(host_environment()).start().await.unwrap();
    Gateway::new(session.clone(), tools).with_host(host)
}

fn request_meta(capabilities: &Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    })
}
