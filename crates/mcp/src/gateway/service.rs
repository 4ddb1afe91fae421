//! `GatewayService`: the protocol side of the gateway. rmcp negotiates and validates; the contents pass through as
//! JSON.
//!
//! A request is served in these steps:
//!
//! 1. rmcp validates the message and negotiates the protocol version.
//! 2. The name and the arguments of a tool call are taken as JSON. rmcp's models are not used for them, because they drop
//!    fields that they do not know.
//! 3. A credential tool of that name is called; otherwise the tool of a server, for the session that the arguments name.
//! 4. The result is masked and written as it is.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientRequest, CustomRequest, CustomResult,
    ErrorCode, Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    ServerResult, SubscriptionFilter,
};
use rmcp::service::{NotificationContext, RequestContext, Service, ServiceRole, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value};

use valetkey_core::SessionContext;

use super::changes::{ToolChangeNotifier, accepted_filter};
use super::source::ToolSource;
use crate::client::ClientContext;

/// The start of the instructions, followed by the accounts.
const INSTRUCTIONS: &str = "\
AWS credentials for this session; every tool runs with them, also tools of servers that were started before. Secrets are \
never returned: `get_aws_credentials_context` shows the status of an account, without the keys. ";

/// Serves a source of tools over rmcp, for one connection or for one request over HTTP.
pub(crate) struct GatewayService {
    source: Arc<dyn ToolSource>,
    protocol: ProtocolHandler,
}

impl GatewayService {
    /// Serves the tools of `source`. The instructions for the client's model end with `note`.
    pub(crate) fn new(
        source: Arc<dyn ToolSource>,
        note: String,
        change_notifier: ToolChangeNotifier,
    ) -> Self {
        let instructions = format!("{INSTRUCTIONS}{note}");
        Self { source, protocol: ProtocolHandler { instructions, change_notifier } }
    }

    async fn fetch_content(
        &self,
        request: ProxiedRequest,
        context: &RequestContext<RoleServer>,
    ) -> Result<Map<String, Value>, ErrorData> {
        match request {
            ProxiedRequest::List => {
                Ok(Map::from_iter([("tools".to_owned(), Value::Array(self.source.list_tools().await))]))
            }
            ProxiedRequest::Call(params) => {
                let result = {
                    let context = ClientContext { cancelled: context.ct.clone() };
                    self.source.call_tool(&params.name, params.arguments, &context).await
                };
                match result {
                    Some(Value::Object(fields)) => Ok(fields),
                    Some(_) => Err(ErrorData::internal_error("the server's result is not an object", None)),
                    None => Err(ErrorData::invalid_params("unknown tool; list the tools again", None)),
                }
            }
        }
    }
}

/// The requests whose results pass through as JSON.
enum ProxiedRequest {
    List,
    Call(Box<CallToolRequestParams>),
}

impl Service<RoleServer> for GatewayService {
    /// Handles a request. For proxied requests, rmcp validates the request and returns an empty result in the format of
    /// the client's protocol version, to which the contents are added with every field unchanged.
    async fn handle_request(
        &self,
        request: <RoleServer as ServiceRole>::PeerReq,
        context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        self.source.record_request();
        let proxied = match &request {
            ClientRequest::ListToolsRequest(_) => ProxiedRequest::List,
            ClientRequest::CallToolRequest(request) => ProxiedRequest::Call(Box::new(request.params.clone())),
            _ => return self.protocol.handle_request(request, context).await,
        };
        let envelope = self.protocol.handle_request(request, context.clone()).await?;
        let Ok(Value::Object(mut result)) = serde_json::to_value(envelope) else {
            return Err(ErrorData::internal_error("the result has no envelope", None));
        };
        let contents = self.fetch_content(proxied, &context).await?;
        // `resultType`, which can also request more input, exists only in the modern protocol.
        let is_typed = result.contains_key("resultType");
        result.extend(contents.into_iter().filter(|(key, _)| is_typed || key != "resultType"));
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
    change_notifier: ToolChangeNotifier,
}

impl ServerHandler for ProtocolHandler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
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
        Ok(ListToolsResult::with_all_items(Vec::new())
            .with_cache_scope(rmcp::model::CacheScope::Private)
            .with_ttl_ms(0))
    }

    /// Refuses requests that are unknown or have malformed parameters. The error quotes neither, because they may
    /// contain secrets.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(match request.method.as_str() {
            "tools/call" | "tools/list" => ErrorData::invalid_params("the parameters are malformed", None),
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
