//! Requests that are no calls of tools: which server a request for a prompt, a resource, a completion or a task is for.
//!
//! | request | server |
//! |---|---|
//! | `prompts/get` | the one whose prompt is listed under the name |
//! | `resources/read` | the one that lists the URI, else the first whose template matches it, else the only one that lists any resource |
//! | `completion/complete` | that of the prompt or resource it refers to |
//! | `tasks/get`, `tasks/update`, `tasks/result`, `tasks/cancel` | the one that returned the task to a call of the session |

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Map, Value};
use tokio::time::timeout;
use valetkey_core::{Error, ErrorKind, Result, SessionContext};

use super::McpHost;
use super::calls::{CallTarget, Caller};
use super::table::{ItemRoute, ServerTable};
use crate::client::{CallIdentity, ClientContext, GivenInput};
use crate::connection::{ListKind, RefusedRequest};
use crate::server::{
    CredentialNeed, RequestFailure, ServerHandle, ServerRequest, TASK_RESULT, cancelled_error,
};
use crate::subscriptions::{ResourceSubscription, UpdateQueue};

const INVALID_PARAMS: i32 = -32602;

/// A request that is for one server, with its parameters as the client sent them.
#[derive(Debug)]
pub(crate) struct ItemRequest {
    pub(crate) method: ItemMethod,
    pub(crate) params: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemMethod {
    GetPrompt,
    ReadResource,
    Complete,
    GetTask,
    UpdateTask,
    /// The result of a task of a legacy server. The response is sent at the end of the task.
    TaskResult,
    CancelTask,
}

impl ItemRequest {
    pub(crate) fn task_id(&self) -> &str {
        text_field(&self.params, "taskId")
    }
}

impl ItemMethod {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GetPrompt => "prompts/get",
            Self::ReadResource => "resources/read",
            Self::Complete => "completion/complete",
            Self::GetTask => "tasks/get",
            Self::UpdateTask => "tasks/update",
            Self::TaskResult => TASK_RESULT,
            Self::CancelTask => "tasks/cancel",
        }
    }

    /// Whether the request names a task.
    pub(crate) fn is_of_task(self) -> bool {
        matches!(self, Self::GetTask | Self::UpdateTask | Self::TaskResult | Self::CancelTask)
    }

    /// Returns the request for a server, with these parameters.
    ///
    /// A resource or a task may show what an account contains. Prompts and completions describe the server.
    fn to_server_request(self, params: Map<String, Value>) -> ServerRequest {
        let need = match self {
            Self::GetPrompt | Self::Complete => CredentialNeed::Optional,
            Self::ReadResource | Self::GetTask | Self::UpdateTask | Self::TaskResult | Self::CancelTask => {
                CredentialNeed::Required
            }
        };
        ServerRequest { method: self.name(), params: Value::Object(params), need }
    }
}

impl McpHost {
    /// Sends a request to its server, with the credentials of a narrowed session or, if `narrowed` is `None`, of the
    /// host's own. Returns the result as the server sent it, masked.
    pub(crate) async fn request(
        &self,
        narrowed: Option<&SessionContext>,
        request: ItemRequest,
        context: &ClientContext,
    ) -> Result<Value, RequestFailure> {
        self.admit_client(context);
        if request.method.is_of_task() {
            let owner = self.tasks.get(request.task_id()).ok_or_else(unknown_task)?;
            let request = request.method.to_server_request(request.params);
            return self.mask(owner.request(request, context).await?).await;
        }
        let result = self.forward_request(narrowed, request, context).await?;
        self.mask(result).await
    }

    /// Sends a request to its server, and returns the result unmasked.
    async fn forward_request(
        &self,
        narrowed: Option<&SessionContext>,
        ItemRequest { method, mut params }: ItemRequest,
        context: &ClientContext,
    ) -> Result<Value, RequestFailure> {
        let may_require_input = matches!(method, ItemMethod::GetPrompt | ItemMethod::ReadResource);
        let input = GivenInput::take(&mut params);
        let identity = || CallIdentity::new(method.name(), params.clone(), narrowed.map(SessionContext::id));
        if let Some(input) = input {
            return self.resume(input, identity(), context).await;
        }
        let identity = (may_require_input && context.is_interruptible()).then(identity);
        let table = self.table();
        let server = tokio::select! {
            server = table.address(method, &mut params) => server?,
            () = context.cancelled.cancelled() => return Err(cancelled_error().into()),
        };
        // A policy for every tool of a server limits its other requests as well.
        let caller = Caller { narrowed, client: context.link.as_ref() };
        let target = self.call_target(&table, &ItemRoute::to_server(server), &caller, None)?;
        self.send_with_input(target, method.to_server_request(params), identity, context).await
    }

    /// Whether the tool can be called as a task of the legacy protocol.
    pub(crate) async fn may_be_task(&self, tool: &str) -> bool {
        let found = self.table().find_route(ListKind::Tools, tool).await;
        matches!(found, Ok(Some(route)) if route.may_be_task)
    }

