//! Requests to a person, for access or for a sign-in: the person at the client decides by an elicitation, or an operator
//! decides outside the client.
//!
//! Both ways are open at the same time, as far as there are both: the first decision counts, and the other way is closed.
//!
//! | response of the client | decision |
//! |---|---|
//! | `accept` with the content `{"grant": true}`, about a sign-in `{"done": true}` | granted |
//! | `accept` with any other content, `decline`, `cancel` | refused |
//! | an error, another shape, none within five minutes; the client leaves or cancels the call | refused |
//!
//! | operator | decision |
//! |---|---|
//! | the request in [`AccessRequests`] is approved | granted |
//! | it is denied, or nothing is decided within five minutes | refused |
//!
//! A grant of a sign-in states that the person has made it. Where no client can show the form, an operator has half a minute:
//! otherwise the call fails at once with what is to be done, which the model can report.
//!
//! Only a response to the gateway's own request counts. Its id, or for a modern client its state, is unknown to the model,
//! and a model's arguments reach only the tool.

use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use valetkey_core::audit::DecisionChannel;
use valetkey_core::{Error, ErrorKind, Result};
use valetkey_tools::{
    AccessDecision, AccessRequest, Approver, REFRESH_CREDENTIALS, REQUEST_ACCESS, SignInRequest, ToolOutput,
    ToolSet,
};

use super::call_result;
use crate::AccessRequests;
use crate::access_requests::{PersonRequest, WaitingRequest};
use crate::client::{
    CallIdentity, CallOutcome, ClientContext, ClientLink, GivenInput, InterruptedCalls, Refusal,
};
use crate::connection::RefusedRequest;
use crate::host::{ToolCall, error_result};
use crate::json::round_numbers;

/// How long a request waits for the person.
const DECISION_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How long a sign-in waits for an operator if no client can show it. The call that needs it fails without it, and most
/// clients wait a minute for a call.
const OPERATOR_SIGN_IN_TIMEOUT: Duration = Duration::from_secs(30);
/// The JSON-RPC code of a client that has no such method.
const METHOD_NOT_FOUND: i32 = -32601;
/// The method by which a client shows a form.
const ELICITATION: &str = "elicitation/create";
/// The field of the form that must be `true`.
const GRANT_FIELD: &str = "grant";
/// The field of the form about a sign-in that must be `true`.
const DONE_FIELD: &str = "done";

/// Reaches the person at the client of one call, and the operator of the gateway.
struct CallApprover<'a> {
    client: &'a ClientContext,
    requests: Option<&'a AccessRequests>,
}

#[async_trait]
impl Approver for CallApprover<'_> {
    async fn decide(&self, request: &AccessRequest) -> Result<AccessDecision> {
        self.reach(&Question::access(request)).await
    }

    async fn sign_in(&self, request: &SignInRequest) -> Result<()> {
        match self.reach(&Question::sign_in(request)).await? {
            AccessDecision::Granted(_) => Ok(()),
            AccessDecision::Refused(_, error) => Err(error),
            _ => Err(Error::new(ErrorKind::Internal, "the decision is unknown")),
        }
    }

    fn spawn_watch(&self, ended: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(ended);
    }
}

impl CallApprover<'_> {
    /// Waits for the first decision, of the person at the client or of an operator.
    async fn reach(&self, question: &Question) -> Result<AccessDecision> {
        let client = self.find_form_client(&question.form);
        let time = if client.is_ok() { DECISION_TIMEOUT } else { question.operator_time };
        let list = |requests: &AccessRequests| requests.insert(question.request.clone(), time);
        let mut waiting = match (self.requests.map(list), &client) {
            (Some(Ok(waiting)), _) => Some(waiting),
            (Some(Err(full)), Err(refusal)) => return Err(question.unlisted(full, refusal)),
            (None, Err(refusal)) => return Err(question.unreachable_person(refusal)),
            // The person at the client can decide.
            (Some(Err(_)) | None, Ok(_)) => None,
        };
        let decided = tokio::select! {
            biased;
            () = self.client.cancelled.cancelled() => {
                return Err(question.undecided("the call was cancelled before a decision"));
            }
            decision = operator_decision(waiting.as_mut()) => Ok(decision),
            decision = timeout(time, client_decision(client.as_ref().ok().copied(), question)) => {
                decision.unwrap_or_else(|_elapsed| Err(question.too_late(client.err())))
            }
        };
        // The operator may have decided in the same moment, and sees that decision.
        waiting.and_then(WaitingRequest::withdraw).map_or(decided, Ok)
    }

    /// Returns the client if it can show its user a form.
    fn find_form_client(&self, form: &Value) -> std::result::Result<&dyn ClientLink, Refusal> {
        let link = self.client.link.as_deref().ok_or(Refusal::NO_CLIENT)?;
        link.profile().check_request(ELICITATION, Some(form))?;
        Ok(link)
    }
}

