//! `McpClient`: sends JSON-RPC messages to one subject, over stdio or HTTP.

use serde_json::{Value, json};

use super::http_client::HttpClient;
use super::stdio_client::StdioClient;
use crate::Result;

/// The protocol revision of the clients. Every peer supports it.
pub(crate) const REVISION: &str = "2025-06-18";
/// The payload of each call, in bytes.
const PAYLOAD_LENGTH: usize = 200;

/// A connection to a subject. Neither kind parses more than it needs, so that the client costs little.
pub(crate) enum McpClient {
    Stdio(Box<StdioClient>),
    Http(HttpClient),
}

impl McpClient {
    /// Sends a request and returns its response.
    async fn request(&mut self, id: u64, method: &str, params: &Value) -> Result<Value> {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string();
        let response = match self {
            Self::Stdio(client) => client.send_request(&message).await?,
            Self::Http(client) => client.send_request(message).await?,
        };
        let mut response: Value = serde_json::from_slice(&response)?;
        match response.get("error") {
            Some(error) => Err(format!("{method} failed: {error}").into()),
            None => Ok(response["result"].take()),
        }
    }

    /// Initializes the connection, and returns the name under which the subject lists the tool `echo`.
    pub(crate) async fn initialize(&mut self) -> Result<String> {
        let client = json!({"name": "bench", "version": "1"});
        let params = json!({"protocolVersion": REVISION, "capabilities": {}, "clientInfo": client});
        self.request(1, "initialize", &params).await?;
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
        match self {
            Self::Stdio(client) => client.send(&initialized).await?,
            Self::Http(client) => drop(client.send_request(initialized).await?),
        }
        let listed = self.request(2, "tools/list", &json!({})).await?;
        let tools = listed["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
        let names = tools.iter().filter_map(|tool| tool["name"].as_str());
        let found = names.into_iter().find(|name| name.ends_with("echo"));
        found.map(str::to_owned).ok_or_else(|| format!("no tool `echo` in {listed}").into())
    }

    /// Calls the tool once, and checks that it returned the text.
    pub(crate) async fn call_checked(&mut self, tool: &str) -> Result<()> {
        let text = "a".repeat(PAYLOAD_LENGTH);
        let result =
            self.request(3, "tools/call", &json!({"name": tool, "arguments": {"text": text}})).await?;
        match &result["content"][0]["text"] {
            Value::String(returned) if *returned == text => Ok(()),
            _ => Err(format!("the call returned {result}").into()),
        }
    }

    /// Calls valetkey's own tool that lists the accounts, which opens a credential session.
    pub(crate) async fn list_accounts(&mut self) -> Result<()> {
        let params = json!({"name": "list_aws_accounts", "arguments": {}});
        let result = self.request(4, "tools/call", &params).await?;
        if result["isError"] == true { Err(format!("the call returned {result}").into()) } else { Ok(()) }
    }

    /// Calls the tool once, and waits for its response.
    pub(crate) async fn call(&mut self, message: &str) -> Result<()> {
        let response = match self {
            Self::Stdio(client) => client.send_request(message).await?,
            Self::Http(client) => client.send_request(message.to_owned()).await?,
        };
        if response.windows(7).any(|part| part == b"\"error\"") {
            return Err(format!("a call failed: {}", String::from_utf8_lossy(&response)).into());
        }
        Ok(())
    }
}

/// Returns the message of a call, with this id.
pub(crate) fn call_message(id: u64, tool: &str) -> String {
    let arguments = json!({"text": "a".repeat(PAYLOAD_LENGTH)});
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}
