//! `InterruptedCalls`: calls of modern clients whose legacy servers wait for input.
//!
//! A legacy server sends requests during a call. A modern client takes none: it gets them in the result of its call, and
//! repeats the call with the responses. Meanwhile the call continues in a task, which the repeated call finds by the
//! request state: a random name that is valid once, for the same call, and only at the host that runs the task.
//!
//! | event | effect |
//! |---|---|
//! | the server sends a request | the client gets it in a result, with a new request state |
//! | the client repeats the call with the response | the server gets it, and the call continues |
//! | the client repeats the call without it | the client gets the request again, with a new state |
//! | the client cancels the repeated call, or leaves | the call is cancelled, and its server notified |
//! | the client does not repeat the call in time | the same |
//! | the server cancels its request | a later response is ignored |
//! | the call ends meanwhile | the repeated call gets its result |
//! | the session or the host ends | the call is cancelled |

mod link;
mod running;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;
use valetkey_core::SessionId;

use super::{ClientContext, Refusal};
use running::RunningCall;

pub(crate) use link::InputSender;

/// The time for a client to repeat an interrupted call. The call is cancelled afterwards.
const INPUT_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// The maximum number of interrupted calls.
const MAX_CALLS: usize = 32;
/// Distinguishes a request state of the gateway from that of a server.
const STATE_PREFIX: &str = "valetkey-input-";

/// The parameters that differ when a call is repeated.
const REPEATED_PARAMS: [&str; 3] = ["_meta", "requestState", "inputResponses"];

/// What identifies a call: a request state is valid only for an equal one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CallIdentity {
    method: &'static str,
    params: Map<String, Value>,
    /// The narrowed session of the call.
    session: Option<SessionId>,
}

impl CallIdentity {
    pub(crate) fn new(
        method: &'static str,
        mut params: Map<String, Value>,
        session: Option<SessionId>,
    ) -> Self {
        params.retain(|name, _| !REPEATED_PARAMS.contains(&name.as_str()));
        Self { method, params, session }
    }
}

/// What a client sends when it repeats an interrupted call.
#[derive(Debug)]
pub(crate) struct GivenInput {
    state: String,
    responses: Map<String, Value>,
}

impl GivenInput {
    /// Takes the input from the parameters of a call. Returns `None` if the call has no request state of the gateway:
    /// any other one belongs to a modern server.
    pub(crate) fn take(params: &mut Map<String, Value>) -> Option<Self> {
        let state = params.get("requestState")?.as_str().filter(|state| state.starts_with(STATE_PREFIX))?;
        let state = state.to_owned();
        params.shift_remove("requestState");
        let responses = match params.shift_remove("inputResponses") {
            Some(Value::Object(responses)) => responses,
            _ => Map::new(),
        };
        Some(Self { state, responses })
    }
}

/// How a call, or a part of it, has ended.
#[derive(Debug)]
pub(crate) enum CallOutcome<T> {
    Ended(T),
    /// The server requires input. The value is the result for the client.
    InputRequired(Value),
    /// The task of the call has failed.
    Lost,
}

/// The interrupted calls of one host. `T` is the result of a call.
pub(crate) struct InterruptedCalls<T>(Arc<Mutex<HashMap<String, InterruptedCall<T>>>>);

/// A call that waits until its client repeats it.
struct InterruptedCall<T> {
    identity: CallIdentity,
    call: RunningCall<T>,
    _expiry: AbortOnDropHandle<()>,
}

