//! Requests for prompts, resources and completions: which server they are for, and how they are sent.
//!
//! | request | server |
//! |---|---|
//! | `prompts/get` | the one whose prompt is listed under the name |
//! | `resources/read` | the one that lists the URI, else the first whose template matches it, else the only one that lists any resource |
//! | `completion/complete` | that of the prompt or resource it refers to |
//! | `tasks/get`, `tasks/update`, `tasks/cancel` | the one that returned the task to a call of the session |

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use regex_lite::Regex;
use serde_json::{Map, Value};
use tokio::time::timeout;
use valetkey_core::{Error, ErrorKind, Result, SessionContext};

use super::McpHost;
use super::calls::{CallTarget, Caller};
use super::server::{CredentialNeed, RequestFailure, ServerHandle, cancelled_error};
use super::table::{ItemRoute, ServerTable};
use crate::client::ClientContext;
use crate::connection::{ListKind, RefusedRequest};
use crate::subscriptions::{ResourceSubscription, UpdateQueue};

/// The protocol error for a resource that does not exist.
const RESOURCE_NOT_FOUND: i32 = -32002;
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
    CancelTask,
}

impl ItemRequest {
    pub(crate) fn task_id(&self) -> &str {
        text_field(&self.params, "taskId")
    }
}

impl ItemMethod {
    fn name(self) -> &'static str {
        match self {
            Self::GetPrompt => "prompts/get",
            Self::ReadResource => "resources/read",
            Self::Complete => "completion/complete",
            Self::GetTask => "tasks/get",
            Self::UpdateTask => "tasks/update",
            Self::CancelTask => "tasks/cancel",
        }
    }

    /// Whether the request names a task.
    pub(crate) fn is_of_task(self) -> bool {
        matches!(self, Self::GetTask | Self::UpdateTask | Self::CancelTask)
    }

    /// A resource or a task may show what an account contains. Prompts and completions describe the server.
    fn credential_need(self) -> CredentialNeed {
        match self {
            Self::ReadResource | Self::GetTask | Self::UpdateTask | Self::CancelTask => {
                CredentialNeed::Required
            }
            Self::GetPrompt | Self::Complete => CredentialNeed::Optional,
        }
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
            return self.send_request(&owner, request, context).await;
        }
        let (table, ItemRequest { method, mut params }) = (self.table(), request);
        let server = tokio::select! {
            server = table.address(method, &mut params) => server?,
            () = context.cancelled.cancelled() => return Err(cancelled_error().into()),
        };
        // A policy for every tool of a server limits its other requests as well.
        let caller = Caller { narrowed, client: context.link.as_ref() };
        let target = self.call_target(&table, &ItemRoute::to_server(server), &caller, None)?;
        self.send_request(&target, ItemRequest { method, params }, context).await
    }

    /// Whether a request would find the task.
    #[cfg(feature = "http")]
    pub(crate) fn has_task(&self, id: &str) -> bool {
        self.tasks.get(id).is_some()
    }

    /// Remembers the server of a task, if the result of its call is one.
    pub(super) fn record_task(&self, result: &Value, server: &Arc<ServerHandle>) -> Result<()> {
        if result.get("resultType").is_none_or(|kind| kind != "task") {
            return Ok(());
        }
        let id = result.get("taskId").and_then(Value::as_str);
        if id.is_some_and(|id| self.tasks.insert(id, server)) {
            return Ok(());
        }
        let unusable =
            Error::new(ErrorKind::Invalid, "the server started a task with an id that cannot be used");
        Err(unusable.with_provider(server.name().to_owned()))
    }

    /// Sends a request to a server, and masks the result.
    async fn send_request(
        &self,
        server: &ServerHandle,
        ItemRequest { method, params }: ItemRequest,
        context: &ClientContext,
    ) -> Result<Value, RequestFailure> {
        let need = method.credential_need();
        let result = server.request(method.name(), Value::Object(params), need, context).await?;
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
            ItemMethod::GetTask | ItemMethod::UpdateTask | ItemMethod::CancelTask => Err(unknown_task()),
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

    /// Finds the server of a resource by its URI, or by the URI template of a completion.
    ///
    /// Servers that have not listed their resources are waited for within the budget of a list, but only until one of
    /// them is found to have the resource.
    pub(super) async fn find_resource(&self, uri: &str) -> Result<Arc<ServerHandle>, RequestFailure> {
        if let Some(server) = self.known_resource(uri) {
            return Ok(server);
        }
        let kinds = [ListKind::Resources, ListKind::ResourceTemplates];
        let lists = self.servers.iter().flat_map(|server| kinds.map(|kind| server.list(kind)));
        let mut lists = pin!(lists.collect::<FuturesUnordered<_>>());
        let found = timeout(self.list_budget, async {
            while lists.next().await.is_some() {
                kinds.into_iter().for_each(|kind| self.refresh_catalog(kind));
                if let Some(server) = self.known_resource(uri) {
                    return Some(server);
                }
            }
            None
        });
        if let Ok(Some(server)) = found.await {
            return Ok(server);
        }
        self.only_resource_server().ok_or_else(|| {
            let message = "no server has this resource; list the resources again".to_owned();
            let data = Some(serde_json::json!({"uri": uri}));
            RequestFailure::Refused(RefusedRequest { code: RESOURCE_NOT_FOUND, message, data })
        })
    }

    fn known_resource(&self, uri: &str) -> Option<Arc<ServerHandle>> {
        let templates = self.catalog(ListKind::ResourceTemplates);
        let listed = self.catalog(ListKind::Resources);
        let by_template = || templates.items().iter().find(|template| matches_template(&template.tool, uri));
        let item = listed.get(uri).or_else(|| templates.get(uri)).or_else(by_template)?;
        self.server(&item.server)
    }

    /// A server may have resources that it does not list.
    fn only_resource_server(&self) -> Option<Arc<ServerHandle>> {
        let mut owners = self.servers.iter().filter(|server| server.offers(ListKind::Resources));
        let only = owners.next()?;
        owners.next().is_none().then(|| Arc::clone(only))
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

/// Whether a URI template (RFC 6570) can expand to `uri`. Values of plain expressions contain no reserved characters,
/// since these are percent-encoded; those of other expressions may.
fn matches_template(template: &str, uri: &str) -> bool {
    let mut pattern = "^".to_owned();
    let mut rest = template;
    while let Some((literal, expression)) = rest.split_once('{') {
        pattern += &regex_lite::escape(literal);
        let Some((expression, after)) = expression.split_once('}') else { return false };
        let is_plain = !expression.starts_with(['+', '#', '.', '/', ';', '?', '&']);
        pattern += if is_plain { "[^/?#]*" } else { ".*" };
        rest = after;
    }
    pattern += &regex_lite::escape(rest);
    pattern += "$";
    Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(uri))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_matches_its_expansions() {
        for (template, uri, is_match) in [
            ("test://template/{id}/data", "test://template/123/data", true),
            ("test://template/{id}/data", "test://template/1/2/data", false),
            ("test://template/{id}/data", "test://template/1/data/", false),
            ("file:///{+path}", "file:///a/b.txt", true),
            ("x:{a}.{b}", "x:1.2", true),
            ("x:{a}.{b}", "x:1-2", false),
            ("x:search{?q,limit}", "x:search?q=1&limit=2", true),
            ("x:search{?q}", "x:search", true),
            ("x:(.*)", "x:anything", false),
            ("x:{open", "x:1", false),
        ] {
            assert_eq!(matches_template(template, uri), is_match, "{template} {uri}");
        }
    }
}
