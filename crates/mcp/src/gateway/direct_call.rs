//! `DirectCall`: a call of a tool by a legacy client, which runs without rmcp; `DirectCalls`: those of one stream.
//!
//! rmcp decodes a message into each of its models in turn, and passes a call through three tasks. A plain call of an
//! initialized client needs none of this: its message has four members that are easily checked. Everything else goes
//! through rmcp, which refuses what is invalid.
//!
//! | part of the message | condition for a plain call |
//! |---|---|
//! | members | `jsonrpc` (2.0), `id`, `method` (`tools/call`) and `params`, no other |
//! | `id` | an integer of 64 bits, or a text |
//! | `params` | `name`, `arguments` and `_meta`, no other; `name` is a text, `arguments` an object if present |
//! | `_meta` | an object without keys of the protocol, which only modern clients send; a progress token is an integer or a text |
//!
//! The checks decide only who runs a call. Names, arguments, sessions and policies are checked where all calls are, in
//! [`ContentSource::call_tool`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rmcp::RoleServer;
#[cfg(feature = "http")]
use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest};
use rmcp::model::{CustomResult, JsonRpcMessage, ProgressToken, RequestId, ServerResult};
#[cfg(feature = "http")]
use rmcp::service::RxJsonRpcMessage;
use rmcp::service::TxJsonRpcMessage;
use serde_json::{Map, Value};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::service::{ContentSource, call_legacy};
use crate::client::{ClientContext, ClientLink};
use crate::json::request_id;
use crate::meta::{PROGRESS_TOKEN, is_protocol_key};

/// The time for the responses of calls in progress when the gateway stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A call as its message contains it.
#[derive(Debug, PartialEq)]
pub(crate) struct DirectCall {
    /// The id of the request, which its response repeats.
    pub(super) id: RequestId,
    /// The parameters as the client sent them.
    params: Map<String, Value>,
    /// The token under which the client wants to be notified of progress.
    progress_token: Option<ProgressToken>,
}

impl DirectCall {
    /// Takes a call out of its message. Returns `None`, and leaves the message unchanged, if it is anything else than a
    /// plain call of a legacy client.
    pub(crate) fn take(message: &mut Value) -> Option<Self> {
        let (id, _) = read_plain(message)?;
        let params = std::mem::take(message.get_mut("params")?.as_object_mut()?);
        let progress_token = params.get("_meta").and_then(|meta| meta.get(PROGRESS_TOKEN));
        let progress_token = progress_token.and_then(request_id).map(ProgressToken);
        Some(Self { id, params, progress_token })
    }

    /// Returns the message for rmcp without decoding it, or `None` if it is no plain call. Its parameters are only the
    /// name of the tool.
    #[cfg(feature = "http")]
    pub(crate) fn message(message: &Value) -> Option<RxJsonRpcMessage<RoleServer>> {
        let (id, tool) = read_plain(message)?;
        let request = CallToolRequest::new(CallToolRequestParams::new(tool.to_owned()));
        Some(JsonRpcMessage::request(ClientRequest::CallToolRequest(request), id))
    }

    /// Runs the call, and returns its response. A failure that the model can act on is a result with `isError`; an
    /// unknown tool is a protocol error, as with rmcp.
    ///
    /// # Cancel safety
    /// Not cancel safe: the server is not notified. Cancel `cancelled` instead.
    pub(crate) async fn run(
        self,
        source: &dyn ContentSource,
        link: Arc<dyn ClientLink>,
        cancelled: CancellationToken,
    ) -> TxJsonRpcMessage<RoleServer> {
        let context = ClientContext { cancelled, link: Some(link), progress_token: self.progress_token };
        match call_legacy(source, self.params, &context).await {
            Ok(result) => {
                let result = CustomResult(Value::Object(result));
                JsonRpcMessage::response(ServerResult::CustomResult(result), self.id)
            }
            Err(error) => JsonRpcMessage::error(error, Some(self.id)),
        }
    }
}

/// Returns the id and the tool of a plain call.
fn read_plain(message: &Value) -> Option<(RequestId, &str)> {
    let fields = message.as_object().filter(|fields| fields.len() == 4)?;
    if fields.get("method")? != "tools/call" || fields.get("jsonrpc")? != "2.0" {
        return None;
    }
    let params = fields.get("params")?.as_object()?;
    let is_plain = params.iter().all(|(name, value)| match name.as_str() {
        "name" => value.is_string(),
        "arguments" => value.is_object(),
        "_meta" => is_plain_meta(value),
        _ => false,
    });
    let tool = params.get("name").filter(|_| is_plain)?.as_str()?;
    Some((request_id(fields.get("id")?)?, tool))
}

