//! POST: one protocol message, and its response.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::{Bytes, Incoming as IncomingBody};
use hyper::header::HeaderMap;
use rmcp::model::{ClientNotification, ErrorCode, InitializeRequestParams, JsonRpcMessage, ServerResult};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::auth::{Lease, LeaseEnd};
use super::caller::CallerTools;
use super::encoded_list::ListSlot;
use super::events::event_stream;
use super::exchange::{DirectExchange, Exchange, Messages, Outgoing, is_final};
use super::headers::{accepts, check_initialize_headers, check_routing_headers, has_json_content};
use super::link::HttpClient;
use super::message::{Era, Posted};
use super::protocol_sessions::{ProtocolSession, Reader, RegisteredCall};
use super::response::{
    HttpResponse, INVALID_REQUEST, RpcError, accepted, encoded_json, json_content, session_not_found, text,
    too_many, too_many_requests,
};
use super::router::{Caller, HttpState, NamedSession, add_session_id, session_required};
use super::stream::RequestMessages;
use crate::client::{ChosenLevel, ClientProfile};
use crate::gateway::{GatewayService, with_task_capability};

/// The maximum size of a message, in bytes.
const MAX_BODY_SIZE: usize = 4 * 1024 * 1024;
/// The time for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The time after which the response becomes an event stream, which a proxy does not take for a dead connection.
const JSON_TIMEOUT: Duration = Duration::from_secs(1);

const INSTRUCTIONS: &str = "\
Each call acts in a credential session: that of the connection, or the one whose handle is in `credential_session`. \
`create_credential_session` opens one.";

/// Serves one message. It is parsed once, and its era then selects how it is run.
pub(super) async fn post(
    state: &Arc<HttpState>,
    caller: Caller,
    headers: &HeaderMap,
    body: IncomingBody,
) -> HttpResponse {
    if !accepts(headers, "application/json") || !accepts(headers, "text/event-stream") {
        let message = "the client must accept application/json and text/event-stream";
        return text(StatusCode::NOT_ACCEPTABLE, message);
    }
    if !has_json_content(headers) {
        return text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
    }
    let posted = match read_body(body).await {
        Ok(body) => Posted::parse(&body).map_err(|refused| {
            let (error, id) = *refused;
            error.into_response(id)
        }),
        Err(refused) => Err(refused),
    };
    let posted = match posted {
        Ok(posted) => posted,
        Err(refused) => return refused,
    };
    let id = posted.id();
    let request = PostedRequest { state, caller, headers, posted };
    match request.posted.era(headers) {
        Ok(Era::Initialize) => request.initialize().await,
        Ok(Era::Legacy) => request.serve_legacy().await,
        Ok(Era::Modern) => request.serve_modern().await,
        Err(error) => error.into_response(id),
    }
}

async fn read_body(body: IncomingBody) -> Result<Bytes, HttpResponse> {
    match timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_SIZE).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(text(StatusCode::PAYLOAD_TOO_LARGE, "a message has at most 4 MiB"))
        }
        Ok(Err(_)) => Err(text(StatusCode::BAD_REQUEST, "the body could not be read")),
        Err(_elapsed) => Err(text(StatusCode::REQUEST_TIMEOUT, "the body was not sent in time")),
    }
}

/// A message and its sender.
struct PostedRequest<'a> {
    state: &'a Arc<HttpState>,
    caller: Caller,
    headers: &'a HeaderMap,
    posted: Posted,
}

