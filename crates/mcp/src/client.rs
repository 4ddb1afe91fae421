//! `ClientLink`: the way from a server back to the client whose request it serves; `ClientContext`: what a request brings
//! besides its method and its parameters; `ClientSlot`: the clients of the servers that are started with one configuration.
//!
//! Messages of a server are [`ServerMessage`]s whose parameters stay the JSON that the server sent. Each kind of
//! connection has a link: the one stream of [`Gateway`](crate::Gateway), and the response and the session of a request
//! over HTTP. No link ever waits for a client that does not read.

mod input;
mod interrupted;
mod level;
mod pending;
mod profile;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use parking_lot::Mutex;
use rmcp::RoleServer;
use rmcp::model::{
    ClientRequest, CustomNotification, CustomRequest, GetExtensions, JsonRpcMessage, ProgressToken,
    ServerNotification, ServerRequest,
};
use rmcp::service::{RequestContext, TxJsonRpcMessage};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub(crate) use input::{MAX_ROUNDS, requires_input};
pub(crate) use interrupted::{CallIdentity, CallOutcome, GivenInput, InputSender, InterruptedCalls};
pub(crate) use level::{ChosenLevel, LogLevel};
pub(crate) use pending::PendingRequests;
pub(crate) use profile::{ClientProfile, Refusal};

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

/// The context of one request of a client.
#[derive(Clone, Default)]
pub(crate) struct ClientContext {
    /// Fires when the client cancels the request.
    pub(crate) cancelled: CancellationToken,
    /// The way back to the client; `None` for a call through the library.
    pub(crate) link: Option<Arc<dyn ClientLink>>,
    /// The token under which the client wants to be notified of progress.
    pub(crate) progress_token: Option<ProgressToken>,
}

/// A link that travels with a request through rmcp, as an extension of the request.
#[derive(Clone)]
struct AttachedLink(Arc<dyn ClientLink>);

impl ClientContext {
    /// Creates the context of a request that no MCP client has sent, such as a call through the library.
    pub(crate) fn without_client(cancelled: &CancellationToken) -> Self {
        Self { cancelled: cancelled.clone(), ..Self::default() }
    }

    /// Creates the context of a request that a transport has attached a link to.
    pub(crate) fn from_request(context: &RequestContext<RoleServer>) -> Self {
        Self {
            cancelled: context.ct.clone(),
            link: context.extensions.get::<AttachedLink>().map(|link| Arc::clone(&link.0)),
            progress_token: context.meta.get_progress_token(),
        }
    }

    /// Whether a server can request input during the request, which the client then repeats.
    pub(crate) fn is_interruptible(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.profile().is_interruptible())
    }

    /// Returns the same context with a token of its own, which the client's cancellation fires as well.
    pub(crate) fn child(&self) -> Self {
        Self { cancelled: self.cancelled.child_token(), ..self.clone() }
    }
}

/// Attaches the way back to its client to a request.
pub(crate) fn attach_link(request: &mut ClientRequest, link: Arc<dyn ClientLink>) {
    request.extensions_mut().insert(AttachedLink(link));
}

/// The profile that servers are initialized with, which is that of the first client; and the client that called last.
#[derive(Default)]
pub(crate) struct ClientSlot {
    profile: OnceLock<ClientProfile>,
    latest: Mutex<Option<Arc<dyn ClientLink>>>,
}

impl ClientSlot {
    /// Creates a slot for clients of this profile.
    pub(crate) fn with_profile(profile: ClientProfile) -> Self {
        Self { profile: profile.into(), latest: Mutex::default() }
    }

    /// Returns the profile of the servers' clients. From then on it is fixed.
    pub(crate) fn profile(&self) -> &ClientProfile {
        self.profile.get_or_init(ClientProfile::default)
    }

    /// Records a request of `client`, and returns whether it can use the servers of this slot, that is, whether its
    /// profile is that of the first client.
    pub(crate) fn admit(&self, client: Option<&Arc<dyn ClientLink>>) -> bool {
        let fixed = match client {
            Some(client) => self.profile.get_or_init(|| client.profile().clone()),
            None => self.profile(),
        };
        let Some(client) = client else { return true };
        let is_admitted = fixed == client.profile();
        if is_admitted {
            *self.latest.lock() = Some(Arc::clone(client));
        }
        is_admitted
    }

    /// Returns the client that called last. It takes the messages that a server sends while no call is in progress.
    pub(crate) fn latest(&self) -> Option<Arc<dyn ClientLink>> {
        self.latest.lock().clone()
    }
}
