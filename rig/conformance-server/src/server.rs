//! The MCP server: each request of the protocol, and who has subscribed.

// The methods of the legacy revisions are deprecated in rmcp, and tested nevertheless.
#![allow(deprecated)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::*;
use rmcp::service::{RequestContext, SubscriptionContext, SubscriptionSink};
use rmcp::task_manager::TaskManager;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;

use crate::catalog::Catalog;
use crate::client_requests;
use crate::input::{Attempt, InputRounds};
use crate::tasks;

type Context = RequestContext<RoleServer>;
type Result<T> = std::result::Result<T, ErrorData>;

/// How long clients may keep a list.
const CACHE_TTL_MS: u64 = 60_000;

/// The server. Clones share their subscriptions and tasks, as the sessions of an HTTP server do.
#[derive(Clone)]
pub(crate) struct ConformanceServer {
    catalog: Arc<Catalog>,
    rounds: Arc<InputRounds>,
    subscriptions: Arc<Mutex<Subscriptions>>,
    tasks: TaskManager,
}

#[derive(Default)]
struct Subscriptions {
    /// The streams of `subscriptions/listen`.
    streams: BTreeMap<u64, SubscriptionSink>,
    next: u64,
    /// The resources of legacy clients.
    resources: BTreeSet<String>,
}

/// Which list has changed.
#[derive(Clone, Copy)]
enum Changed {
    Tools,
    Prompts,
}

impl ConformanceServer {
    pub(crate) fn new() -> serde_json::Result<Self> {
        Ok(Self {
            catalog: Arc::new(Catalog::read()?),
            rounds: Arc::new(InputRounds::new()),
            subscriptions: Arc::default(),
            tasks: TaskManager::new(),
        })
    }

    fn subscriptions(&self) -> MutexGuard<'_, Subscriptions> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notifies the streams, and a legacy client directly. Legacy clients subscribe to no list.
    async fn notify_changed(&self, changed: Changed, context: &Context) -> CallToolResult {
        let streams: Vec<_> = self.subscriptions().streams.values().cloned().collect();
        for stream in streams {
            // A stream that has ended needs no notification.
            let _sent = match changed {
                Changed::Tools => stream.notify_tool_list_changed().await,
                Changed::Prompts => stream.notify_prompt_list_changed().await,
            };
        }
        if context.meta.protocol_version().is_none() {
            let _sent = match changed {
                Changed::Tools => context.peer.notify_tool_list_changed().await,
                Changed::Prompts => context.peer.notify_prompt_list_changed().await,
            };
        }
        CallToolResult::success(vec![ContentBlock::text("The change was reported")])
    }