/// Waits for the decision of an operator. Never completes if no operator can decide.
async fn operator_decision(waiting: Option<&mut WaitingRequest>) -> AccessDecision {
    match waiting {
        Some(waiting) => waiting.decision().await,
        None => pending().await,
    }
}

/// Waits for the decision of the person at the client. Never completes without a client that can show a form.
async fn client_decision(client: Option<&dyn ClientLink>, question: &Question) -> Result<AccessDecision> {
    let Some(client) = client else { return pending().await };
    let response = client.request(ELICITATION, Some(question.form.clone())).await;
    question.read(&response.map_err(|refusal| question.unreachable_person(&refusal))?)
}

/// A request to a person, and how it is put to the client.
struct Question {
    request: PersonRequest,
    form: Value,
    /// The field of the form that must be `true`.
    field: &'static str,
    /// How long it waits for an operator if no client can show it.
    operator_time: Duration,
    /// What follows from no decision.
    next_step: &'static str,
}

impl Question {
    fn access(request: &AccessRequest) -> Self {
        let (title, description) = ("Grant this access", "AWS enforces it, and it ends by itself");
        Self {
            form: form(&request.to_message(), GRANT_FIELD, title, description),
            request: PersonRequest::Access(request.clone()),
            field: GRANT_FIELD,
            operator_time: DECISION_TIMEOUT,
            next_step: "nothing was granted; request it again if it is needed",
        }
    }

    fn sign_in(request: &SignInRequest) -> Self {
        let (title, description) = ("I have signed in", "The credentials are then fetched again");
        Self {
            form: form(&request.to_message(), DONE_FIELD, title, description),
            request: PersonRequest::SignIn(request.clone()),
            field: DONE_FIELD,
            operator_time: OPERATOR_SIGN_IN_TIMEOUT,
            next_step: "call again when the user has signed in",
        }
    }

    /// Returns a grant only for a response that grants the request in every part.
    fn read(&self, response: &Value) -> Result<AccessDecision> {
        let channel = DecisionChannel::Elicitation;
        let result = &response["result"];
        match (result["action"].as_str(), &self.request) {
            (Some("accept"), _) if result["content"][self.field] == Value::Bool(true) => {
                Ok(AccessDecision::Granted(channel))
            }
            (Some("cancel"), PersonRequest::Access(_)) => {
                Ok(AccessDecision::refused(channel, "the person has dismissed the request"))
            }
            (Some("accept" | "decline" | "cancel"), request) => Ok(request.refused(channel)),
            _ => Err(self.undecided("the client has sent no decision that can be read")),
        }
    }

    fn undecided(&self, message: &'static str) -> Error {
        Error::new(ErrorKind::Unavailable, message).with_next_step(self.next_step)
    }

    /// Returns the error for a request that no client and no list can show. The call that needs a sign-in reports instead
    /// what is to be done.
    fn unlisted(&self, full: Error, no_client: &Refusal) -> Error {
        match &self.request {
            PersonRequest::Access(_) => full,
            PersonRequest::SignIn(_) => self.unreachable_person(no_client),
        }
    }

    /// Returns the error for a decision that has not come in time. A sign-in that only an operator could see fails as if
    /// no person were there, so that the call reports what is to be done.
    fn too_late(&self, no_client: Option<Refusal>) -> Error {
        match (no_client, &self.request) {
            (Some(refusal), PersonRequest::SignIn(_)) => self.unreachable_person(&refusal),
            _ => Error::new(ErrorKind::TimedOut, "the person did not decide in time")
                .with_next_step(self.next_step),
        }
    }

    /// Returns why no person was reached.
    fn unreachable_person(&self, refusal: &Refusal) -> Error {
        if refusal.code() != METHOD_NOT_FOUND {
            return self.undecided("the client did not pass the request on to the person");
        }
        let message = format!("no person can be reached: {}", refusal.message());
        Error::new(ErrorKind::NotConfigured, message).with_next_step(
            "continue without this access; the user needs an MCP client that supports elicitation (forms), a gateway \
             that lists requests for its operator (`valetkey access list`), or one that is started with the access \
             (`valetkey serve --scope`)",
        )
    }
}

