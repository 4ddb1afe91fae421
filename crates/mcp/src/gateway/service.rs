//! `GatewayService`: the protocol side of the gateway. rmcp negotiates and validates; the contents pass through as
//! JSON. `ContentSource`: the tools, prompts and resources behind it.
//!
//! A request is served in these steps:
//!
//! 1. rmcp validates the message and negotiates the protocol version.
//! 2. The parameters of a request that is passed on are taken as JSON (`RawParams`). rmcp's models are not used for
//!    them, because they drop fields that they do not know.
//! 3. A credential tool of that name is called; otherwise the request is sent to the server that has the tool, prompt or
//!    resource, for the session that the request selects.
//! 4. The result is masked and written as it is.

use std::sync::Arc;

use async_trait::async_trait;
use rmcp::model::{
    ClientRequest, CustomResult, ErrorCode, GetExtensions, JsonRpcMessage, ServerConfig, ServerResult,
};
use rmcp::service::{NotificationContext, RequestContext, RxJsonRpcMessage, Service, ServiceRole};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value};
use valetkey_core::SessionContext;

use super::changes::ChangeNotifier;
use super::legacy_tasks::{TASK, is_task, task_method};
use super::protocol::{ProtocolHandler, is_modern};
use super::subscription_request::SubscriptionRequest;
use crate::client::ClientContext;
use crate::connection::{ListKind, RefusedRequest};
use crate::host::{ItemMethod, ItemRequest, ToolCall};
use crate::meta::{PROGRESS_TOKEN, is_protocol_key};
use crate::server::RequestFailure;
use crate::subscriptions::{ClientSubscriptions, ResourceSubscription, UpdateQueue};

/// The start of the instructions, followed by the accounts.
const INSTRUCTIONS: &str = "\
AWS credentials for this session; every tool runs with them, also tools of servers that were started before. Secrets are \
never returned: `get_aws_credentials_context` shows the status of an account, without the keys. ";

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

    /// Whether a call of a modern client may return a task, as far as is known.
    fn has_tasks(&self) -> bool;

    /// Whether a legacy client may call the tool as a task.
    async fn may_be_task(&self, tool: &str) -> bool;

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

/// Serves a source over rmcp, for one connection or for one request over HTTP.
pub(crate) struct GatewayService {
    source: Arc<dyn ContentSource>,
    protocol: ProtocolHandler,
}

impl GatewayService {
    /// Serves the contents of `source`. The instructions for the client's model end with `note`.
    pub(crate) fn new(source: Arc<dyn ContentSource>, note: String, change_notifier: ChangeNotifier) -> Self {
        let instructions = format!("{INSTRUCTIONS}{note}");
        let has_servers = source.has_servers();
        let protocol =
            ProtocolHandler { source: Arc::clone(&source), instructions, has_servers, change_notifier };
        Self { source, protocol }
    }

    async fn fetch_content(
        &self,
        request: ProxiedRequest,
        client: &ClientContext,
        is_modern: bool,
    ) -> Result<Map<String, Value>, ErrorData> {
        let result = match request {
            ProxiedRequest::List(kind) => {
                let items = Value::Array(self.source.list(kind).await);
                return Ok(Map::from_iter([(kind.items_field().to_owned(), items)]));
            }
            ProxiedRequest::Call(mut params) => {
                if !is_modern && !self.source.has_servers() {
                    // A parameter without a meaning where tasks are not declared.
                    params.shift_remove(TASK);
                }
                call_tool(&*self.source, params, client, is_modern).await?
            }
            ProxiedRequest::Item(request) => {
                let result = self.source.request(request, client).await;
                result.map_err(|failure| protocol_error(failure, is_modern))?
            }
        };
        result_fields(result)
    }

    /// Serves a request for a task, which rmcp would refuse in the legacy protocol.
    async fn serve_legacy_task(
        &self,
        request: Option<ProxiedRequest>,
        client: &ClientContext,
    ) -> Result<ServerResult, ErrorData> {
        let request = request.filter(|request| self.source.has_servers() && !request.is_update());
        let no_method = || ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "no such method", None);
        let request = request.ok_or_else(no_method)?;
        let contents = self.fetch_content(request, client, false).await?;
        let result = fill_envelope(Map::new(), contents, false)?;
        Ok(ServerResult::CustomResult(CustomResult(Value::Object(result))))
    }
}

/// Calls a tool, and returns its result.
async fn call_tool(
    source: &dyn ContentSource,
    params: Map<String, Value>,
    client: &ClientContext,
    is_modern: bool,
) -> Result<Value, ErrorData> {
    let call = ToolCall::from_params(params);
    let call = call.ok_or_else(|| ErrorData::invalid_params("the parameters are malformed", None))?;
    if !is_modern && call.other.contains_key(TASK) && !source.may_be_task(&call.name).await {
        let message = "the tool cannot be called as a task; call it without `task`";
        return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None));
    }
    let result = source.call_tool(call, client).await;
    let result = result.map_err(|refused| protocol_error(refused.into(), is_modern))?;
    result.ok_or_else(|| ErrorData::invalid_params("unknown tool; list the tools again", None))
}

