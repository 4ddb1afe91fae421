//! `ProtocolHandler`: the parts of the protocol that rmcp and the gateway serve themselves, and the envelopes of results
//! whose contents come from servers.

use std::sync::Arc;

use futures_util::future::join_all;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams,
    CompleteRequestParams, CompleteResult, CustomRequest, CustomResult, DetailedTask, DiscoverResult,
    ErrorCode, GetPromptRequestParams, GetPromptResponse, GetPromptResult, GetTaskParams, GetTaskResult,
    Implementation, InitializeRequestParams, InitializeResult, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerCapabilities, ServerConfig,
    SetLevelRequestMethod, SubscribeRequestParams, SubscriptionFilter, TASKS_EXTENSION_ID, Task, TaskPayload,
    TaskStatus, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};

use super::changes::{ChangeNotifier, accepted_filter};
use super::legacy_tasks::declare_tasks;
use super::service::ContentSource;
use crate::client::{ClientContext, LogLevel};

pub(super) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| !version.has_initialize())
}

/// Handles everything except the contents of proxied requests.
pub(super) struct ProtocolHandler {
    pub(super) source: Arc<dyn ContentSource>,
    pub(super) instructions: String,
    /// Whether prompts, resources and completions are advertised and served.
    pub(super) has_servers: bool,
    pub(super) change_notifier: ChangeNotifier,
}

impl ProtocolHandler {
    /// Returns the instructions for the client's model, which end with those of servers.
    async fn instructions(&self) -> String {
        let of_servers = self.source.instructions().await;
        let of_servers = of_servers.iter().map(|(server, text)| format!("\n\nThe server `{server}`: {text}"));
        std::iter::once(self.instructions.clone()).chain(of_servers).collect()
    }

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
        let mut capabilities = match self.has_servers {
            false => tools.build(),
            true => tools
                .enable_prompts()
                .enable_prompts_list_changed()
                .enable_resources()
                .enable_resources_list_changed()
                .enable_resources_subscribe()
                .enable_completions()
                .build(),
        };
        if self.source.has_tasks() {
            let extensions = capabilities.extensions.get_or_insert_default();
            extensions.insert(TASKS_EXTENSION_ID.to_owned(), Default::default());
        }
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("valetkey", env!("CARGO_PKG_VERSION")))
            .with_instructions(self.instructions.clone())
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut result = self.negotiate_initialize(&request)?;
        result.capabilities.extensions = None;
        if self.has_servers {
            declare_tasks(&mut result);
        }
        result.instructions = Some(self.instructions().await);
        Ok(result)
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        // Servers whose instructions are awaited may support tasks.
        let instructions = self.instructions().await;
        let mut info = ServerHandler::get_info(self);
        info.instructions = Some(instructions);
        Ok(DiscoverResult::from_server_info(
            ServerHandler::supported_protocol_versions(self).into_owned(),
            info,
        ))
    }

    async fn subscribe(
        &self,
        _: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.require_servers(())
    }

    async fn unsubscribe(
        &self,
        _: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.require_servers(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(accepted_filter(requested))
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let client = ClientContext::from_request(subscription.request_context());
        let queue = Arc::default();
        let uris = subscription.accepted().resource_subscriptions.clone().unwrap_or_default();
        let subscribe = uris.iter().map(|uri| self.source.subscribe(uri, &queue, &client));
        // A resource that does not exist has no updates.
        let _subscriptions = join_all(subscribe).await;
        let changes = self.change_notifier.clone().with_updates(queue);
        changes.notify_subscriber(&subscription).await;
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

    /// Returns an envelope for the task, of which only the type of the result is used.
    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let task = Task::new(request.task_id, TaskStatus::Working, "", "");
        Ok(GetTaskResult::new(DetailedTask::new(task, TaskPayload::Working)))
    }

    async fn update_task(&self, _: UpdateTaskParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn cancel_task(&self, _: CancelTaskParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
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
            "tasks/get" | "tasks/update" | "tasks/cancel" if is_modern && self.source.has_tasks() => {
                ErrorData::invalid_params("the parameters are malformed", None)
            }
            // The modern protocol has no such requests.
            "resources/subscribe" | "resources/unsubscribe" if self.has_servers && !is_modern => {
                ErrorData::invalid_params("the parameters are malformed", None)
            }
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