impl PostedRequest<'_> {
    /// Opens a protocol session.
    async fn initialize(self) -> HttpResponse {
        let id = self.posted.id();
        if let Err(error) = check_initialize_headers(self.headers) {
            return error.into_response(id);
        }
        let params = self.posted.params().cloned().unwrap_or_default();
        let Ok(mut peer) = serde_json::from_value::<InitializeRequestParams>(params) else {
            return RpcError::bad_request(INVALID_REQUEST, "the message is malformed").into_response(id);
        };
        let (state, principal) = (self.state, self.caller.principal().clone());
        let cancelled = state.abandoned.child_token();
        let _cancel = cancelled.clone().drop_guard();
        let profile = ClientProfile::legacy(self.posted.params());
        let client = HttpClient::Modern(profile.clone(), ChosenLevel::default());
        let Some(mut messages) = self.start(client, Some(peer.clone()), cancelled) else {
            return too_many_requests(id);
        };
        let Some(message) = messages.receiver.recv().await else { return no_response() };
        let mut response = match with_task_capability(&message) {
            Some(initialized) => json_content(StatusCode::OK, &initialized),
            None => json_content(StatusCode::OK, &message),
        };
        if let JsonRpcMessage::Response(initialized) = message
            && let ServerResult::InitializeResult(result) = initialized.result
        {
            peer.protocol_version = result.protocol_version;
            let Some(session) = state.protocol_sessions.open(&principal, peer, profile) else {
                return too_many("too many sessions are open", id);
            };
            add_session_id(&mut response, session.id);
        }
        response
    }

    /// Serves a message of a protocol session.
    async fn serve_legacy(self) -> HttpResponse {
        let session = match self.caller.protocol_session(&self.state.protocol_sessions) {
            NamedSession::Found(session) => session,
            NamedSession::NotFound => return session_not_found(self.posted.id()),
            NamedSession::None => return session_required(),
        };
        let request_id = match &self.posted.message {
            JsonRpcMessage::Request(request) => request.id.clone(),
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    session.cancel_call(id);
                }
                return accepted();
            }
            // A response to a request of a server. A late one belongs to nothing.
            _ => {
                let _is_pending = session.pending.resolve(&self.posted.value);
                return accepted();
            }
        };
        let id = self.posted.id();
        let Some(call) = session.begin_call(request_id) else {
            let message = "another request with this id is in progress";
            return RpcError::bad_request(INVALID_REQUEST, message).into_response(id);
        };
        self.serve_call(&session, call).await
    }

    /// Serves a call of a legacy client. It continues when the client disconnects: only `notifications/cancelled` and
    /// the end of the session cancel it.
    async fn serve_call(self, session: &Arc<ProtocolSession>, call: RegisteredCall) -> HttpResponse {
        let stop = self.state.stopping.clone();
        let abandoned = self.state.abandoned.clone();
        let cancelled = call.cancelled.clone();
        let requests = self.state.requests.clone();
        let id = self.posted.id();
        let lease = self.caller.lease(self.state, LeaseEnd::Reload);
        let left = CancellationToken::new();
        let reader = session.begin_reading(left.clone());
        let client = HttpClient::Legacy(Arc::clone(session), left);
        let messages = self.start(client, Some(session.peer.clone()), cancelled);
        let Some(Messages { receiver, list }) = messages else { return too_many_requests(id) };
        let (relay, relayed) = mpsc::channel(1);
        requests.spawn(relay_messages(receiver, relay, call, lease.clone(), abandoned));
        respond(Messages { receiver: relayed, list }, reader, lease, stop, |_| StatusCode::OK).await
    }

    /// Serves a message that is complete in itself. The request is cancelled when its client disconnects.
    async fn serve_modern(self) -> HttpResponse {
        let id = self.posted.id();
        if let Err(error) = self.check_headers().await {
            return error.into_response(id);
        }
        match &self.posted.message {
            JsonRpcMessage::Request(_) => {}
            JsonRpcMessage::Notification(_) => return accepted(),
            _ => {
                let message = "this protocol version has no requests to clients, and so no responses of them";
                return RpcError::bad_request(INVALID_REQUEST, message).into_response(None);
            }
        }
        // A subscription has no end of its own.
        let end = match self.posted.method() {
            Some("subscriptions/listen") => LeaseEnd::Expiry,
            _ => LeaseEnd::Reload,
        };
        let lease = self.caller.lease(self.state, end);
        let lacks_metadata = self.posted.lacks_modern_metadata();
        let stop = self.state.stopping.clone();
        let cancelled = self.state.abandoned.child_token();
        let reader = Reader::without_session(cancelled.clone());
        let client = HttpClient::modern(self.posted.params());
        match self.start(client, None, cancelled) {
            Some(messages) => {
                respond(messages, reader, lease, stop, |message| modern_status(message, lacks_metadata)).await
            }
            None => too_many_requests(id),
        }
    }

    /// Checks the headers of a modern request against the definition of the tool that it calls.
    async fn check_headers(&self) -> Result<(), RpcError> {
        let is_call = self.posted.method() == Some("tools/call");
        let name = self.posted.params().and_then(|params| params.get("name")).and_then(Value::as_str);
        let catalog = &self.state.catalog;
        let tools = match name {
            Some(name) if is_call && !catalog.is_own_tool(name) => catalog.server_tools().await,
            _ => None,
        };
        let tool = tools.as_ref().zip(name).and_then(|(tools, name)| tools.get(name));
        check_routing_headers(self.headers, &self.posted, tool.map(|tool| &tool.definition))
    }

    /// Starts the request. Returns `None` if the caller is over a limit.
    fn start(
        mut self,
        client: HttpClient,
        peer: Option<InitializeRequestParams>,
        cancelled: CancellationToken,
    ) -> Option<Messages> {
        let state = self.state;
        let permit = state.quotas.acquire(self.caller.principal())?;
        let list = ListSlot::default();
        let tools = CallerTools {
            tenants: Arc::clone(&state.tenants),
            catalog: Arc::clone(&state.catalog),
            caller: self.caller.verified().clone(),
            handle: self.caller.handle.clone(),
            protocol_session: client.session(),
            encoded: list.clone(),
        };
        let call = client.session().and_then(|_legacy| self.posted.take_call());
        if let Some(call) = call {
            let exchange = DirectExchange { call, source: tools, client, cancelled, permit };
            return Some(exchange.spawn(&state.requests));
        }
        let changes = state.changes(tools.caller.principal());
        let service = GatewayService::new(Arc::new(tools), INSTRUCTIONS.to_owned(), changes);
        let exchange =
            Exchange { service, message: self.posted.into_message(), client, peer, cancelled, list, permit };
        Some(exchange.spawn(&state.requests))
    }
}