/// Calls a tool for a legacy client, whose request needs no validation by rmcp.
pub(super) async fn call_legacy(
    source: &dyn ContentSource,
    params: Map<String, Value>,
    client: &ClientContext,
) -> Result<Map<String, Value>, ErrorData> {
    source.record_request(client);
    let contents = result_fields(call_tool(source, RawParams(params).for_server(), client, false).await?)?;
    let envelope = [("content".to_owned(), Value::Array(Vec::new())), ("isError".to_owned(), false.into())];
    fill_envelope(envelope.into_iter().collect(), contents, false)
}

fn result_fields(result: Value) -> Result<Map<String, Value>, ErrorData> {
    match result {
        Value::Object(fields) => Ok(fields),
        _ => Err(ErrorData::internal_error("the server's result is not an object", None)),
    }
}

/// The parameters of a request as the client sent them. They travel with the request through rmcp, as an extension of it.
#[derive(Debug, Clone)]
struct RawParams(Map<String, Value>);

impl RawParams {
    /// Returns the parameters for a server: without the parts of `_meta` that belong to the connection of the client.
    fn for_server(self) -> Map<String, Value> {
        let mut params = self.0;
        if let Some(Value::Object(meta)) = params.get_mut("_meta") {
            meta.retain(|key, _| key != PROGRESS_TOKEN && !is_protocol_key(key));
        }
        if params.get("_meta").and_then(Value::as_object).is_some_and(Map::is_empty) {
            params.shift_remove("_meta");
        }
        params
    }
}

/// Attaches the parameters to a request that is passed on to a server.
pub(crate) fn attach_params(message: &mut RxJsonRpcMessage<RoleServer>, params: Option<Value>) {
    let JsonRpcMessage::Request(request) = message else { return };
    let is_passed_on = matches!(
        request.request,
        ClientRequest::CallToolRequest(_)
            | ClientRequest::GetPromptRequest(_)
            | ClientRequest::ReadResourceRequest(_)
            | ClientRequest::CompleteRequest(_)
            | ClientRequest::GetTaskRequest(_)
            | ClientRequest::UpdateTaskRequest(_)
            | ClientRequest::CancelTaskRequest(_)
    ) || task_method(&request.request).is_some();
    if let (true, Some(Value::Object(params))) = (is_passed_on, params) {
        request.request.extensions_mut().insert(RawParams(params));
    }
}

/// The requests whose parameters and results pass through as JSON.
enum ProxiedRequest {
    List(ListKind),
    Call(Map<String, Value>),
    Item(ItemRequest),
}

impl ProxiedRequest {
    /// Takes the parameters from the extensions of a request. Returns `None` for any other request.
    fn take(
        request: &ClientRequest,
        context: &mut RequestContext<RoleServer>,
        is_modern: bool,
    ) -> Option<Self> {
        let mut params = || context.extensions.remove().map(RawParams::for_server).unwrap_or_default();
        if let Some(method) = task_method(request).filter(|_| !is_modern) {
            return Some(Self::Item(ItemRequest { method, params: params() }));
        }
        let method = match request {
            ClientRequest::ListToolsRequest(_) => return Some(Self::List(ListKind::Tools)),
            ClientRequest::ListPromptsRequest(_) => return Some(Self::List(ListKind::Prompts)),
            ClientRequest::ListResourcesRequest(_) => return Some(Self::List(ListKind::Resources)),
            ClientRequest::ListResourceTemplatesRequest(_) => {
                return Some(Self::List(ListKind::ResourceTemplates));
            }
            ClientRequest::CallToolRequest(_) => return Some(Self::Call(params())),
            ClientRequest::GetPromptRequest(_) => ItemMethod::GetPrompt,
            ClientRequest::ReadResourceRequest(_) => ItemMethod::ReadResource,
            ClientRequest::CompleteRequest(_) => ItemMethod::Complete,
            ClientRequest::GetTaskRequest(_) => ItemMethod::GetTask,
            ClientRequest::UpdateTaskRequest(_) => ItemMethod::UpdateTask,
            ClientRequest::CancelTaskRequest(_) => ItemMethod::CancelTask,
            _ => return None,
        };
        Some(Self::Item(ItemRequest { method, params: params() }))
    }

    fn is_of_task(&self) -> bool {
        matches!(self, Self::Item(request) if request.method.is_of_task())
    }

    /// Whether the legacy protocol lacks this request for a task.
    fn is_update(&self) -> bool {
        matches!(self, Self::Item(request) if request.method == ItemMethod::UpdateTask)
    }
}

