//! A minimal client that writes protocol messages itself: one JSON message per line, and only such lines as responses.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::program_fixture::{ProgramFixture, ProgramOutput};

/// Reached only if the gateway hangs.
const HANG_TIMEOUT: Duration = Duration::from_secs(90);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProtocolEra {
    /// A client that first sends `initialize` with this revision.
    Legacy(&'static str),
    /// A client that identifies itself in every request.
    Modern,
}

pub(crate) const ERAS: [ProtocolEra; 3] =
    [ProtocolEra::Legacy("2025-06-18"), ProtocolEra::Legacy("2025-11-25"), ProtocolEra::Modern];

/// A connection to a gateway, which is killed when this is dropped.
pub(crate) struct McpClientFixture {
    gateway: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    stderr: JoinHandle<()>,
    stderr_text: Arc<Mutex<String>>,
    received: String,
    era: ProtocolEra,
    next_id: u64,
}

impl McpClientFixture {
    /// Starts `valetkey serve` on the fixture's `mcp.json`.
    pub(crate) async fn connect(fixture: &ProgramFixture, era: ProtocolEra) -> Self {
        Self::connect_with(fixture, era, &["serve", "--mcp-config", "mcp.json"]).await
    }

    pub(crate) async fn connect_with(fixture: &ProgramFixture, era: ProtocolEra, args: &[&str]) -> Self {
        let mut client = Self::start(fixture, era, args);
        if let ProtocolEra::Legacy(revision) = era {
            let params = json!({
                "protocolVersion": revision,
                "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            });
            let response = client.request("initialize", params).await;
            assert_eq!(response["result"]["protocolVersion"], revision, "{response}");
            client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        }
        client
    }

    /// Starts `valetkey` without sending a message.
    pub(crate) fn start(fixture: &ProgramFixture, era: ProtocolEra, args: &[&str]) -> Self {
        Self::start_program(fixture, era, env!("CARGO_BIN_EXE_valetkey"), args)
    }

    /// Starts the gateway through another program, which becomes the gateway.
    pub(crate) fn start_program(
        fixture: &ProgramFixture,
        era: ProtocolEra,
        program: &str,
        args: &[&str],
    ) -> Self {
        let mut gateway = fixture.start_program(program, args);
        let output = BufReader::new(gateway.stdout.take().unwrap()).lines();
        let mut stderr = gateway.stderr.take().unwrap();
        let stderr_text = Arc::new(Mutex::new(String::new()));
        let text = Arc::clone(&stderr_text);
        let stderr = tokio::spawn(async move {
            let mut chunk = [0; 4096];
            while let read @ 1.. = stderr.read(&mut chunk).await.unwrap() {
                text.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..read]));
            }
        });
        let input = gateway.stdin.take();
        Self { gateway, input, output, stderr, stderr_text, received: String::new(), era, next_id: 0 }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.gateway.id().unwrap()
    }

    async fn send(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.input.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
    }

    /// Sends a request and returns the whole response.
    pub(crate) async fn request(&mut self, method: &str, mut params: Value) -> Value {
        self.next_id += 1;
        if let (ProtocolEra::Modern, Some(params)) = (self.era, params.as_object_mut()) {
            params.insert("_meta".to_owned(), request_meta());
        }
        let id = self.next_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        loop {
            let message = self.receive().await.unwrap_or_else(|| panic!("no response to {method}"));
            if message["id"] == id {
                return message;
            }
        }
    }

    /// Receives the next message, which must be JSON; `None` at the end.
    async fn receive(&mut self) -> Option<Value> {
        let line = timeout(HANG_TIMEOUT, self.output.next_line()).await.unwrap().unwrap()?;
        self.received += &format!("{line}\n");
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        Some(message)
    }

    /// Returns the names of all tools.
    pub(crate) async fn tools(&mut self) -> Vec<String> {
        let response = self.request("tools/list", json!({})).await;
        let tools = response["result"]["tools"].as_array().unwrap_or_else(|| panic!("{response}"));
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Calls a tool and returns the result.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let mut response = self.request("tools/call", json!({"name": tool, "arguments": arguments})).await;
        assert!(response["result"].is_object(), "{response}");
        response["result"].take()
    }

    /// Sets credentials on the session, as a model does.
    pub(crate) async fn set_credentials(&mut self, credentials: Value) {
        let set = self.call("set_aws_credentials_context", json!({"credentials_json": credentials})).await;
        assert_ne!(set["isError"], true, "{set}");
    }

    /// Whether the gateway has written `text` to standard error.
    pub(crate) fn has_reported(&self, text: &str) -> bool {
        self.stderr_text.lock().unwrap().contains(text)
    }

    /// Closes the client's side and reads to the end.
    pub(crate) async fn close(mut self) -> ProgramOutput {
        drop(self.input.take());
        self.wait_for_output().await
    }

    /// Reads to the end after the gateway was stopped by another cause.
    pub(crate) async fn wait_for_output(mut self) -> ProgramOutput {
        while self.receive().await.is_some() {}
        let status = timeout(HANG_TIMEOUT, self.gateway.wait()).await.unwrap().unwrap();
        timeout(HANG_TIMEOUT, self.stderr).await.unwrap().unwrap();
        let stderr = self.stderr_text.lock().unwrap().clone();
        ProgramOutput { code: status.code(), stdout: self.received, stderr }
    }
}

fn request_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}
