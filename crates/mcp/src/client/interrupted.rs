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

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use rmcp::model::ProgressToken;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;
use valetkey_core::SessionId;

use super::{
    Carrier, ClientContext, ClientLink, ClientProfile, LogLevel, PendingRequests, Refusal, ServerMessage,
};

/// The time for a client to repeat an interrupted call. The call is cancelled afterwards.
const INPUT_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// The maximum number of interrupted calls.
const MAX_CALLS: usize = 32;
/// The maximum number of requests of one call that wait for its client.
const MAX_REQUESTS: usize = 32;
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

impl<T: Send + 'static> InterruptedCalls<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

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
        running.link.replace(context);
        running.respond(input.responses);
        self.advance(running, identity, context).await
    }

    /// Takes the call of a state. A state that is used for another call remains valid.
    fn take(&self, state: &str, identity: &CallIdentity, context: &ClientContext) -> Option<RunningCall<T>> {
        let profile = context.link.as_ref()?.profile();
        let mut calls = self.0.lock();
        let found = calls.get(state)?;
        let is_same = found.identity == *identity && found.call.link.profile == *profile;
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

/// A call that runs in a task. Dropping it cancels the call, of which the server is then notified.
struct RunningCall<T> {
    /// Dropped first, so that requests of the server fail because of the cancellation.
    cancelled: DropGuard,
    ended: oneshot::Receiver<T>,
    link: Arc<InterruptibleLink>,
    requests: mpsc::Receiver<InputRequest>,
    /// The requests that the client has not responded to, by the names that the client gets.
    waiting: HashMap<String, InputRequest>,
    last_name: u64,
}

impl<T: Send + 'static> RunningCall<T> {
    /// Returns `None` for a request that no client has sent.
    fn start<F>(context: &ClientContext, call: impl FnOnce(ClientContext) -> F) -> Option<Self>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (sender, requests) = mpsc::channel(MAX_REQUESTS);
        let link = Arc::new(InterruptibleLink::new(context, sender)?);
        let cancelled = CancellationToken::new();
        let context = ClientContext {
            cancelled: cancelled.clone(),
            link: Some(Arc::clone(&link) as _),
            progress_token: context.progress_token.clone(),
        };
        let call = call(context);
        let (sender, ended) = oneshot::channel();
        tokio::spawn(async move {
            // Fails if the call was cancelled.
            let _unread = sender.send(call.await);
        });
        let cancelled = cancelled.drop_guard();
        Some(Self { ended, link, requests, waiting: HashMap::new(), last_name: 0, cancelled })
    }

    /// Gives the server the responses of its client. Those to unknown requests are ignored.
    fn respond(&mut self, responses: Map<String, Value>) {
        for (name, response) in responses {
            if let Some(request) = self.waiting.remove(&name) {
                // Fails if the server has cancelled its request.
                let _unread = request.response.send(json!({"result": response}));
            }
        }
    }

    /// Waits until the call ends. Returns `None` when requests of the server wait for the client.
    async fn next_outcome(&mut self, cancelled: &CancellationToken) -> Option<CallOutcome<T>> {
        loop {
            self.waiting.retain(|_, request| !request.response.is_closed());
            while self.waiting.len() < MAX_REQUESTS
                && let Ok(request) = self.requests.try_recv()
            {
                self.add(request);
            }
            let has_requests = !self.waiting.is_empty();
            tokio::select! {
                biased;
                ended = &mut self.ended => return Some(ended.map_or(CallOutcome::Lost, CallOutcome::Ended)),
                () = cancelled.cancelled() => return Some(self.cancel().await),
                () = std::future::ready(()), if has_requests => return None,
                Some(request) = self.requests.recv() => self.add(request),
            }
        }
    }

    fn add(&mut self, request: InputRequest) {
        self.last_name += 1;
        self.waiting.insert(format!("request-{}", self.last_name), request);
    }

    /// Cancels the call, and waits until it has ended.
    async fn cancel(&mut self) -> CallOutcome<T> {
        let guard = std::mem::replace(&mut self.cancelled, CancellationToken::new().drop_guard());
        drop(guard);
        (&mut self.ended).await.map_or(CallOutcome::Lost, CallOutcome::Ended)
    }

    /// Returns the result that gives the client the requests.
    fn required_input(&self, state: &str) -> Value {
        let requests = self.waiting.iter().map(|(name, request)| (name.clone(), request.to_json()));
        let requests: Map<String, Value> = requests.collect();
        json!({"resultType": "input_required", "inputRequests": requests, "requestState": state})
    }
}

