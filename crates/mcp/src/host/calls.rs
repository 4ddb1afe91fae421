//! Calls of tools: the process that runs a call, and how a request is sent whose server may require input of the client.

use std::ops::Deref;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use valetkey_core::{Error, ErrorKind, Result, SessionContext};
use valetkey_tools::ToolOutput;

use super::authority::CallAuthority;
use super::narrowed::ServerLease;
use super::table::{ItemRoute, ServerTable};
use super::{McpHost, session_account};
use crate::child::Delivery;
use crate::client::{
    CallIdentity, CallOutcome, ClientContext, ClientLink, GivenInput, MAX_ROUNDS, Refusal, requires_input,
};
use crate::connection::{ListKind, RefusedRequest};
use crate::json::round_numbers;
use crate::server::{RequestFailure, ServerHandle, ServerRequest, cancelled_error};

/// The parameters of `tools/call`. Fields without a meaning here are passed on.
#[derive(Debug, Clone)]
pub(crate) struct ToolCall {
    pub(crate) name: String,
    pub(crate) arguments: Option<Map<String, Value>>,
    pub(crate) other: Map<String, Value>,
}

impl ToolCall {
    pub(crate) fn new(name: &str, arguments: Option<Map<String, Value>>) -> Self {
        Self { name: name.to_owned(), arguments, other: Map::new() }
    }

    /// Returns `None` if the parameters name no tool.
    pub(crate) fn from_params(mut params: Map<String, Value>) -> Option<Self> {
        let Some(Value::String(name)) = params.remove("name") else { return None };
        let arguments = match params.remove("arguments") {
            Some(Value::Object(arguments)) => Some(arguments),
            _ => None,
        };
        Some(Self { name, arguments, other: params })
    }

    /// Returns the parameters as the client sent them.
    pub(crate) fn params(&self) -> Map<String, Value> {
        let own = [
            ("name".to_owned(), Value::from(self.name.as_str())),
            ("arguments".to_owned(), self.arguments.clone().into()),
        ];
        own.into_iter().chain(self.other.clone()).collect()
    }

    /// Returns the parameters for the server, which has its own name for the tool.
    fn into_params(self, tool: &str) -> Value {
        let mut params = Map::new();
        params.insert("name".to_owned(), Value::from(tool));
        params.insert("arguments".to_owned(), Value::Object(self.arguments.unwrap_or_default()));
        params.extend(self.other);
        Value::Object(params)
    }
}

/// The session and the client that a call is for.
pub(super) struct Caller<'a> {
    /// `None` for the host's own session.
    pub(super) narrowed: Option<&'a SessionContext>,
    pub(super) client: Option<&'a Arc<dyn ClientLink>>,
}

/// The server of a request that has ended, and the result.
pub(super) type FinishedRequest = (CallTarget, Result<Value, RequestFailure>);

/// The server process that runs one call.
pub(super) enum CallTarget {
    Shared(Arc<ServerHandle>),
    Narrowed(ServerLease),
}

impl Deref for CallTarget {
    type Target = Arc<ServerHandle>;

    fn deref(&self) -> &Arc<ServerHandle> {
        match self {
            Self::Shared(server) => server,
            Self::Narrowed(server) => server,
        }
    }
}

impl McpHost {
    /// Calls a tool by the name under which [`all_tools`](Self::all_tools) lists it.
    ///
    /// Returns the MCP result as JSON, with the session's secrets masked, or `None` when no such tool exists. Every
    /// failure is a result with `isError`. When `cancelled` fires, the server is notified and the result reports the
    /// cancellation.
    ///
    /// # Cancel safety
    /// Not cancel safe. Dropping the future discards the result and does not notify the server; cancel `cancelled`
    /// instead.
    ///
    /// # Examples
    /// ```no_run
    /// use serde_json::json;
    /// use tokio_util::sync::CancellationToken;
    ///
    /// # async fn example(host: &valetkey_mcp::McpHost) {
    /// let arguments = json!({"cli_command": "aws s3 ls"}).as_object().cloned();
    /// match host.call("aws-api__call_aws", arguments, &CancellationToken::new()).await {
    ///     Some(result) if result["isError"] == true => eprintln!("failed: {}", result["content"][0]["text"]),
    ///     Some(result) => println!("{result}"),
    ///     None => eprintln!("no server has such a tool"),
    /// }
    /// # }
    /// ```
    pub async fn call(
        &self,
        name: &str,
        arguments: Option<Map<String, Value>>,
        cancelled: &CancellationToken,
    ) -> Option<Value> {
        self.call_and_round(None, ToolCall::new(name, arguments), cancelled).await
    }