/// Whether metadata have nothing that rmcp would check.
fn is_plain_meta(meta: &Value) -> bool {
    meta.as_object().is_some_and(|meta| {
        meta.iter().all(|(key, value)| match key.as_str() {
            PROGRESS_TOKEN => request_id(value).is_some(),
            key => !is_protocol_key(key),
        })
    })
}

/// Runs the calls of one client.
pub(super) struct DirectCalls {
    source: Arc<dyn ContentSource>,
    /// Cancels all calls.
    stop: CancellationToken,
    active: ActiveCalls,
    tasks: TaskTracker,
}

/// The calls in progress, with what cancels them.
type ActiveCalls = Arc<Mutex<HashMap<RequestId, CancellationToken>>>;

impl DirectCalls {
    pub(super) fn new(source: Arc<dyn ContentSource>, stop: CancellationToken) -> Self {
        Self { source, stop, active: ActiveCalls::default(), tasks: TaskTracker::new() }
    }

    /// Returns the number of calls in progress.
    pub(super) fn len(&self) -> usize {
        self.active.lock().len()
    }

    /// Whether the call with this id is in progress.
    pub(super) fn contains(&self, id: &RequestId) -> bool {
        self.active.lock().contains_key(id)
    }

    /// Runs a call in a task, which passes its response to `respond`. A call that the client has cancelled has no
    /// response.
    pub(super) fn spawn<F, R>(&self, call: DirectCall, link: Arc<dyn ClientLink>, respond: F)
    where
        F: FnOnce(TxJsonRpcMessage<RoleServer>) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let cancelled = self.stop.child_token();
        self.active.lock().insert(call.id.clone(), cancelled.clone());
        let active = ActiveGuard { active: Arc::clone(&self.active), id: call.id.clone() };
        let source = Arc::clone(&self.source);
        self.tasks.spawn(async move {
            let response = call.run(&*source, link, cancelled).await;
            if active.end() {
                respond(response).await;
            }
        });
    }

    /// Cancels a call of the client.
    pub(super) fn cancel(&self, id: &RequestId) {
        if let Some(cancelled) = self.active.lock().remove(id) {
            cancelled.cancel();
        }
    }

    /// Waits until all calls have ended. Cancel safe.
    pub(super) async fn wait_ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Waits until all calls have responded, for a limited time.
    pub(super) async fn drain(&self) {
        let _elapsed = timeout(DRAIN_TIMEOUT, self.wait_ended()).await;
    }
}

/// Ends a call, also if its task panics.
struct ActiveGuard {
    active: ActiveCalls,
    id: RequestId,
}

impl ActiveGuard {
    /// Ends the call. Returns `false` if the client has cancelled it.
    fn end(self) -> bool {
        self.active.lock().remove(&self.id).is_some()
    }
}

impl Drop for ActiveGuard {
    fn drop(&mut self) {
        self.active.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn direct_call_plain_message_is_taken() {
        let params = json!({"name": "t", "arguments": {"a": 1}, "_meta": {"progressToken": "p", "trace": 1}});
        let mut message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
        let call = DirectCall::take(&mut message).unwrap();
        assert_eq!(call.id, RequestId::Number(7));
        assert_eq!(call.progress_token, Some(ProgressToken(RequestId::String("p".into()))));
        assert_eq!(Value::Object(call.params), params);
    }

    #[test]
    fn direct_call_other_message_is_left_to_rmcp() {
        let modern = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
        for (field, value) in [
            ("jsonrpc", json!("1.0")),
            ("id", json!(null)),
            ("id", json!(1.5)),
            ("method", json!("tools/list")),
            ("params", json!([])),
            ("params", json!({"arguments": {}})),
            ("params", json!({"name": 1})),
            ("params", json!({"name": "t", "arguments": []})),
            ("params", json!({"name": "t", "task": {}})),
            ("params", json!({"name": "t", "requestState": "s"})),
            ("params", json!({"name": "t", "_meta": modern})),
            ("params", json!({"name": "t", "_meta": {"progressToken": []}})),
            ("other", json!(1)),
        ] {
            let params = json!({"name": "t"});
            let mut message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
            message[field] = value;
            let unchanged = message.clone();
            assert_eq!(DirectCall::take(&mut message), None, "{unchanged}");
            assert_eq!(message, unchanged);
        }
    }
}
