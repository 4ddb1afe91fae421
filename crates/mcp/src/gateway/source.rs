//! `ContentSource`: the tools, prompts and resources behind the protocol side of a gateway.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::client::ClientContext;
use crate::connection::{ListKind, RefusedRequest};
use crate::host::{ItemRequest, ToolCall};
use crate::server::RequestFailure;
use crate::subscriptions::{ClientSubscriptions, ResourceSubscription, UpdateQueue};

/// Lists and serves what a gateway offers.
///
/// The gateway over one stream serves one session. The gateway over HTTP serves to each request the session that the
/// request selects.
#[async_trait]
pub(crate) trait ContentSource: Send + Sync {
    /// Records that the client has sent a valid request.
    fn record_request(&self, _client: &ClientContext) {}

    /// Whether there are servers, which may have prompts and resources.
    fn has_servers(&self) -> bool;

    /// Whether a call may return a task, as far as is known.
    fn has_tasks(&self) -> bool;

    /// Returns the MCP definitions of one list.
    async fn list(&self, kind: ListKind) -> Vec<Value>;

    /// Calls a tool and returns its MCP result, or `None` when no such tool exists.
    ///
    /// # Errors
    /// The protocol error of the server. Every other failure is a result with `isError`, which the model reads.
    async fn call_tool(
        &self,
        call: ToolCall,
        context: &ClientContext,
    ) -> Result<Option<Value>, RefusedRequest>;

    /// Returns the instructions of servers for the client's model.
    async fn instructions(&self) -> Vec<(String, String)>;

    /// Subscribes to a resource: `queue` gets its updates while the returned value lives.
    async fn subscribe(
        &self,
        uri: &str,
        queue: &Arc<UpdateQueue>,
        context: &ClientContext,
    ) -> Result<ResourceSubscription, RequestFailure>;

    /// Returns the subscriptions that a legacy client begins and ends by separate requests.
    fn subscriptions(&self) -> Option<&ClientSubscriptions>;

    /// Sends a request for a prompt, a resource, a completion or a task to its server, and returns the MCP result.
    async fn request(&self, request: ItemRequest, context: &ClientContext) -> Result<Value, RequestFailure>;
}
