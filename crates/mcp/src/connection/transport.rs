//! `RawTransport`: a transport that does not decode results.
//!
//! The models of rmcp drop unknown fields, which a proxy must pass on. Once the connection is established, results are
//! therefore passed on as raw JSON: to the caller that waits for them in the [`RequestTable`](super::requests), or to
//! rmcp if the request was its own.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use futures_util::future::Either;
use rmcp::model::{
    ClientNotification, ClientRequest, CustomResult, ErrorCode, JsonRpcMessage, JsonRpcRequest, RequestId,
    ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::{ErrorData, RoleClient};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::FramedRead;

use super::RequestError;
use super::handshake::PROBE_ID;
use super::in_flight::Lost;
use super::requests::{LEVEL_ID, SharedRequests, take_outcome};
use super::server_messages::ServerMessages;
use crate::Redactor;
use crate::client::{ClientSlot, Refusal};
use crate::json::{BoundedLineWriter, JsonLineDecoder, Line, UnreadableMessage, request_id};

/// The messages of a server: the standard output of a child, or what a remote server sends.
pub(crate) type ServerOutput = Box<dyn AsyncRead + Send + Unpin>;
/// The messages to a server.
pub(crate) type ServerInput = Box<dyn AsyncWrite + Send + Unpin>;
/// Writes messages to a server. Clones share the stream.
pub(super) type ServerWriter = BoundedLineWriter<ServerInput>;

/// The error code in place of the response of a remote server that cannot be reached.
pub(crate) const REMOTE_FAILURE_CODE: i32 = -32_098;

pub(super) struct RawTransport {
    lines: FramedRead<ServerOutput, JsonLineDecoder>,
    input: ServerWriter,
    keep_raw: Arc<AtomicBool>,
    requests: SharedRequests,
    clients: Arc<ClientSlot>,
    server_messages: ServerMessages,
    /// Messages for rmcp.
    ready: VecDeque<RxJsonRpcMessage<RoleClient>>,
}

impl RawTransport {
    pub(super) fn new(
        lines: FramedRead<ServerOutput, JsonLineDecoder>,
        input: ServerWriter,
        requests: SharedRequests,
        clients: Arc<ClientSlot>,
        redactor: Arc<Redactor>,
    ) -> Self {
        let server_messages =
            ServerMessages::new(Arc::clone(&clients), redactor, input.clone(), Arc::clone(&requests));
        let (keep_raw, ready) = (Arc::default(), VecDeque::new());
        Self { lines, input, keep_raw, requests, clients, server_messages, ready }
    }

    /// Returns the switch that ends the handshake: from then on, results are not decoded.
    pub(super) fn keep_raw(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.keep_raw)
    }

    /// Decodes a line. A request of the child that cannot be read is refused if its id can be.
    fn decode_line(&mut self, line: Line) {
        let lost = match line {
            Line::Message(message) => self.deliver(message),
            Line::Unreadable(UnreadableMessage { id, is_request: true, .. }) => {
                return id.into_iter().for_each(|id| self.server_messages.refuse(id, &Refusal::UNREADABLE));
            }
            Line::Unreadable(unreadable) => self.lose(unreadable),
        };
        for Lost { id, reason } in lost {
            self.end_request(id, Err(RequestError::Unreadable(reason)));
        }
    }

    /// Passes a message on, and returns the requests that are thereby known to be lost.
    fn deliver(&mut self, mut message: Value) -> Vec<Lost> {
        if message.get("id").and_then(Value::as_str).is_some_and(|id| [PROBE_ID, LEVEL_ID].contains(&id)) {
            // A late response to the probe, which has timed out, or the response to a new log level.
            return Vec::new();
        }
        if !self.keep_raw.load(Ordering::Acquire) {
            return self.deliver_handshake(message);
        }
        if message.get("result").is_none() && message.get("method").is_some() {
            let own = self.server_messages.take(message);
            self.ready.extend(own.and_then(|message| serde_json::from_value(message).ok()));
            return Vec::new();
        }
        match (message.get("id").and_then(request_id), take_outcome(&mut message)) {
            (Some(id), Some(outcome)) => self.end_request(id, outcome),
            _ => Vec::new(),
        }
    }

    /// Passes a message of the handshake on to rmcp.
    fn deliver_handshake(&mut self, mut message: Value) -> Vec<Lost> {
        if message["result"]["capabilities"]["logging"].is_object() {
            self.requests.lock().support_log_level();
        }
        let id = message.get("id").and_then(request_id).filter(|_| message.get("method").is_none());
        let lost = id.as_ref().map(|id| self.requests.lock().end(id)).unwrap_or_default();
        let decoded = serde_json::from_value(message.clone()).ok();
        let invalid = || match (id, take_outcome(&mut message)) {
            (Some(id), Some(Err(error))) => Some(rmcp_response(id, Err(error))),
            _ => None,
        };
        self.ready.extend(decoded.or_else(invalid));
        lost
    }

    /// Ends a request, and returns the requests that are thereby known to be lost.
    fn end_request(&mut self, id: RequestId, outcome: Result<Value, RequestError>) -> Vec<Lost> {
        let (lost, unclaimed) = {
            let mut requests = self.requests.lock();
            (requests.end(&id), requests.resolve(&id, outcome))
        };
        self.ready.extend(unclaimed.map(|outcome| rmcp_response(id, outcome)));
        lost
    }

    /// Returns the requests that fail because of a response that cannot be read, so that their callers do not wait.
    fn lose(&mut self, UnreadableMessage { id, reason, .. }: UnreadableMessage) -> Vec<Lost> {
        let mut requests = self.requests.lock();
        let Some(id) = id else {
            let reason = format!("the server's response {reason}, and has lost its id");
            return requests.answer_unnamed(reason);
        };
        // The request may have been cancelled; then its response is ignored.
        let Some(id) = request_id(&id).filter(|id| requests.contains(id)) else { return Vec::new() };
        let others = requests.end(&id);
        let lost = Lost { id, reason: format!("the server's response {reason}") };
        [vec![lost], others].concat()
    }

    /// Returns an `initialize` request with the capabilities of the client, which rmcp's models would reduce to those
    /// that they know.
    fn with_capabilities(&self, message: &TxJsonRpcMessage<RoleClient>) -> Option<Value> {
        let JsonRpcMessage::Request(request) = message else { return None };
        if !matches!(request.request, ClientRequest::InitializeRequest(_)) {
            return None;
        }
        let mut message = serde_json::to_value(message).ok()?;
        message["params"]["capabilities"] = self.clients.profile().capabilities_for(false).into();
        Some(message)
    }
}