/// Forwards the messages of a call to its response, and keeps the call registered until it has ended. The call is
/// cancelled when its lease has ended.
async fn relay_messages(
    mut messages: mpsc::Receiver<Outgoing>,
    relay: mpsc::Sender<Outgoing>,
    call: RegisteredCall,
    mut lease: Lease,
    abandoned: CancellationToken,
) {
    loop {
        let cancelled = async {
            tokio::select! {
                () = abandoned.cancelled() => {}
                () = lease.ended() => {}
            }
        };
        let message = tokio::select! {
            message = messages.recv() => message,
            () = cancelled => {
                call.cancelled.cancel();
                messages.recv().await
            }
        };
        let Some(message) = message else { return };
        let is_last = is_final(&message);
        // Fails when the client has left.
        let _unread = relay.send(message).await;
        if is_last {
            return;
        }
    }
}

/// Responds with JSON if the result is there soon, and with an event stream otherwise.
async fn respond(
    mut messages: Messages,
    mut reader: Reader,
    lease: Lease,
    stop: CancellationToken,
    status: impl Fn(&Outgoing) -> StatusCode,
) -> HttpResponse {
    let first = match timeout(JSON_TIMEOUT, messages.receiver.recv()).await {
        Ok(Some(message)) if is_final(&message) => {
            reader.finish();
            return encoded_json(status(&message), messages.list.encode(&message));
        }
        Ok(Some(message)) => Some(message),
        Ok(None) => return no_response(),
        Err(_elapsed) => None,
    };
    event_stream(RequestMessages::new(first, messages, reader), lease, stop)
}

fn no_response() -> HttpResponse {
    text(StatusCode::INTERNAL_SERVER_ERROR, "the request ended without a response")
}

/// Returns the status that the modern protocol defines for a response.
fn modern_status(message: &Outgoing, lacks_metadata: bool) -> StatusCode {
    let JsonRpcMessage::Error(error) = message else { return StatusCode::OK };
    match error.error.code {
        ErrorCode::UNSUPPORTED_PROTOCOL_VERSION
        | ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY
        | ErrorCode::HEADER_MISMATCH => StatusCode::BAD_REQUEST,
        ErrorCode::INVALID_PARAMS if lacks_metadata => StatusCode::BAD_REQUEST,
        ErrorCode::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    }
}