    /// Like [`call`](Self::call), with the credentials of `session`: the host's session or a session narrowed from it.
    ///
    /// The call never runs in a process that has other credentials. A server that is given no credentials has one
    /// process for all sessions.
    ///
    /// # Cancel safety
    /// See [`call`](Self::call).
    ///
    /// # Examples
    /// ```no_run
    /// use tokio_util::sync::CancellationToken;
    /// use valetkey_core::{AccessScope, Result, SessionContext, SessionPolicy};
    /// use valetkey_mcp::McpHost;
    ///
    /// # async fn example(host: &McpHost, session: &SessionContext) -> Result<()> {
    /// // For a sub-agent that may only read objects.
    /// let scope = AccessScope::new().policy(SessionPolicy::read_only(["s3"])?);
    /// let narrowed = session.narrow(scope)?;
    /// let result = host.call_for(&narrowed, "aws-api__call_aws", None, &CancellationToken::new()).await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call_for(
        &self,
        session: &SessionContext,
        name: &str,
        arguments: Option<Map<String, Value>>,
        cancelled: &CancellationToken,
    ) -> Option<Value> {
        let narrowed = (session.id() != self.session_id).then_some(session);
        self.call_and_round(narrowed, ToolCall::new(name, arguments), cancelled).await
    }

    /// Rounds inexact numbers of the result, for callers that read values and do not write them as JSON.
    async fn call_and_round(
        &self,
        narrowed: Option<&SessionContext>,
        call: ToolCall,
        cancelled: &CancellationToken,
    ) -> Option<Value> {
        let context = ClientContext::without_client(cancelled);
        let name = call.name.clone();
        let mut result = match self.call_with_session(narrowed, call, &context).await {
            Ok(result) => result?,
            Err(refused) => {
                let server = self.tool_catalog().get(&name).map(|tool| tool.server.clone());
                error_result(&RequestFailure::from(refused).into_error(&server.unwrap_or_default()))
            }
        };
        round_numbers(&mut result);
        Some(result)
    }

    /// Calls a tool for a narrowed session, or for the host's own session if `narrowed` is `None`. The result must be
    /// written with [`write_exact`](crate::json::write_exact).
    ///
    /// # Errors
    /// The protocol error with which the server refused the call, masked. Every other failure is a result with
    /// `isError`.
    pub(crate) async fn call_with_session(
        &self,
        narrowed: Option<&SessionContext>,
        call: ToolCall,
        context: &ClientContext,
    ) -> Result<Option<Value>, RefusedRequest> {
        let name = call.name.clone();
        let result = match self.forward_call(narrowed, call, context).await {
            Ok(None) => return Ok(None),
            Ok(Some(result)) => result,
            Err(RequestFailure::Refused(refused)) => {
                tracing::debug!(tool = name, code = refused.code, "a server refused a tool call");
                return Err(refused);
            }
            Err(RequestFailure::Failed(error)) => {
                tracing::debug!(tool = name, %error, "tool call failed");
                error_result(&error)
            }
        };
        let masking_failed =
            || error_result(&Error::new(ErrorKind::Internal, "the result could not be masked"));
        Ok(Some(self.spawn_config.redactor.mask_json_async(result).await.unwrap_or_else(masking_failed)))
    }

    /// Sends a call to its server, and returns the result unmasked, or `None` when no such tool exists.
    async fn forward_call(
        &self,
        narrowed: Option<&SessionContext>,
        mut call: ToolCall,
        context: &ClientContext,
    ) -> Result<Option<Value>, RequestFailure> {
        self.admit_client(context);
        let input = GivenInput::take(&mut call.other);
        let identity = || CallIdentity::new("tools/call", call.params(), narrowed.map(SessionContext::id));
        if let Some(input) = input {
            return self.resume(input, identity(), context).await.map(Some);
        }
        let identity = context.is_interruptible().then(identity);
        let table = self.table();
        let route = tokio::select! {
            route = table.find_route(ListKind::Tools, &call.name) => route?,
            () = context.cancelled.cancelled() => return Err(cancelled_error().into()),
        };
        let Some(route) = route else { return Ok(None) };
        let caller = Caller { narrowed, client: context.link.as_ref() };
        let server = self.call_target(&table, &route, &caller, call.arguments.as_mut())?;
        let request = ServerRequest::tool_call(call.into_params(&route.own_name));
        self.send_with_input(server, request, identity, context).await.map(Some)
    }

    /// Calls a tool by the server's own name, also one that the configuration hides, and returns its result unmasked.
    pub(crate) async fn call_unmasked(
        &self,
        server: &str,
        tool: &str,
        arguments: Map<String, Value>,
        cancelled: &CancellationToken,
    ) -> Result<Value> {
        let table = self.table();
        let found = table.servers.iter().find(|found| found.name() == server);
        let unknown = || Error::new(ErrorKind::NotConfigured, "the server is not configured");
        let server = found.ok_or_else(unknown)?;
        let params = json!({"name": tool, "arguments": arguments});
        let context = ClientContext::without_client(cancelled);
        let called = server.request(ServerRequest::tool_call(params), &context).await;
        called.map_err(|failure| failure.into_error(server.name()))
    }

    /// Records a request of a client. The processes of servers are started for the first client, so this precedes every
    /// list that may start one. A client with other capabilities gets other processes.
    pub(crate) fn admit_client(&self, context: &ClientContext) {
        let _is_admitted = self.spawn_config.clients.admit(context.link.as_ref());
    }

    /// Returns the process that may run a call. Removes the argument that selects an account.
    pub(super) fn call_target(
        &self,
        table: &ServerTable,
        route: &ItemRoute,
        caller: &Caller<'_>,
        arguments: Option<&mut Map<String, Value>>,
    ) -> Result<CallTarget> {
        let ItemRoute { server, own_name, account_argument, .. } = route;
        let selected = account_argument.take(arguments, server.account());
        let selected = selected.map_err(|error| error.with_provider(server.name().to_owned()))?;
        let config = server.config();
        let is_admitted = self.spawn_config.clients.admit(caller.client);
        let narrowed = match caller.narrowed {
            // Refuses a call for a session that has ended, also on a server without credentials.
            Some(session) => Some((session, session_account(session, config.account.as_ref())?)),
            None => None,
        };
        // A server without credentials has one process for all sessions.
        let narrowed = narrowed.as_ref().filter(|_| config.delivery != Delivery::None);
        let usual = narrowed.map_or_else(|| server.account(), |(_, account)| account);
        let selected = selected.filter(|selected| selected != usual.account_name());
        let account = match &selected {
            Some(name) => &self.accounts.find(narrowed.map(|(session, _)| *session), name)?,
            None => usual,
        };
        let policy = table.policies.get(server.name(), own_name);
        if is_admitted && narrowed.is_none() && selected.is_none() && policy.is_none() {
            return Ok(CallTarget::Shared(Arc::clone(server)));
        }
        let authority = CallAuthority { account, selected, policy };
        self.narrowed_pool.lease_server(server, authority, caller.client).map(CallTarget::Narrowed)
    }

    /// Sends a request that may require input of its client. A request with an identity can be interrupted.
    pub(super) async fn send_with_input(
        &self,
        server: CallTarget,
        request: ServerRequest,
        identity: Option<CallIdentity>,
        context: &ClientContext,
    ) -> Result<Value, RequestFailure> {
        let outcome = match (context.link.as_ref(), identity) {
            (_, Some(identity)) => {
                let send = |context: ClientContext| async move {
                    let result = server.request(request, &context).await;
                    (server, result)
                };
                self.interrupted.run(identity, context, send).await
            }
            (Some(link), None) if link.profile().is_legacy() => {
                let result = self.send_and_gather(&server, request, &**link, context).await;
                Ok(CallOutcome::Ended((server, result)))
            }
            _ => {
                let result = server.request(request, context).await;
                Ok(CallOutcome::Ended((server, result)))
            }
        };
        self.result_of(outcome)
    }

    /// Continues an interrupted request.
    pub(super) async fn resume(
        &self,
        input: GivenInput,
        identity: CallIdentity,
        context: &ClientContext,
    ) -> Result<Value, RequestFailure> {
        self.result_of(self.interrupted.resume(input, identity, context).await)
    }

    fn result_of(
        &self,
        outcome: Result<CallOutcome<FinishedRequest>, Refusal>,
    ) -> Result<Value, RequestFailure> {
        match outcome {
            Ok(CallOutcome::Ended((server, result))) => {
                let result = result?;
                self.record_task(&result, &server)?;
                Ok(result)
            }
            Ok(CallOutcome::InputRequired(result)) => Ok(result),
            Ok(CallOutcome::Lost) => {
                Err(Error::new(ErrorKind::Internal, "the task of the call failed").into())
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Sends a request, and again with the input that a modern server requires of a legacy client.
    async fn send_and_gather(
        &self,
        server: &ServerHandle,
        mut request: ServerRequest,
        link: &dyn ClientLink,
        context: &ClientContext,
    ) -> Result<Value, RequestFailure> {
        let failed = |message: String| {
            Error::new(ErrorKind::Unavailable, message).with_provider(server.name().to_owned())
        };
        for _ in 0..MAX_ROUNDS {
            let result = server.request(request.clone(), context).await?;
            if !requires_input(&result) {
                return Ok(result);
            }
            let input = tokio::select! {
                input = link.gather_input(result, &self.spawn_config.redactor) => input,
                () = context.cancelled.cancelled() => return Err(cancelled_error().into()),
            };
            let input =
                input.map_err(|why| failed(format!("the server requires input, but {}", why.message())))?;
            if let Some(params) = request.params.as_object_mut() {
                params.shift_remove("requestState");
                params.extend(input);
            }
        }
        Err(failed("the server requires input again and again".to_owned()).into())
    }

    /// Remembers the server of a task, if the result of its call is one.
    fn record_task(&self, result: &Value, server: &Arc<ServerHandle>) -> Result<()> {
        let is_task = result.get("resultType").is_some_and(|kind| kind == "task");
        // Legacy servers have no types of results.
        let legacy_id = result.get("task").and_then(|task| task.get("taskId"));
        let id = match (is_task, legacy_id.filter(|_| result.get("content").is_none())) {
            (true, _) => result.get("taskId"),
            (false, Some(id)) => Some(id),
            (false, None) => return Ok(()),
        };
        let id = id.and_then(Value::as_str);
        if id.is_some_and(|id| self.tasks.insert(id, server)) {
            return Ok(());
        }
        let unusable =
            Error::new(ErrorKind::Invalid, "the server started a task with an id that cannot be used");
        Err(unusable.with_provider(server.name().to_owned()))
    }
}

/// Converts an error into an MCP result.
pub(crate) fn error_result(error: &Error) -> Value {
    let output = ToolOutput::error(error);
    json!({
        "content": [{"type": "text", "text": output.text}],
        "structuredContent": output.structured,
        "isError": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_call_keeps_other_parameters() {
        let params = serde_json::json!({"name": "s__t", "arguments": {"a": 1}, "requestState": "x"});
        let call = ToolCall::from_params(params.as_object().unwrap().clone()).unwrap();
        assert_eq!(call.name, "s__t");
        let expected = serde_json::json!({"name": "t", "arguments": {"a": 1}, "requestState": "x"});
        assert_eq!(call.into_params("t"), expected);
        assert!(ToolCall::from_params(Map::new()).is_none());
    }
}
