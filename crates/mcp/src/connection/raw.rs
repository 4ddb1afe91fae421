//! A transport that leaves results unread.
//!
//! rmcp's models drop what they do not know, and a proxy must pass it on. So once the connection is established, a
//! result is handed over as the JSON it is.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use rmcp::model::{
    CustomResult, ErrorCode, JsonRpcMessage, JsonRpcResponse, JsonRpcVersion2_0, RequestId, ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::{ErrorData, RoleClient};
use serde_json::Value;
use tokio::process::{ChildStdin, ChildStdout};
use tokio_util::codec::FramedRead;

use super::handshake::PROBE_ID;
use crate::json::{JsonLines, Line, Outbox, Unreadable};

/// A child's input. Clones share it.
pub(super) type Input = Outbox<ChildStdin>;

pub(super) struct RawTransport {
    lines: FramedRead<ChildStdout, JsonLines>,
    input: Input,
    keep_raw: Arc<AtomicBool>,
}

impl RawTransport {
    pub(super) fn new(
        lines: FramedRead<ChildStdout, JsonLines>,
        input: Input,
        keep_raw: Arc<AtomicBool>,
    ) -> Self {
        Self { lines, input, keep_raw }
    }

    fn read(&self, line: Line) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = match line {
            Line::Message(message) => message,
            Line::Unreadable(unreadable) => return unreadable_response(unreadable),
        };
        if message["id"] == PROBE_ID {
            // The late response to the probe, which was given up.
            return None;
        }
        if self.keep_raw.load(Ordering::Acquire) && message.get("result").is_some() {
            return raw_response(message);
        }
        let invalid = invalid_response(&message);
        serde_json::from_value(message).ok().or(invalid)
    }
}

/// The error in place of a response that cannot be read, so that its caller does not wait. A request of the child's that
/// cannot be read is skipped: valetkey serves none.
fn unreadable_response(unreadable: Unreadable) -> Option<RxJsonRpcMessage<RoleClient>> {
    if unreadable.is_request {
        return None;
    }
    error_response(&unreadable.id, format!("the server's response {}", unreadable.reason))
}

/// The code of errors in place of responses, which no server sends.
pub(super) const UNREADABLE: i32 = -32_099;

/// The error in place of a response that is neither a result nor an error.
fn invalid_response(message: &Value) -> Option<RxJsonRpcMessage<RoleClient>> {
    let id = message.get("id").filter(|_| message.get("method").is_none())?;
    error_response(id, "the server's response is neither a result nor an error".to_owned())
}

fn error_response(id: &Value, message: String) -> Option<RxJsonRpcMessage<RoleClient>> {
    let id: RequestId = serde_json::from_value(id.clone()).ok()?;
    Some(JsonRpcMessage::error(ErrorData::new(ErrorCode(UNREADABLE), message, None), Some(id)))
}

fn raw_response(mut message: Value) -> Option<RxJsonRpcMessage<RoleClient>> {
    let fields = message.as_object_mut()?;
    let id: RequestId = serde_json::from_value(fields.remove("id")?).ok()?;
    let result = ServerResult::CustomResult(CustomResult(fields.remove("result")?));
    Some(JsonRpcMessage::Response(JsonRpcResponse { jsonrpc: JsonRpcVersion2_0, id, result }))
}

impl Transport<RoleClient> for RawTransport {
    type Error = io::Error;

    /// Responses to a child that does not read them are dropped: it cannot miss them, and its pings must not fill memory.
    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let is_response = matches!(message, JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_));
        let sending = (!is_response || !self.input.is_full()).then(|| self.input.send(&message));
        async move {
            match sending {
                Some(sending) => sending.await,
                None => Ok(()),
            }
        }
    }

    /// Skips what is no message: servers print banners on standard output.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        while let Some(Ok(line)) = self.lines.next().await {
            if let Some(message) = self.read(line) {
                return Some(message);
            }
        }
        None
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.input.close().await;
        Ok(())
    }
}
