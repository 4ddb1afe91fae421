//! Requests for access: the person at the client decides, by an elicitation.
//!
//! | response of the client | decision |
//! |---|---|
//! | `accept` with the content `{"grant": true}` | granted |
//! | `accept` with any other content, `decline`, `cancel` | refused |
//! | an error, another shape, none within five minutes; the client leaves or cancels the call | refused |
//!
//! Only a response to the gateway's own request counts. Its id, or for a modern client its state, is unknown to the model,
//! and a model's arguments reach only the tool.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use valetkey_core::{Error, ErrorKind, Result};
use valetkey_tools::{AccessRequest, Approver, REQUEST_ACCESS, ToolOutput, ToolSet};

use super::call_result;
use crate::client::{CallIdentity, CallOutcome, ClientContext, GivenInput, InterruptedCalls, Refusal};
use crate::connection::RefusedRequest;
use crate::host::{ToolCall, error_result};
use crate::json::round_numbers;

/// How long a request waits for the person.
const DECISION_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// The JSON-RPC code of a client that has no such method.
const METHOD_NOT_FOUND: i32 = -32601;
/// The field of the form that must be `true`.
const GRANT_FIELD: &str = "grant";
const NOTHING_GRANTED: &str = "nothing was granted; request it again if it is needed";

/// Reaches the person at the client of one call.
struct ClientApprover<'a>(&'a ClientContext);

#[async_trait]
impl Approver for ClientApprover<'_> {
    async fn decide(&self, request: &AccessRequest) -> Result<()> {
        let link = self.0.link.as_ref().ok_or_else(|| unreachable_person(&Refusal::NO_CLIENT))?;
        let params = elicitation(request);
        tokio::select! {
            biased;
            () = self.0.cancelled.cancelled() => Err(undecided("the call was cancelled before a decision")),
            response = timeout(DECISION_TIMEOUT, link.request("elicitation/create", Some(params))) => match response {
                Err(_elapsed) => Err(Error::new(ErrorKind::TimedOut, "the person did not decide in time")
                    .with_next_step(NOTHING_GRANTED)),
                Ok(Err(refusal)) => Err(unreachable_person(&refusal)),
                Ok(Ok(response)) => read_decision(&response),
            },
        }
    }

    fn spawn_watch(&self, ended: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(ended);
    }
}

/// Returns the parameters of the form for the person.
fn elicitation(request: &AccessRequest) -> Value {
    json!({
        "message": request.to_message(),
        "requestedSchema": {
            "type": "object",
            "properties": {
                GRANT_FIELD: {
                    "type": "boolean", "title": "Grant this access", "default": false,
                    "description": "AWS enforces it, and it ends by itself",
                },
            },
            "required": [GRANT_FIELD],
        },
    })
}

/// Returns `Ok` only for a response that grants the request in every part.
fn read_decision(response: &Value) -> Result<()> {
    let result = &response["result"];
    match result["action"].as_str() {
        Some("accept") if result["content"][GRANT_FIELD] == Value::Bool(true) => Ok(()),
        Some("accept" | "decline") => Err(refused("the person has refused the request")),
        Some("cancel") => Err(refused("the person has dismissed the request")),
        _ => Err(undecided("the client has sent no decision that can be read")),
    }
}

fn refused(message: &'static str) -> Error {
    Error::new(ErrorKind::Denied, message)
        .with_next_step("continue without this access, or report to the user what it is needed for")
}

fn undecided(message: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, message).with_next_step(NOTHING_GRANTED)
}

/// Returns why no person was reached.
fn unreachable_person(refusal: &Refusal) -> Error {
    if refusal.code() != METHOD_NOT_FOUND {
        return undecided("the client did not pass the request on to the person");
    }
    let message = format!("no person can be reached: {}", refusal.message());
    Error::new(ErrorKind::NotConfigured, message).with_next_step(
        "continue without this access; the user needs an MCP client that supports elicitation (forms), or a person starts \
         the gateway with the access (`valetkey serve --scope`)",
    )
}

/// Calls the credential tools, and continues requests for access of modern clients, which repeat their call with the
/// decision.
#[derive(Default)]
pub(super) struct OwnCalls {
    interrupted: InterruptedCalls<Option<ToolOutput>>,
}

impl OwnCalls {
    /// Calls a tool, and returns its MCP result, or `None` if the tool set has no such tool.
    ///
    /// # Errors
    /// The client has repeated a call that does not wait, or too many calls wait.
    pub(super) async fn call(
        &self,
        tools: &ToolSet,
        mut call: ToolCall,
        context: &ClientContext,
    ) -> std::result::Result<Option<Value>, RefusedRequest> {
        if call.name != REQUEST_ACCESS || !context.is_interruptible() {
            let output = call_tool(tools, &call.name, call.arguments, context).await;
            return Ok(output.map(call_result));
        }
        let input = GivenInput::take(&mut call.other);
        let identity = CallIdentity::new("tools/call", call.params(), None);
        let outcome = match input {
            Some(input) => self.interrupted.resume(input, identity, context).await?,
            None => {
                let (tools, ToolCall { name, arguments, .. }) = (tools.clone(), call);
                let run = |context: ClientContext| async move {
                    call_tool(&tools, &name, arguments, &context).await
                };
                self.interrupted.run(identity, context, run).await?
            }
        };
        Ok(match outcome {
            CallOutcome::Ended(output) => output.map(call_result),
            CallOutcome::InputRequired(result) => Some(result),
            CallOutcome::Lost => {
                Some(error_result(&Error::new(ErrorKind::Internal, "the task of the call failed")))
            }
        })
    }
}

async fn call_tool(
    tools: &ToolSet,
    name: &str,
    arguments: Option<Map<String, Value>>,
    context: &ClientContext,
) -> Option<ToolOutput> {
    let mut input = arguments.map_or(Value::Null, Value::Object);
    round_numbers(&mut input);
    tools.call_with(name, input, &ClientApprover(context)).await
}

impl fmt::Debug for OwnCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnCalls").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decision_grants_only_explicit_acceptance() {
        let granted = json!({"result": {"action": "accept", "content": {"grant": true}}});
        assert!(read_decision(&granted).is_ok());
        for (response, kind) in [
            (json!({"result": {"action": "accept", "content": {"grant": false}}}), ErrorKind::Denied),
            (json!({"result": {"action": "accept", "content": {"grant": "true"}}}), ErrorKind::Denied),
            (json!({"result": {"action": "accept", "content": {"grant": 1}}}), ErrorKind::Denied),
            (json!({"result": {"action": "accept", "content": true}}), ErrorKind::Denied),
            (json!({"result": {"action": "accept"}}), ErrorKind::Denied),
            (json!({"result": {"action": "decline", "content": {"grant": true}}}), ErrorKind::Denied),
            (json!({"result": {"action": "cancel", "content": {"grant": true}}}), ErrorKind::Denied),
            (json!({"result": {"action": "Accept", "content": {"grant": true}}}), ErrorKind::Unavailable),
            (json!({"result": {"content": {"grant": true}}}), ErrorKind::Unavailable),
            (json!({"action": "accept", "content": {"grant": true}}), ErrorKind::Unavailable),
            (json!({"error": {"code": -1, "message": "accept"}}), ErrorKind::Unavailable),
            (json!({}), ErrorKind::Unavailable),
        ] {
            assert_eq!(read_decision(&response).unwrap_err().kind(), kind, "{response}");
        }
    }
}
