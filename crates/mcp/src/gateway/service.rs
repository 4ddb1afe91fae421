//! `GatewayService`: the protocol side of the gateway. rmcp negotiates and validates; the contents pass through as
//! JSON.
//!
//! A request is served in these steps:
//!
//! 1. rmcp validates the message and negotiates the protocol version.
//! 2. The parameters of a request that is passed on are taken as JSON. rmcp's models are not used for them, because they
//!    drop fields that they do not know.
//! 3. A credential tool of that name is called; otherwise the request is sent to the server that has the tool, prompt or
//!    resource, for the session that the request selects.
//! 4. The result is masked and written as it is.

use std::sync::Arc;

use rmcp::model::{ClientRequest, CustomResult, ErrorCode, ServerConfig, ServerResult};
use rmcp::service::{NotificationContext, RequestContext, Service, ServiceRole};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value};

use valetkey_core::{Error, ErrorKind, SessionContext};

use super::changes::ChangeNotifier;
use super::params::RawParams;
use super::protocol::{ProtocolHandler, is_modern};
use super::source::ContentSource;
use crate::client::ClientContext;
use crate::connection::ListKind;
use crate::host::{ItemMethod, ItemRequest, ToolCall};
use crate::server::RequestFailure;
use crate::subscriptions::MAX_SUBSCRIPTIONS;

/// The start of the instructions, followed by the accounts.
const INSTRUCTIONS: &str = "\
AWS credentials for this session; every tool runs with them, also tools of servers that were started before. Secrets are \
never returned: `get_aws_credentials_context` shows the status of an account, without the keys. ";

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
                if !is_modern {
                    // The client could not follow the task, and the capability for it is not advertised.
                    params.shift_remove("task");
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
    let result = source.call_tool(call, client).await;
    let result = result.map_err(|refused| protocol_error(refused.into(), is_modern))?;
    result.ok_or_else(|| ErrorData::invalid_params("unknown tool; list the tools again", None))
}

/// Calls a tool for a legacy client, whose request needs no validation by rmcp.
pub(super) async fn call_legacy(
    source: &dyn ContentSource,
    params: RawParams,
    client: &ClientContext,
) -> Result<Map<String, Value>, ErrorData> {
    source.record_request(client);
    let contents = result_fields(call_tool(source, params.for_server(), client, false).await?)?;
    let envelope = [("content".to_owned(), Value::Array(Vec::new())), ("isError".to_owned(), false.into())];
    fill_envelope(envelope.into_iter().collect(), contents, false)
}

fn result_fields(result: Value) -> Result<Map<String, Value>, ErrorData> {
    match result {
        Value::Object(fields) => Ok(fields),
        _ => Err(ErrorData::internal_error("the server's result is not an object", None)),
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
    fn take(request: &ClientRequest, context: &mut RequestContext<RoleServer>) -> Option<Self> {
        let mut params = || context.extensions.remove().map(RawParams::for_server).unwrap_or_default();
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
}

/// A request of a legacy client that begins or ends a subscription to a resource.
enum SubscriptionRequest {
    Begin(String),
    End(String),
}

impl SubscriptionRequest {
    fn read(request: &ClientRequest) -> Option<Self> {
        match request {
            ClientRequest::SubscribeRequest(request) => Some(Self::Begin(request.params.uri.clone())),
            ClientRequest::UnsubscribeRequest(request) => Some(Self::End(request.params.uri.clone())),
            _ => None,
        }
    }

    async fn apply(self, source: &dyn ContentSource, context: &ClientContext) -> Result<(), RequestFailure> {
        let no_session = || RequestFailure::method_not_found("no session keeps a subscription");
        let subscriptions = source.subscriptions().ok_or_else(no_session)?;
        match self {
            Self::End(uri) => subscriptions.remove(&uri),
            Self::Begin(uri) => {
                let subscription = source.subscribe(&uri, subscriptions.queue(), context).await?;
                if !subscriptions.insert(uri, subscription) {
                    let message = format!("a client has at most {MAX_SUBSCRIPTIONS} subscriptions");
                    return Err(Error::new(ErrorKind::Invalid, message).into());
                }
            }
        }
        Ok(())
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
        let proxied = ProxiedRequest::take(&request, &mut context);
        if !is_modern && proxied.as_ref().is_some_and(ProxiedRequest::is_of_task) {
            // Tasks are passed on only in the modern protocol.
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "no such method", None));
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