    /// Whether a request would find the task.
    #[cfg(feature = "http")]
    pub(crate) fn has_task(&self, id: &str) -> bool {
        self.tasks.get(id).is_some()
    }

    async fn mask(&self, result: Value) -> Result<Value, RequestFailure> {
        let masking_failed = || Error::new(ErrorKind::Internal, "the result could not be masked");
        Ok(self.spawn_config.redactor.mask_json_async(result).await.ok_or_else(masking_failed)?)
    }

    /// Subscribes to a resource: `queue` gets its updates while the returned value lives.
    pub(crate) async fn subscribe(
        &self,
        uri: &str,
        queue: &Arc<UpdateQueue>,
        context: &ClientContext,
    ) -> Result<ResourceSubscription, RequestFailure> {
        self.admit_client(context);
        let table = self.table();
        let server = table.find_resource(uri).await?;
        let caller = Caller { narrowed: None, client: context.link.as_ref() };
        match self.call_target(&table, &ItemRoute::to_server(server), &caller, None)? {
            CallTarget::Shared(server) => server.subscribe(uri, queue).await,
            // Its process would end when it is idle.
            CallTarget::Narrowed(lease) => {
                Ok(lease.subscribe(uri, queue).await?.keeping(Box::new(lease.watch())))
            }
        }
    }

    /// Returns the instructions of servers whose names are listed unchanged, which stand for the gateway itself, and
    /// of those other servers that have started. Waits for the former within the budget of a list.
    pub(crate) async fn instructions(&self) -> Vec<(String, String)> {
        let table = self.table();
        let is_plain = |server: &&Arc<ServerHandle>| !server.config().prefix;
        let started = table.servers.iter().filter(is_plain).map(|server| server.list(ListKind::Tools));
        let _elapsed = timeout(table.list_budget, join_all(started)).await;
        let known = |server: &Arc<ServerHandle>| Some((server.name().to_owned(), server.instructions()?));
        table.servers.iter().filter_map(known).collect()
    }
}

/// What the HTTP gateway needs to know before it requires a credential session.
#[cfg(feature = "http")]
impl McpHost {
    /// Whether a server may have the tool: it is listed, or a server has not listed its tools.
    pub(crate) async fn may_have_tool(&self, name: &str) -> bool {
        !matches!(self.table().find_route(ListKind::Tools, name).await, Ok(None))
    }

    /// Whether the server of a tool is given no credentials.
    pub(crate) async fn is_credential_free_tool(&self, name: &str) -> bool {
        let found = self.table().find_route(ListKind::Tools, name).await;
        matches!(found, Ok(Some(route)) if is_credential_free(&route.server))
    }

    /// Whether the server of a request is given no credentials.
    pub(crate) async fn is_credential_free_request(&self, request: &ItemRequest) -> bool {
        let found = self.table().address(request.method, &mut request.params.clone()).await;
        found.is_ok_and(|server| is_credential_free(&server))
    }

    /// Whether the server of a resource is given no credentials.
    pub(crate) async fn is_credential_free_resource(&self, uri: &str) -> bool {
        self.table().find_resource(uri).await.is_ok_and(|server| is_credential_free(&server))
    }
}

impl ServerTable {
    /// Returns the server of a request, and replaces a listed name in the parameters by the server's own name.
    async fn address(
        &self,
        method: ItemMethod,
        params: &mut Map<String, Value>,
    ) -> Result<Arc<ServerHandle>, RequestFailure> {
        match method {
            ItemMethod::GetPrompt => self.address_prompt(params).await,
            ItemMethod::ReadResource => self.find_resource(text_field(params, "uri")).await,
            ItemMethod::Complete => {
                let reference = params.get_mut("ref").and_then(Value::as_object_mut);
                let reference = reference.ok_or_else(|| invalid_params("the reference is malformed"))?;
                match text_field(reference, "type") {
                    "ref/prompt" => self.address_prompt(reference).await,
                    _ => self.find_resource(text_field(reference, "uri")).await,
                }
            }
            ItemMethod::GetTask
            | ItemMethod::UpdateTask
            | ItemMethod::TaskResult
            | ItemMethod::CancelTask => Err(unknown_task()),
        }
    }

    async fn address_prompt(
        &self,
        fields: &mut Map<String, Value>,
    ) -> Result<Arc<ServerHandle>, RequestFailure> {
        let found = self.find_route(ListKind::Prompts, text_field(fields, "name")).await?;
        let ItemRoute { server, own_name, .. } =
            found.ok_or_else(|| invalid_params("unknown prompt; list the prompts again"))?;
        fields.insert("name".to_owned(), Value::from(own_name));
        Ok(server)
    }
}

#[cfg(feature = "http")]
fn is_credential_free(server: &ServerHandle) -> bool {
    server.config().delivery == crate::child::Delivery::None
}

fn text_field<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the same error for a task that never existed, one that was forgotten and one of another session.
pub(crate) fn unknown_task() -> RequestFailure {
    invalid_params("unknown task")
}

fn invalid_params(message: &str) -> RequestFailure {
    let message = message.to_owned();
    RequestFailure::Refused(RefusedRequest { code: INVALID_PARAMS, message, data: None })
}
