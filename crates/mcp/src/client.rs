//! `ClientLink`: the way from a server back to the client whose request it serves.
//!
//! Messages of a server are [`ServerMessage`]s whose parameters stay the JSON that the server sent. Each kind of
//! connection has a link: the one stream of [`Gateway`](crate::Gateway), and the response and the session of a request
//! over HTTP. No link ever waits for a client that does not read.

mod context;
mod input;
mod interrupted;
mod level;
mod pending;
mod profile;
mod slot;

use async_trait::async_trait;
use rmcp::RoleServer;
use rmcp::model::{
    CustomNotification, CustomRequest, JsonRpcMessage, ProgressToken, ServerNotification, ServerRequest,
};
use rmcp::service::TxJsonRpcMessage;
use serde_json::{Value, json};

pub(crate) use context::{ClientContext, attach_link};
pub(crate) use input::{MAX_ROUNDS, requires_input};
pub(crate) use interrupted::{CallIdentity, CallOutcome, GivenInput, InputSender, InterruptedCalls};
pub(crate) use level::{ChosenLevel, LogLevel};
pub(crate) use pending::PendingRequests;
pub(crate) use profile::{ClientProfile, Refusal};
pub(crate) use slot::ClientSlot;

/// A message for a client.
pub(crate) type ServerMessage = TxJsonRpcMessage<RoleServer>;

/// Returns a notification with these parameters.
pub(crate) fn notification(method: &str, params: Option<Value>) -> ServerMessage {
    let notification = CustomNotification::new(method, params);
    JsonRpcMessage::notification(ServerNotification::CustomNotification(notification))
}

/// Reaches the client of one request.
#[async_trait]
pub(crate) trait ClientLink: Send + Sync {
    /// Returns what the client has declared.
    fn profile(&self) -> &ClientProfile;

    /// Returns the least severe level of the log messages that the client wants, if it has chosen one.
    fn log_level(&self) -> Option<LogLevel>;

    /// Sets the level for all later requests of the client. Has no effect on a modern client, which chooses a level
    /// with each request.
    fn set_log_level(&self, level: LogLevel);

    /// Returns the requests of servers that the client has not responded to, or `None` for a client that takes no
    /// requests.
    fn pending(&self) -> Option<&PendingRequests>;

    /// Returns what takes the requests of servers for a client that gets them in the result of its call.
    fn input(&self) -> Option<&InputSender> {
        None
    }

    /// Returns the token under which the client now wants to be notified of progress. `None` if the token of a call
    /// never changes.
    fn progress_token(&self) -> Option<Option<ProgressToken>> {
        None
    }

    /// Queues a message, and returns what carries it. Returns `None` if the client is gone, or has left too many
    /// messages unread.
    fn try_send(&self, message: ServerMessage) -> Option<Carrier>;

    /// Waits until the client has left without having read a message on this carrier. Cancel safe.
    async fn closed(&self, carrier: Carrier);
}

/// The stream that carries a message to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// The response to the client's request.
    #[cfg(feature = "http")]
    Response,
    /// The stream of the client's session.
    Session,
}

impl dyn ClientLink + '_ {
    /// Whether the client wants a log message of this level. A legacy client that has not chosen a level gets all of
    /// them, a modern client none.
    pub(crate) fn wants_log(&self, level: Option<LogLevel>) -> bool {
        match self.log_level() {
            Some(least) => level.is_none_or(|level| level >= least),
            None => !self.profile().is_modern(),
        }
    }

    /// Sends a request of a server, and returns the response: an object with `result` or `error`.
    ///
    /// # Errors
    /// The client takes no requests, has not declared the capability, does not read, or has gone.
    ///
    /// # Cancel safety
    /// Dropping the future notifies the client of the cancellation.
    pub(crate) async fn request(&self, method: &str, params: Option<Value>) -> Result<Value, Refusal> {
        self.profile().check_request(method, params.as_ref())?;
        if let Some(input) = self.input() {
            return input.request(method, params).await;
        }
        let pending = self.pending().ok_or(Refusal::NO_REQUESTS)?;
        let (id, response) = pending.begin().ok_or(Refusal::TOO_MANY)?;
        let request = ServerRequest::CustomRequest(CustomRequest::new(method, params));
        let sent = self.try_send(JsonRpcMessage::request(request, id.clone()));
        let carrier = sent.ok_or(Refusal::UNREACHABLE)?;
        let mut cancellation = NotifyCancelled { link: self, id: Some(json!(id)) };
        let response = tokio::select! {
            response = response.wait() => response.ok_or(Refusal::UNREACHABLE),
            () = self.closed(carrier) => Err(Refusal::UNREACHABLE),
        };
        cancellation.id = None;
        response
    }
}

/// Notifies the client when a request is dropped before its response.
struct NotifyCancelled<'a> {
    link: &'a (dyn ClientLink + 'a),
    id: Option<Value>,
}

impl Drop for NotifyCancelled<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let params = json!({"requestId": id, "reason": "the server no longer needs the response"});
            // A client that does not read keeps its dialog open.
            let _sent = self.link.try_send(notification("notifications/cancelled", Some(params)));
        }
    }
}
