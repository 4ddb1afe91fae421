//! The protocol side of the gateway: rmcp negotiates and checks, the contents pass through as JSON.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientRequest, CustomRequest, CustomResult,
    ErrorCode, Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    ServerResult,
};
use rmcp::service::{NotificationContext, RequestContext, Service, ServiceRole};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value};

use super::Parts;

const INSTRUCTIONS: &str = "\
AWS credentials for this session. Give the session credentials with `set_aws_credentials_context` or \
`extract_and_set_credentials_from_stack_job`; every other tool then runs with them, also tools of servers that were \
started before. Secrets are never returned: `get_aws_credentials_context` shows what is set, without the keys.";

pub(super) struct Front {
    parts: Arc<Parts>,
    envelope: Envelope,
}

impl Front {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        Self { parts, envelope: Envelope }
    }

    async fn contents(
        &self,
        asked: Asked,
        context: &RequestContext<RoleServer>,
    ) -> Result<Map<String, Value>, ErrorData> {
        match asked {
            Asked::List => Ok(Map::from_iter([("tools".to_owned(), Value::Array(self.parts.list().await))])),
            Asked::Call(params) => {
                let result = self.parts.call(&params.name, params.arguments, &context.ct).await;
                match result {
                    Some(Value::Object(fields)) => Ok(fields),
                    Some(_) => Err(ErrorData::internal_error("the server's result is not an object", None)),
                    None => Err(ErrorData::invalid_params("unknown tool; list the tools again", None)),
                }
            }
        }
    }
}

/// The two requests whose results are not modelled.
enum Asked {
    List,
    Call(CallToolRequestParams),
}

impl Service<RoleServer> for Front {
    /// rmcp answers with an empty result, having checked the request and fitted the result to the client's protocol;
    /// then the real contents are put in, every field as it came.
    async fn handle_request(
        &self,
        request: <RoleServer as ServiceRole>::PeerReq,
        context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        self.parts.greeted.store(true, Ordering::Release);
        let asked = match &request {
            ClientRequest::ListToolsRequest(_) => Asked::List,
            ClientRequest::CallToolRequest(request) => Asked::Call(request.params.clone()),
            _ => return self.envelope.handle_request(request, context).await,
        };
        let envelope = self.envelope.handle_request(request, context.clone()).await?;
        let Ok(Value::Object(mut result)) = serde_json::to_value(envelope) else {
            return Err(ErrorData::internal_error("the result has no envelope", None));
        };
        let contents = self.contents(asked, &context).await?;
        // Only modern clients are told of what type a result is, and that a server asks for more input.
        let is_typed = result.contains_key("resultType");
        result.extend(contents.into_iter().filter(|(key, _)| is_typed || key != "resultType"));
        Ok(ServerResult::CustomResult(CustomResult(Value::Object(result))))
    }

    async fn handle_notification(
        &self,
        notification: <RoleServer as ServiceRole>::PeerNot,
        context: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.envelope.handle_notification(notification, context).await
    }

    fn get_info(&self) -> ServerConfig {
        ServerHandler::get_info(&self.envelope)
    }
}

/// Answers everything but the contents.
struct Envelope;

impl ServerHandler for Envelope {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("valetkey", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
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

    /// What is no request of the protocol, or has malformed parameters. Neither is repeated: it may hold anything.
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
