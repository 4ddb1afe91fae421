//! `RawTransport`: a transport that does not decode results.
//!
//! The models of rmcp drop unknown fields, which a proxy must pass on. Once the connection is established, results are
//! therefore passed on as raw JSON.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use futures_util::future::Either;
use rmcp::model::{
    ClientNotification, ClientRequest, CustomResult, ErrorCode, GetExtensions, GetMeta, JsonRpcMessage,
    JsonRpcRequest, JsonRpcResponse, JsonRpcVersion2_0, RequestId, ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::{ErrorData, RoleClient};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::FramedRead;

use super::handshake::PROBE_ID;
use super::in_flight::{InFlight, Lost};
use super::server_messages::{ClientCall, ServerMessages};
use crate::Redactor;
use crate::client::{ClientSlot, LogLevel, Refusal};
use crate::json::{BoundedLineWriter, JsonLineDecoder, Line, UnreadableMessage};

/// The messages of a server: the standard output of a child, or what a remote server sends.
pub(crate) type ServerOutput = Box<dyn AsyncRead + Send + Unpin>;
/// The messages to a server.
pub(crate) type ServerInput = Box<dyn AsyncWrite + Send + Unpin>;
/// Writes messages to a server. Clones share the stream.
pub(super) type ServerWriter = BoundedLineWriter<ServerInput>;

pub(super) struct RawTransport {
    lines: FramedRead<ServerOutput, JsonLineDecoder>,
    input: ServerWriter,
    keep_raw: Arc<AtomicBool>,
    in_flight: InFlight,
    clients: Arc<ClientSlot>,
    server_messages: ServerMessages,
    log_level: ServerLogLevel,
    /// Decoded messages, and errors in place of responses that cannot be read.
    ready: VecDeque<RxJsonRpcMessage<RoleClient>>,
}

impl RawTransport {
    pub(super) fn new(
        lines: FramedRead<ServerOutput, JsonLineDecoder>,
        input: ServerWriter,
        keep_raw: Arc<AtomicBool>,
        clients: Arc<ClientSlot>,
        redactor: Arc<Redactor>,
    ) -> Self {
        let server_messages = ServerMessages::new(Arc::clone(&clients), redactor, input.clone());
        Self {
            lines,
            input,
            keep_raw,
            in_flight: InFlight::default(),
            clients,
            server_messages,
            log_level: ServerLogLevel::default(),
            ready: VecDeque::new(),
        }
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
            self.server_messages.end_call(&id);
            self.ready.push_back(error_response(id, reason));
        }
    }

    /// Queues a message, and returns the requests that are thereby known to be lost.
    fn deliver(&mut self, message: Value) -> Vec<Lost> {
        let Some(message) = self.message(message) else { return Vec::new() };
        let id = match &message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        let lost = match id {
            Some(id) => {
                self.server_messages.end_call(id);
                self.in_flight.answer(id)
            }
            None => Vec::new(),
        };
        self.ready.push_back(message);
        lost
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

    /// Returns the requests that fail because of a response that cannot be read, so that their callers do not wait.
    fn lose(&mut self, UnreadableMessage { id, reason, .. }: UnreadableMessage) -> Vec<Lost> {
        let Some(id) = id else {
            let reason = format!("the server's response {reason}, and has lost its id");
            return self.in_flight.answer_unnamed(reason);
        };
        let id: Option<RequestId> = serde_json::from_value(id).ok();
        // The request may have been cancelled; then its response is ignored.
        let Some(id) = id.filter(|id| self.in_flight.contains(id)) else { return Vec::new() };
        let others = self.in_flight.answer(&id);
        let lost = Lost { id, reason: format!("the server's response {reason}") };
        [vec![lost], others].concat()
    }

    fn message(&mut self, message: Value) -> Option<RxJsonRpcMessage<RoleClient>> {
        if message["id"] == PROBE_ID || message["id"] == LEVEL_ID {
            // A late response to the probe, which has timed out, or the response to a new log level.
            return None;
        }
        let is_established = self.keep_raw.load(Ordering::Acquire);
        if is_established && message.get("result").is_some() {
            return raw_response(message);
        }
        self.log_level.is_supported |= message["result"]["capabilities"]["logging"].is_object();
        let message = match message.get("method") {
            Some(_) if is_established => self.server_messages.take(message)?,
            _ => message,
        };
        let invalid = invalid_response(&message);
        serde_json::from_value(message).ok().or(invalid)
    }
}

/// The log level of a server with a legacy protocol.
#[derive(Default)]
struct ServerLogLevel {
    is_supported: bool,
    current: Option<LogLevel>,
}

impl ServerLogLevel {
    /// Returns a request for the level that the client of a call wants, unless the server logs as much already. Less
    /// severe messages that other clients want are filtered later.
    fn request_for(&mut self, call: &ClientCall) -> Option<Value> {
        let level = call.link.log_level().filter(|_| self.is_supported)?;
        if self.current.is_some_and(|current| current <= level) {
            return None;
        }
        self.current = Some(level);
        let params = json!({"level": level.name()});
        Some(json!({"jsonrpc": "2.0", "id": LEVEL_ID, "method": "logging/setLevel", "params": params}))
    }
}

/// The id of requests for a log level. Their responses are ignored.
const LEVEL_ID: &str = "valetkey-level";

/// The error code in place of a response that cannot be read. Servers do not use it.
pub(super) const UNREADABLE_CODE: i32 = -32_099;
/// The error code in place of the response of a remote server that cannot be reached.
pub(crate) const REMOTE_FAILURE_CODE: i32 = -32_098;

/// Returns an error in place of a response that is neither a result nor an error. An object without any member of a
/// response is not a message: servers may log such objects, even with ids.
fn invalid_response(message: &Value) -> Option<RxJsonRpcMessage<RoleClient>> {
    let has = |name| message.get(name).is_some();
    if has("method") || !["jsonrpc", "result", "error"].into_iter().any(has) {
        return None;
    }
    let id = serde_json::from_value(message.get("id")?.clone()).ok()?;
    Some(error_response(id, "the server's response is neither a result nor an error".to_owned()))
}

fn error_response(id: RequestId, message: String) -> RxJsonRpcMessage<RoleClient> {
    JsonRpcMessage::error(ErrorData::new(ErrorCode(UNREADABLE_CODE), message, None), Some(id))
}

fn raw_response(mut message: Value) -> Option<RxJsonRpcMessage<RoleClient>> {
    let fields = message.as_object_mut()?;
    let id: RequestId = serde_json::from_value(fields.remove("id")?).ok()?;
    let result = ServerResult::CustomResult(CustomResult(fields.remove("result")?));
    Some(JsonRpcMessage::Response(JsonRpcResponse { jsonrpc: JsonRpcVersion2_0, id, result }))
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
        let mut before = None;
        match &message {
            JsonRpcMessage::Request(JsonRpcRequest { id, request, .. }) => {
                self.in_flight.begin(id.clone());
                if let Some(call) = request.extensions().get::<ClientCall>() {
                    before = self.log_level.request_for(call).map(|request| self.input.send(&request));
                    let token = request.get_meta().get_progress_token();
                    self.server_messages.begin_call(id.clone(), token, call.clone());
                }
            }
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.in_flight.cancel(id);
                    self.server_messages.cancel_call(id);
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
            if let Some(before) = before {
                before.await?;
            }
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
            let line = self.lines.next().await?.ok()?;
            self.decode_line(line);
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.input.close().await;
        Ok(())
    }
}
