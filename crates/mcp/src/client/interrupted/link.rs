//! `InterruptibleLink`: the way to the client of a call that may be interrupted.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use rmcp::model::ProgressToken;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::client::{
    Carrier, ClientContext, ClientLink, ClientProfile, LogLevel, PendingRequests, Refusal, ServerMessage,
};

/// A request of a legacy server to a modern client.
#[derive(Debug)]
pub(super) struct InputRequest {
    method: String,
    params: Option<Value>,
    pub(super) response: oneshot::Sender<Value>,
}

impl InputRequest {
    pub(super) fn to_json(&self) -> Value {
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
    pub(in crate::client) async fn request(
        &self,
        method: &str,
        params: Option<Value>,
    ) -> Result<Value, Refusal> {
        let (response, received) = oneshot::channel();
        let request = InputRequest { method: method.to_owned(), params, response };
        self.0.try_send(request).map_err(|_unsent| Refusal::TOO_MANY)?;
        received.await.map_err(|_ended| Refusal::UNREACHABLE)
    }
}

/// Reaches the client of a call that may be interrupted: by the request that the client has sent last for it.
pub(super) struct InterruptibleLink {
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
    pub(super) fn new(context: &ClientContext, requests: mpsc::Sender<InputRequest>) -> Option<Self> {
        let current = CurrentRequest::of(context)?;
        let profile = current.link.profile().clone();
        Some(Self { profile, current: Mutex::new(current), input: InputSender(requests) })
    }

    /// Continues with a repeated request.
    pub(super) fn replace(&self, context: &ClientContext) {
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
