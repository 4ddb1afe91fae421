//! `ToolSource`: the tools behind the protocol side of a gateway.

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::client::ClientContext;

/// Lists and calls the tools that a gateway serves.
///
/// The gateway over one stream serves the tools of one session. The gateway over HTTP serves to each request the tools
/// of the session that the request selects.
#[async_trait]
pub(crate) trait ToolSource: Send + Sync {
    /// Records that the client has sent a valid request.
    fn record_request(&self) {}

    /// Returns the MCP definition of every tool.
    async fn list_tools(&self) -> Vec<Value>;

    /// Calls a tool and returns its MCP result, or `None` when no such tool exists.
    async fn call_tool(
        &self,
        name: &str,
        arguments: Option<Map<String, Value>>,
        context: &ClientContext,
    ) -> Option<Value>;
}