    async fn call_complete(
        &self,
        request: CallToolRequestParams,
        context: &Context,
    ) -> Result<CallToolResponse> {
        let name = request.name.as_ref();
        let capabilities = context.client_capabilities().unwrap_or_default();
        let mut arguments = request.arguments.unwrap_or_default();
        tasks::add_name(&mut arguments, request.input_responses.as_ref());
        if let Some(result) = self.catalog.result(name) {
            return Ok(result.into());
        }
        if let Some(result) = tasks::call(&self.tasks, name, &arguments, &capabilities).await? {
            return Ok(result);
        }
        if let Some(result) = client_requests::call(&self.catalog, name, &arguments, context).await? {
            return Ok(result.into());
        }
        let text = match name {
            "test_trigger_tool_change" => {
                return Ok(self.notify_changed(Changed::Tools, context).await.into());
            }
            "test_trigger_prompt_change" => {
                return Ok(self.notify_changed(Changed::Prompts, context).await.into());
            }
            "test_missing_capability" if capabilities.sampling.is_none() => {
                let required = ClientCapabilities::builder().enable_sampling().build();
                return Err(ErrorData::missing_required_client_capability(required));
            }
            "test_missing_capability" => "The client has sampling".to_owned(),
            "test_custom_header" => json!(arguments.get("value")).to_string(),
            _ if self.catalog.inputs.rounds.contains_key(name) => json!(request.input_responses).to_string(),
            _ => return Err(ErrorData::invalid_params("There is no such tool", None)),
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }

    fn missing_input(
        &self,
        name: &str,
        responses: Option<&InputResponses>,
        state: Option<&str>,
        context: &Context,
    ) -> Result<Option<InputRequiredResult>> {
        let capabilities = context.client_capabilities().unwrap_or_default();
        let attempt = Attempt { name, responses, state, capabilities: &capabilities };
        self.rounds.missing(&self.catalog.inputs, &attempt)
    }
}

impl ServerHandler for ConformanceServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_completions()
            .enable_logging()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_tasks()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("conformance", env!("CARGO_PKG_VERSION")))
            .with_instructions("Call the tools by the names of the conformance suite.")
    }

    /// Finds a tool by name. rmcp compares the headers of a request with its parameters.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.catalog.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn list_tools(&self, _page: Option<PaginatedRequestParams>, _: Context) -> Result<ListToolsResult> {
        let list = ListToolsResult { tools: self.catalog.tools.clone(), ..Default::default() };
        Ok(list.with_ttl_ms(CACHE_TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: Context) -> Result<CallToolResponse> {
        let (responses, state) = (request.input_responses.as_ref(), request.request_state.as_deref());
        match self.missing_input(&request.name, responses, state, &context)? {
            Some(missing) => Ok(missing.into()),
            None => self.call_complete(request, &context).await,
        }
    }

    async fn list_prompts(
        &self,
        _page: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult> {
        let list = ListPromptsResult { prompts: self.catalog.prompts.list.clone(), ..Default::default() };
        Ok(list.with_ttl_ms(CACHE_TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse> {
        let (responses, state) = (request.input_responses.as_ref(), request.request_state.as_deref());
        if let Some(missing) = self.missing_input(&request.name, responses, state, &context)? {
            return Ok(missing.into());
        }
        let prompt = self.catalog.prompts.get(&request.name, &request.arguments.unwrap_or_default());
        prompt.map(Into::into).ok_or_else(|| ErrorData::invalid_params("There is no such prompt", None))
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult> {
        let list =
            ListResourcesResult { resources: self.catalog.resources.list.clone(), ..Default::default() };
        Ok(list.with_ttl_ms(CACHE_TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult> {
        let resource_templates = self.catalog.resources.templates.clone();
        let list = ListResourceTemplatesResult { resource_templates, ..Default::default() };
        Ok(list.with_ttl_ms(CACHE_TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse> {
        let not_found =
            || ErrorData::resource_not_found("Resource not found", Some(json!({"uri": request.uri})));
        let contents = self.catalog.resources.read(&request.uri).ok_or_else(not_found)?;
        let result = ReadResourceResult::new(vec![contents]);
        Ok(result.with_ttl_ms(CACHE_TTL_MS).with_cache_scope(CacheScope::Public).into())
    }

    async fn complete(&self, request: CompleteRequestParams, _: Context) -> Result<CompleteResult> {
        let values = match &request.r#ref {
            Reference::Prompt(prompt) => vec![format!("{}: {}", prompt.name, request.argument.value)],
            _ => self.catalog.resources.completions.clone(),
        };
        let completion =
            CompletionInfo::new(values).map_err(|error| ErrorData::internal_error(error, None))?;
        Ok(CompleteResult::new(completion))
    }

    async fn subscribe(&self, request: SubscribeRequestParams, context: Context) -> Result<()> {
        let uri = request.uri.to_string();
        self.subscriptions().resources.insert(uri.clone());
        // The suite changes no resource, so that the subscription itself is the change.
        let _sent = context.peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await;
        Ok(())
    }

    async fn unsubscribe(&self, request: UnsubscribeRequestParams, _: Context) -> Result<()> {
        self.subscriptions().resources.remove(request.uri.as_str());
        Ok(())
    }

    async fn set_level(&self, _request: SetLevelRequestParams, _: Context) -> Result<()> {
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<()> {
        let key = {
            let mut subscriptions = self.subscriptions();
            subscriptions.next += 1;
            let key = subscriptions.next;
            subscriptions.streams.insert(key, context.sink().clone());
            key
        };
        context.cancelled().await;
        self.subscriptions().streams.remove(&key);
        Ok(())
    }

    async fn get_task(&self, request: GetTaskParams, _: Context) -> Result<GetTaskResult> {
        Ok(GetTaskResult::new(self.tasks.get_task(&request.task_id)?))
    }

    async fn update_task(&self, request: UpdateTaskParams, _: Context) -> Result<()> {
        self.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: Context) -> Result<()> {
        self.tasks.cancel_task(&request.task_id)
    }
}