/// Returns the parameters of a form with one field to tick.
fn form(message: &str, field: &str, title: &str, description: &str) -> Value {
    let tick = json!({"type": "boolean", "title": title, "default": false, "description": description});
    json!({
        "message": message,
        "requestedSchema": {"type": "object", "properties": {field: tick}, "required": [field]},
    })
}

/// Calls the credential tools, and continues requests for access of modern clients, which repeat their call with the
/// decision.
#[derive(Default)]
pub(crate) struct OwnCalls {
    /// The requests that an operator can decide about, if there is one.
    requests: Option<AccessRequests>,
    interrupted: InterruptedCalls<Option<ToolOutput>>,
}

impl OwnCalls {
    /// Creates calls whose requests for access are listed in `requests`.
    pub(crate) fn new(requests: Option<AccessRequests>) -> Self {
        Self { requests, interrupted: InterruptedCalls::default() }
    }

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
        if !may_need_person(&call.name) || !context.is_interruptible() {
            let requests = self.requests.as_ref();
            let output = call_tool(tools, &call.name, call.arguments, context, requests).await;
            return Ok(output.map(call_result));
        }
        let input = GivenInput::take(&mut call.other);
        let identity = CallIdentity::new("tools/call", call.params(), None);
        let outcome = match input {
            Some(input) => self.interrupted.resume(input, identity, context).await?,
            None => {
                let (tools, ToolCall { name, arguments, .. }) = (tools.clone(), call);
                let requests = self.requests.clone();
                let run = |context: ClientContext| async move {
                    call_tool(&tools, &name, arguments, &context, requests.as_ref()).await
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

/// Whether a call of the tool may wait for a person.
fn may_need_person(tool: &str) -> bool {
    tool == REQUEST_ACCESS || tool == REFRESH_CREDENTIALS
}

async fn call_tool(
    tools: &ToolSet,
    name: &str,
    arguments: Option<Map<String, Value>>,
    client: &ClientContext,
    requests: Option<&AccessRequests>,
) -> Option<ToolOutput> {
    let mut input = arguments.map_or(Value::Null, Value::Object);
    round_numbers(&mut input);
    tools.call_with(name, input, &CallApprover { client, requests }).await
}

impl fmt::Debug for OwnCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnCalls").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use valetkey_core::SessionContext;

    use super::*;

    /// Returns the kind of the error to which a response leads; `None` for a grant.
    fn error_kind(question: &Question, response: &Value) -> Option<ErrorKind> {
        match question.read(response) {
            Ok(AccessDecision::Granted(DecisionChannel::Elicitation)) => None,
            Ok(AccessDecision::Refused(DecisionChannel::Elicitation, error)) | Err(error) => {
                Some(error.kind())
            }
            Ok(other) => panic!("{other:?}"),
        }
    }

    fn sign_in_question() -> Question {
        let session = SessionContext::builder().build();
        let error = Error::new(ErrorKind::InteractionRequired, "the sign-in has ended");
        Question::sign_in(&SignInRequest::new(&session, session.default_account(), &error))
    }

    #[test]
    fn sign_in_is_only_an_explicit_statement() {
        let question = sign_in_question();
        let kind = |response: &Value| error_kind(&question, response);
        assert_eq!(kind(&json!({"result": {"action": "accept", "content": {"done": true}}})), None);
        for (response, expected) in [
            (json!({"result": {"action": "accept", "content": {"done": false}}}), ErrorKind::Denied),
            (json!({"result": {"action": "accept", "content": {"grant": true}}}), ErrorKind::Denied),
            (json!({"result": {"action": "decline", "content": {"done": true}}}), ErrorKind::Denied),
            (json!({"result": {"action": "cancel"}}), ErrorKind::Denied),
            (json!({"error": {"code": -1, "message": "accept"}}), ErrorKind::Unavailable),
        ] {
            assert_eq!(kind(&response), Some(expected), "{response}");
        }
    }

    #[test]
    fn decision_grants_only_explicit_acceptance() {
        // Both kinds of requests are read alike, but for the field.
        let question = Question { field: GRANT_FIELD, ..sign_in_question() };
        let granted = json!({"result": {"action": "accept", "content": {"grant": true}}});
        assert_eq!(error_kind(&question, &granted), None);
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
            assert_eq!(error_kind(&question, &response), Some(kind), "{response}");
        }
    }
}