/// Converts a failure into a protocol error. The code of a server is kept, apart from one that the modern protocol has
/// replaced, and those that concern the connection between the gateway and the server: the client would change its own
/// version or headers.
fn protocol_error(failure: RequestFailure, is_modern: bool) -> ErrorData {
    match failure {
        RequestFailure::Refused(refused) => match ErrorCode(refused.code) {
            ErrorCode::UNSUPPORTED_PROTOCOL_VERSION | ErrorCode::HEADER_MISMATCH => {
                ErrorData::internal_error(refused.message, None)
            }
            ErrorCode::RESOURCE_NOT_FOUND if is_modern => {
                ErrorData::invalid_params(refused.message, refused.data)
            }
            code => ErrorData::new(code, refused.message, refused.data),
        },
        RequestFailure::Failed(error) => ErrorData::internal_error(error.to_string(), None),
    }
}

/// Adds the contents to the envelope of the client's protocol version.
fn fill_envelope(
    mut envelope: Map<String, Value>,
    mut contents: Map<String, Value>,
    is_modern: bool,
) -> Result<Map<String, Value>, ErrorData> {
    let is_complete = contents.get("resultType").is_none_or(|kind| kind == "complete");
    if !is_complete && !is_modern {
        let message = "the server's result is of a kind that the client's protocol version lacks";
        return Err(ErrorData::internal_error(message, None));
    }
    if !is_modern && is_task(&contents) {
        envelope = Map::new();
    }
    // `resultType`, which can also request more input, exists only in the modern protocol.
    if !envelope.contains_key("resultType") {
        contents.shift_remove("resultType");
    } else if !is_complete {
        return Ok(contents);
    }
    // What is served to one principal is never to be cached for another.
    contents.shift_remove("cacheScope");
    envelope.extend(contents);
    Ok(envelope)
}

impl Service<RoleServer> for GatewayService {
    /// Handles a request. For proxied requests, rmcp validates the request and returns an empty result in the format of
    /// the client's protocol version, to which the contents are added with every field unchanged.
    async fn handle_request(
        &self,
        request: <RoleServer as ServiceRole>::PeerReq,
        mut context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        let (is_modern, client) = (is_modern(&context), ClientContext::from_request(&context));
        self.source.record_request(&client);
        let subscription = SubscriptionRequest::read(&request);
        let proxied = ProxiedRequest::take(&request, &mut context, is_modern);
        if !is_modern && proxied.as_ref().is_some_and(ProxiedRequest::is_of_task) {
            return self.serve_legacy_task(proxied, &client).await;
        }
        let result = self.protocol.handle_request(request, context).await?;
        let Some(proxied) = proxied else {
            // rmcp has refused it if the protocol version has no such request.
            if let Some(subscription) = subscription {
                let done = subscription.apply(&*self.source, &client).await;
                done.map_err(|failure| protocol_error(failure, is_modern))?;
            }
            return Ok(result);
        };
        let Ok(Value::Object(mut envelope)) = serde_json::to_value(result) else {
            return Err(ErrorData::internal_error("the result has no envelope", None));
        };
        if proxied.is_of_task() {
            // The rest describes no task.
            envelope.retain(|key, _| key == "resultType");
        }
        let contents = self.fetch_content(proxied, &client, is_modern).await?;
        let result = fill_envelope(envelope, contents, is_modern)?;
        Ok(ServerResult::CustomResult(CustomResult(Value::Object(result))))
    }

    async fn handle_notification(
        &self,
        notification: <RoleServer as ServiceRole>::PeerNot,
        context: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.protocol.handle_notification(notification, context).await
    }

    fn get_info(&self) -> ServerConfig {
        ServerHandler::get_info(&self.protocol)
    }
}

/// Describes the accounts by name, and whether they need credentials from a tool. Contains no credentials.
pub(super) fn describe_accounts(session: &SessionContext) -> String {
    let described = session.accounts().into_iter().map(|name| {
        let status = session.account(&name).and_then(|account| account.status());
        let has_provider = status.is_ok_and(|status| status.provider.is_some());
        let default = if name == *session.default_account() { ", the default" } else { "" };
        let source = if has_provider {
            "gets its credentials from its configuration"
        } else {
            "needs `set_aws_credentials_context` or `extract_and_set_credentials_from_stack_job`"
        };
        format!("`{name}`{default}: {source}")
    });
    format!("Accounts: {}.", described.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn raw_params_for_server_have_no_connection_metadata() {
        let for_server = |params: Value| match params {
            Value::Object(params) => Value::Object(RawParams(params).for_server()),
            _ => panic!("{params}"),
        };
        let meta = json!({"progressToken": 1, "io.modelcontextprotocol/clientInfo": {}, "traceparent": "00"});
        let params = json!({"name": "t", "_meta": meta, "x-unknown": [1]});
        let expected = json!({"name": "t", "_meta": {"traceparent": "00"}, "x-unknown": [1]});
        assert_eq!(for_server(params), expected);
        assert_eq!(for_server(json!({"name": "t", "_meta": {"progressToken": 1}})), json!({"name": "t"}));
    }
}
