//! `RawTransport`: a transport that does not decode results.
//!
//! The models of rmcp drop unknown fields, which a proxy must pass on. Once the connection is established, results are
//! therefore passed on as raw JSON.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use rmcp::model::{
    ClientNotification, CustomResult, ErrorCode, JsonRpcMessage, JsonRpcResponse, JsonRpcVersion2_0,
    RequestId, ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::{ErrorData, RoleClient};
use serde_json::Value;
use tokio::process::{ChildStdin, ChildStdout};
use tokio_util::codec::FramedRead;

use super::handshake::PROBE_ID;
use super::in_flight::{InFlight, Lost};
use crate::json::{BoundedLineWriter, JsonLineDecoder, Line, UnreadableMessage};

/// Writes to the standard input of a child. Clones share the stream.
pub(super) type ChildWriter = BoundedLineWriter<ChildStdin>;

pub(super) struct RawTransport {
    lines: FramedRead<ChildStdout, JsonLineDecoder>,
    input: ChildWriter,
    keep_raw: Arc<AtomicBool>,
    in_flight: InFlight,
    /// Decoded messages, and errors in place of responses that cannot be read.
    ready: VecDeque<RxJsonRpcMessage<RoleClient>>,
}

impl RawTransport {
    pub(super) fn new(
        lines: FramedRead<ChildStdout, JsonLineDecoder>,
        input: ChildWriter,
        keep_raw: Arc<AtomicBool>,
    ) -> Self {
        Self { lines, input, keep_raw, in_flight: InFlight::default(), ready: VecDeque::new() }
    }

    /// Decodes a line. A request of the child that cannot be read is skipped, because valetkey serves no requests.
    fn decode_line(&mut self, line: Line) {
        let lost = match line {
            Line::Message(message) => self.deliver(message),
            Line::Unreadable(unreadable) if unreadable.is_request => return,
            Line::Unreadable(unreadable) => self.lose(unreadable),
        };
        self.ready.extend(lost.into_iter().map(|lost| error_response(lost.id, lost.reason)));
    }

    /// Queues a message, and returns the requests that are thereby known to be lost.
    fn deliver(&mut self, message: Value) -> Vec<Lost> {
        let Some(message) = self.message(message) else { return Vec::new() };
        let id = match &message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        let lost = id.map(|id| self.in_flight.answer(id)).unwrap_or_default();
        self.ready.push_back(message);
        lost
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

    fn message(&self, message: Value) -> Option<RxJsonRpcMessage<RoleClient>> {
        if message["id"] == PROBE_ID {
            // A late response to the probe, which has timed out.
            return None;
        }
        if self.keep_raw.load(Ordering::Acquire) && message.get("result").is_some() {
            return raw_response(message);
        }
        let invalid = invalid_response(&message);
        serde_json::from_value(message).ok().or(invalid)
    }
}

/// The error code in place of a response that cannot be read. Servers do not use it.
pub(super) const UNREADABLE_CODE: i32 = -32_099;

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
        match &message {
            JsonRpcMessage::Request(request) => self.in_flight.begin(request.id.clone()),
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.in_flight.cancel(id);
                }
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
        }
        let sending = (!is_response || !self.input.is_full()).then(|| self.input.send(&message));
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
