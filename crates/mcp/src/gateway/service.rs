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

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ClientRequest,
    CompleteRequestParams, CompleteResult, CustomRequest, CustomResult, ErrorCode, GetPromptRequestParams,
    GetPromptResponse, GetPromptResult, Implementation, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, ServerCapabilities, ServerConfig, ServerResult,
    SetLevelRequestMethod, SubscriptionFilter,
};
use rmcp::service::{NotificationContext, RequestContext, Service, ServiceRole, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value};

use valetkey_core::SessionContext;

use super::changes::{ChangeNotifier, accepted_filter};
use super::params::RawParams;
use super::source::ContentSource;
use crate::client::{ClientContext, LogLevel};
use crate::connection::ListKind;
use crate::host::{ItemMethod, ItemRequest, RequestFailure, ToolCall};

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
        Self { source, protocol: ProtocolHandler { instructions, has_servers, change_notifier } }
    }

    async fn fetch_content(
        &self,
        request: ProxiedRequest,
        context: &RequestContext<RoleServer>,
    ) -> Result<Map<String, Value>, ErrorData> {
        let client = ClientContext::from_request(context);
        let result = match request {
            ProxiedRequest::List(kind) => {
                let items = Value::Array(self.source.list(kind).await);
                return Ok(Map::from_iter([(kind.items_field().to_owned(), items)]));
            }
            ProxiedRequest::Call(params) => {
                let call = ToolCall::from_params(params);
                let call =
                    call.ok_or_else(|| ErrorData::invalid_params("the parameters are malformed", None))?;
                let result = self.source.call_tool(call, &client).await;
                result.ok_or_else(|| ErrorData::invalid_params("unknown tool; list the tools again", None))?
            }
            ProxiedRequest::Item(request) => {
                let is_modern = context.protocol_version().is_some_and(|version| !version.has_initialize());
                let result = self.source.request(request, &client).await;
                result.map_err(|failure| protocol_error(failure, is_modern))?
            }
        };
        match result {
            Value::Object(fields) => Ok(fields),
            _ => Err(ErrorData::internal_error("the server's result is not an object", None)),
        }
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
            _ => return None,
        };
        Some(Self::Item(ItemRequest { method, params: params() }))
    }
}

/// Converts a failure into a protocol error. The code of a server is kept, apart from one that the modern protocol has
/// replaced.
fn protocol_error(failure: RequestFailure, is_modern: bool) -> ErrorData {
    match failure {
        RequestFailure::Refused(refused) => {
            let code = match ErrorCode(refused.code) {
                ErrorCode::RESOURCE_NOT_FOUND if is_modern => ErrorCode::INVALID_PARAMS,
                code => code,
            };
            ErrorData::new(code, refused.message, refused.data)
        }
        RequestFailure::Failed(error) => ErrorData::internal_error(error.to_string(), None),
    }
}

/// Adds the contents to the envelope of the client's protocol version.
fn merge_contents(mut envelope: Map<String, Value>, mut contents: Map<String, Value>) -> Map<String, Value> {
    // `resultType`, which can also request more input, exists only in the modern protocol.
    if !envelope.contains_key("resultType") {
        contents.shift_remove("resultType");
    } else if contents.get("resultType").is_some_and(|kind| kind != "complete") {
        return contents;
    }
    // What is served to one principal is never to be cached for another.
    contents.shift_remove("cacheScope");
    envelope.extend(contents);
    envelope
}

impl Service<RoleServer> for GatewayService {
    /// Handles a request. For proxied requests, rmcp validates the request and returns an empty result in the format of
    /// the client's protocol version, to which the contents are added with every field unchanged.
    async fn handle_request(
        &self,
        request: <RoleServer as ServiceRole>::PeerReq,
        mut context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        self.source.record_request(&ClientContext::from_request(&context));
        let Some(proxied) = ProxiedRequest::take(&request, &mut context) else {
            return self.protocol.handle_request(request, context).await;
        };
        let envelope = self.protocol.handle_request(request, context.clone()).await?;
        let Ok(Value::Object(envelope)) = serde_json::to_value(envelope) else {
            return Err(ErrorData::internal_error("the result has no envelope", None));
        };
        let contents = self.fetch_content(proxied, &context).await?;
        let result = merge_contents(envelope, contents);
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

/// Handles everything except the contents of proxied requests.
struct ProtocolHandler {
    instructions: String,
    /// Whether prompts, resources and completions are advertised and served.
    has_servers: bool,
    change_notifier: ChangeNotifier,
}

impl ProtocolHandler {
    /// Refuses a request that only servers can serve.
    fn require_servers<T>(&self, envelope: T) -> Result<T, ErrorData> {
        let no_servers = || ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "no such method", None);
        self.has_servers.then_some(envelope).ok_or_else(no_servers)
    }
}

impl ServerHandler for ProtocolHandler {
    #[expect(deprecated, reason = "legacy clients ask for log messages only if they are advertised")]
    fn get_info(&self) -> ServerConfig {
        let tools = ServerCapabilities::builder().enable_logging().enable_tools().enable_tool_list_changed();
        let capabilities = match self.has_servers {
            false => tools.build(),
            true => tools
                .enable_prompts()
                .enable_prompts_list_changed()
                .enable_resources()
                .enable_resources_list_changed()
                .enable_completions()
                .build(),
        };
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("valetkey", env!("CARGO_PKG_VERSION")))
            .with_instructions(self.instructions.clone())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(accepted_filter(requested))
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        self.change_notifier.clone().notify_subscriber(&subscription).await;
        Ok(())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(Vec::new()).with_cache_scope(CacheScope::Private).with_ttl_ms(0))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        self.require_servers(ListPromptsResult::default())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.require_servers(ListResourcesResult::default())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.require_servers(ListResourceTemplatesResult::default())
    }

    async fn get_prompt(
        &self,
        _: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        self.require_servers(GetPromptResult::default().into())
    }

    async fn read_resource(
        &self,
        _: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.require_servers(ReadResourceResult::new(Vec::new()).into())
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        self.require_servers(CompleteResult::default())
    }

    /// Sets the level for the log messages of all servers. They get it with the next call.
    #[expect(deprecated, reason = "legacy clients have no other way to choose a level")]
    async fn set_level(
        &self,
        request: rmcp::model::SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let link = ClientContext::from_request(&context).link.filter(|link| !link.profile().is_modern());
        let link = link.ok_or_else(ErrorData::method_not_found::<SetLevelRequestMethod>)?;
        let name = serde_json::to_value(request.level).unwrap_or_default();
        if let Some(level) = name.as_str().and_then(LogLevel::parse) {
            link.set_log_level(level);
        }
        Ok(())
    }

    /// Refuses requests that are unknown or have malformed parameters. The error quotes neither, because they may
    /// contain secrets.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let link = ClientContext::from_request(&context).link;
        let is_modern = link.is_none_or(|link| link.profile().is_modern());
        Err(match request.method.as_str() {
            "tools/call"
            | "tools/list"
            | "prompts/get"
            | "prompts/list"
            | "resources/read"
            | "resources/list"
            | "resources/templates/list"
            | "completion/complete" => ErrorData::invalid_params("the parameters are malformed", None),
            "logging/setLevel" if !is_modern => {
                ErrorData::invalid_params("the parameters are malformed", None)
            }
            _ => ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "no such method", None),
        })
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(CallToolResult::success(Vec::new()).into())
    }
}