impl<T> Default for InterruptedCalls<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Send + 'static> InterruptedCalls<T> {
    /// Runs a call until it ends or requires input. `call` gets the context of the call, which outlives the request of
    /// the client.
    ///
    /// # Errors
    /// `TOO_MANY` when the call requires input, and too many others do. The call is then cancelled.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub(crate) async fn run<F>(
        &self,
        identity: CallIdentity,
        context: &ClientContext,
        call: impl FnOnce(ClientContext) -> F,
    ) -> Result<CallOutcome<T>, Refusal>
    where
        F: Future<Output = T> + Send + 'static,
    {
        match RunningCall::start(context, call) {
            Some(running) => self.advance(running, identity, context).await,
            None => Err(Refusal::NO_CLIENT),
        }
    }

    /// Continues an interrupted call with the input of its client. Requests without a response are returned again.
    ///
    /// # Errors
    /// `UNKNOWN_STATE` when no call like `identity`, of a client with these capabilities, waits for the input; otherwise
    /// as for [`run`](Self::run).
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub(crate) async fn resume(
        &self,
        input: GivenInput,
        identity: CallIdentity,
        context: &ClientContext,
    ) -> Result<CallOutcome<T>, Refusal> {
        let running = self.take(&input.state, &identity, context);
        let mut running = running.ok_or(Refusal::UNKNOWN_STATE)?;
        running.resume(context, input.responses);
        self.advance(running, identity, context).await
    }

    /// Takes the call of a state. A state that is used for another call remains valid.
    fn take(&self, state: &str, identity: &CallIdentity, context: &ClientContext) -> Option<RunningCall<T>> {
        let profile = context.link.as_ref()?.profile();
        let mut calls = self.0.lock();
        let found = calls.get(state)?;
        let is_same = found.identity == *identity && found.call.profile() == profile;
        if is_same { calls.remove(state).map(|interrupted| interrupted.call) } else { None }
    }

    async fn advance(
        &self,
        mut running: RunningCall<T>,
        identity: CallIdentity,
        context: &ClientContext,
    ) -> Result<CallOutcome<T>, Refusal> {
        if let Some(outcome) = running.next_outcome(&context.cancelled).await {
            return Ok(outcome);
        }
        let state = format!("{STATE_PREFIX}{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let result = running.required_input(&state);
        self.insert(state, identity, running)?;
        Ok(CallOutcome::InputRequired(result))
    }

    fn insert(&self, state: String, identity: CallIdentity, call: RunningCall<T>) -> Result<(), Refusal> {
        let mut calls = self.0.lock();
        if calls.len() >= MAX_CALLS {
            return Err(Refusal::TOO_MANY);
        }
        let (expiring, expired) = (Arc::downgrade(&self.0), state.clone());
        let expiry = tokio::spawn(async move {
            sleep(INPUT_TIMEOUT).await;
            let removed = expiring.upgrade().and_then(|calls| calls.lock().remove(&expired));
            drop(removed);
        });
        calls.insert(state, InterruptedCall { identity, call, _expiry: AbortOnDropHandle::new(expiry) });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use serde_json::json;
    use tokio::sync::oneshot;

    use super::super::{Carrier, ClientLink, ClientProfile, LogLevel, PendingRequests, ServerMessage};
    use super::*;
    use crate::meta::CLIENT_CAPABILITIES;

    /// A modern client with roots, which reads nothing.
    struct ModernLink(ClientProfile);

    #[async_trait]
    impl ClientLink for ModernLink {
        fn profile(&self) -> &ClientProfile {
            &self.0
        }

        fn log_level(&self) -> Option<LogLevel> {
            None
        }

        fn set_log_level(&self, _: LogLevel) {}

        fn pending(&self) -> Option<&PendingRequests> {
            None
        }

        fn try_send(&self, _: ServerMessage) -> Option<Carrier> {
            None
        }

        async fn closed(&self, _: Carrier) {}
    }

    fn client() -> ClientContext {
        let meta = json!({"_meta": {CLIENT_CAPABILITIES: {"roots": {}}}});
        let link = ModernLink(ClientProfile::modern(Some(&meta)).unwrap());
        ClientContext { link: Some(Arc::new(link)), ..ClientContext::default() }
    }

    fn identity() -> CallIdentity {
        CallIdentity::new("tools/call", Map::new(), None)
    }

    /// A call whose server needs the roots. Its result is the response, or the cancellation.
    async fn call_with_roots(context: ClientContext) -> Value {
        let link = context.link.unwrap();
        tokio::select! {
            biased;
            () = context.cancelled.cancelled() => json!("cancelled"),
            response = link.request("roots/list", None) => json!(response.ok()),
        }
    }

    /// Runs a call until it requires input, and returns what the client then sends.
    async fn interrupt(calls: &InterruptedCalls<Value>) -> Result<GivenInput, Refusal> {
        match calls.run(identity(), &client(), call_with_roots).await? {
            CallOutcome::InputRequired(mut required) => {
                let name = required["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
                required["inputResponses"] = json!({name: {"roots": []}});
                Ok(GivenInput::take(required.as_object_mut().unwrap()).unwrap())
            }
            outcome => panic!("{outcome:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn interrupted_call_continues_until_it_expires() {
        let calls = InterruptedCalls::default();
        let input = interrupt(&calls).await.unwrap();
        sleep(INPUT_TIMEOUT - Duration::from_secs(1)).await;
        let resumed = calls.resume(input, identity(), &client()).await;
        assert!(
            matches!(&resumed, Ok(CallOutcome::Ended(result)) if result["result"] == json!({"roots": []})),
            "{resumed:?}"
        );
        let input = interrupt(&calls).await.unwrap();
        sleep(INPUT_TIMEOUT + Duration::from_secs(1)).await;
        let resumed = calls.resume(input, identity(), &client()).await;
        assert_eq!(resumed.unwrap_err(), Refusal::UNKNOWN_STATE);
        assert!(calls.0.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn interrupted_call_that_is_dropped_is_cancelled() {
        let calls = InterruptedCalls::default();
        let (sender, ended) = oneshot::channel();
        let call = |context: ClientContext| async move {
            let cancelled = context.cancelled.clone();
            let _ended = sender.send(call_with_roots(context).await);
            cancelled.is_cancelled()
        };
        let interrupted = calls.run(identity(), &client(), call).await;
        assert!(matches!(interrupted, Ok(CallOutcome::InputRequired(_))), "{interrupted:?}");
        drop(calls);
        assert_eq!(ended.await.unwrap(), "cancelled");
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_call_is_cancelled_by_its_client() {
        let calls = InterruptedCalls::default();
        let mut input = interrupt(&calls).await.unwrap();
        input.responses.clear();
        let context = client();
        context.cancelled.cancel();
        let resumed = calls.resume(input, identity(), &context).await;
        assert!(matches!(&resumed, Ok(CallOutcome::Ended(result)) if result == "cancelled"), "{resumed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn interrupted_calls_are_limited_in_number() {
        let calls = InterruptedCalls::default();
        let mut inputs = Vec::new();
        for _ in 0..MAX_CALLS {
            inputs.push(interrupt(&calls).await.unwrap());
        }
        assert_eq!(interrupt(&calls).await.unwrap_err(), Refusal::TOO_MANY);
        assert!(calls.resume(inputs.pop().unwrap(), identity(), &client()).await.is_ok());
        assert!(interrupt(&calls).await.is_ok());
    }
}