impl Drop for RawTransport {
    fn drop(&mut self) {
        self.requests.lock().close();
    }
}

/// Returns the response to a request of rmcp.
fn rmcp_response(id: RequestId, outcome: Result<Value, RequestError>) -> RxJsonRpcMessage<RoleClient> {
    let error = match outcome {
        Ok(result) => return JsonRpcMessage::response(ServerResult::CustomResult(CustomResult(result)), id),
        Err(RequestError::Refused(refused)) => {
            ErrorData::new(ErrorCode(refused.code), refused.message, refused.data)
        }
        Err(RequestError::Unreadable(reason)) => ErrorData::internal_error(reason, None),
        Err(_) => ErrorData::internal_error("the response cannot be read", None),
    };
    JsonRpcMessage::error(error, Some(id))
}

impl Transport<RoleClient> for RawTransport {
    type Error = io::Error;

    /// Sends a message. Responses to a child that does not read them are dropped, because its pings must not fill
    /// memory.
    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let is_response = matches!(message, JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_));
        match &message {
            JsonRpcMessage::Request(JsonRpcRequest { id, .. }) => {
                self.requests.lock().begin_foreign(id.clone());
            }
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.requests.lock().cancel(id);
                }
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
        }
        let sending =
            (!is_response || !self.input.is_full()).then(|| match self.with_capabilities(&message) {
                Some(initialize) => Either::Left(self.input.send(&initialize)),
                None => Either::Right(self.input.send(&message)),
            });
        async move {
            match sending {
                Some(sending) => sending.await,
                None => Ok(()),
            }
        }
    }

    /// Returns the next message. Other lines, such as banners on standard output, are skipped.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            self.server_messages.forwarded().await;
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            match self.lines.next().await {
                Some(Ok(line)) => self.decode_line(line),
                _ => {
                    self.requests.lock().close();
                    return None;
                }
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.requests.lock().close();
        self.input.close().await;
        Ok(())
    }
}
