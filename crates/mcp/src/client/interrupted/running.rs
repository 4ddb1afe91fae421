//! `RunningCall`: a call that continues in a task, and the requests of its server that wait for the client.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::CallOutcome;
use super::link::{InputRequest, InterruptibleLink};
use crate::client::{ClientContext, ClientLink, ClientProfile};

/// The maximum number of requests of one call that wait for its client.
const MAX_REQUESTS: usize = 32;

/// A call that runs in a task. Dropping it cancels the call, of which the server is then notified.
pub(super) struct RunningCall<T> {
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
    pub(super) fn start<F>(context: &ClientContext, call: impl FnOnce(ClientContext) -> F) -> Option<Self>
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

    /// What the client of the call has declared.
    pub(super) fn profile(&self) -> &ClientProfile {
        self.link.profile()
    }

    /// Continues with the repeated request of the client. The server gets the responses; those to unknown requests are
    /// ignored.
    pub(super) fn resume(&mut self, repeated: &ClientContext, responses: Map<String, Value>) {
        self.link.replace(repeated);
        for (name, response) in responses {
            if let Some(request) = self.waiting.remove(&name) {
                // Fails if the server has cancelled its request.
                let _unread = request.response.send(json!({"result": response}));
            }
        }
    }

    /// Waits until the call ends. Returns `None` when requests of the server wait for the client.
    pub(super) async fn next_outcome(&mut self, cancelled: &CancellationToken) -> Option<CallOutcome<T>> {
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
    pub(super) fn required_input(&self, state: &str) -> Value {
        let requests = self.waiting.iter().map(|(name, request)| (name.clone(), request.to_json()));
        let requests: Map<String, Value> = requests.collect();
        json!({"resultType": "input_required", "inputRequests": requests, "requestState": state})
    }
}