/// A request of a legacy server to a modern client.
#[derive(Debug)]
pub(crate) struct InputRequest {
    method: String,
    params: Option<Value>,
    response: oneshot::Sender<Value>,
}

impl InputRequest {
    fn to_json(&self) -> Value {
        match &self.params {
            Some(params) => json!({"method": self.method, "params": params}),
            None => json!({"method": self.method}),
        }
    }
}

/// Takes the requests of a legacy server during one call of a modern client.
#[derive(Debug)]
pub(crate) struct InputSender(mpsc::Sender<InputRequest>);

impl InputSender {
    /// Passes a request on, and waits for the response. Cancel safe: dropping the future withdraws the request.
    pub(super) async fn request(&self, method: &str, params: Option<Value>) -> Result<Value, Refusal> {
        let (response, received) = oneshot::channel();
        let request = InputRequest { method: method.to_owned(), params, response };
        self.0.try_send(request).map_err(|_unsent| Refusal::TOO_MANY)?;
        received.await.map_err(|_ended| Refusal::UNREACHABLE)
    }
}

/// Reaches the client of a call that may be interrupted: by the request that the client has sent last for it.
struct InterruptibleLink {
    profile: ClientProfile,
    current: Mutex<CurrentRequest>,
    input: InputSender,
}

struct CurrentRequest {
    link: Arc<dyn ClientLink>,
    progress_token: Option<ProgressToken>,
}

impl CurrentRequest {
    fn of(context: &ClientContext) -> Option<Self> {
        let link = Arc::clone(context.link.as_ref()?);
        Some(Self { link, progress_token: context.progress_token.clone() })
    }
}

impl InterruptibleLink {
    fn new(context: &ClientContext, requests: mpsc::Sender<InputRequest>) -> Option<Self> {
        let current = CurrentRequest::of(context)?;
        let profile = current.link.profile().clone();
        Some(Self { profile, current: Mutex::new(current), input: InputSender(requests) })
    }

    /// Continues with a repeated request.
    fn replace(&self, context: &ClientContext) {
        if let Some(current) = CurrentRequest::of(context) {
            *self.current.lock() = current;
        }
    }

    fn current(&self) -> Arc<dyn ClientLink> {
        Arc::clone(&self.current.lock().link)
    }
}

#[async_trait]
impl ClientLink for InterruptibleLink {
    fn profile(&self) -> &ClientProfile {
        &self.profile
    }

    fn log_level(&self) -> Option<LogLevel> {
        self.current().log_level()
    }

    fn set_log_level(&self, level: LogLevel) {
        self.current().set_log_level(level);
    }

    fn pending(&self) -> Option<&PendingRequests> {
        None
    }

    fn input(&self) -> Option<&InputSender> {
        Some(&self.input)
    }

    fn progress_token(&self) -> Option<Option<ProgressToken>> {
        Some(self.current.lock().progress_token.clone())
    }

    fn try_send(&self, message: ServerMessage) -> Option<Carrier> {
        self.current().try_send(message)
    }

    async fn closed(&self, carrier: Carrier) {
        self.current().closed(carrier).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let meta = json!({"_meta": {super::super::CLIENT_CAPABILITIES: {"roots": {}}}});
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
        let calls = InterruptedCalls::new();
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
        let calls = InterruptedCalls::new();
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
        let calls = InterruptedCalls::new();
        let mut input = interrupt(&calls).await.unwrap();
        input.responses.clear();
        let context = client();
        context.cancelled.cancel();
        let resumed = calls.resume(input, identity(), &context).await;
        assert!(matches!(&resumed, Ok(CallOutcome::Ended(result)) if result == "cancelled"), "{resumed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn interrupted_calls_are_limited_in_number() {
        let calls = InterruptedCalls::new();
        let mut inputs = Vec::new();
        for _ in 0..MAX_CALLS {
            inputs.push(interrupt(&calls).await.unwrap());
        }
        assert_eq!(interrupt(&calls).await.unwrap_err(), Refusal::TOO_MANY);
        assert!(calls.resume(inputs.pop().unwrap(), identity(), &client()).await.is_ok());
        assert!(interrupt(&calls).await.is_ok());
    }
}
