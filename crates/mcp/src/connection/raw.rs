//! A transport that leaves results unread.
//!
//! rmcp's models drop what they do not know, and a proxy must pass it on. So once the connection is established, a
//! result is handed over as the JSON it is.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{SinkExt, StreamExt};
use rmcp::model::{
    CustomResult, JsonRpcMessage, JsonRpcResponse, JsonRpcVersion2_0, RequestId, ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::JsonRpcMessageCodec;
use rmcp::{ErrorData, RoleClient};
use serde_json::Value;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::Mutex;
use tokio_util::codec::{FramedRead, FramedWrite};

use super::lines::JsonLines;

type Writer = FramedWrite<ChildStdin, JsonRpcMessageCodec<TxJsonRpcMessage<RoleClient>>>;

pub(super) struct RawTransport {
    lines: FramedRead<ChildStdout, JsonLines>,
    /// Locked for the length of one write, which keeps messages whole and in order.
    writer: Arc<Mutex<Option<Writer>>>,
    keep_raw: Arc<AtomicBool>,
}

impl RawTransport {
    pub(super) fn new(stdout: ChildStdout, stdin: ChildStdin, keep_raw: Arc<AtomicBool>) -> Self {
        Self {
            lines: FramedRead::new(stdout, JsonLines::default()),
            writer: Arc::new(Mutex::new(Some(FramedWrite::new(stdin, JsonRpcMessageCodec::new())))),
            keep_raw,
        }
    }

    fn read(&self, line: Value) -> Option<RxJsonRpcMessage<RoleClient>> {
        if self.keep_raw.load(Ordering::Acquire) && line.get("result").is_some() {
            return raw_response(line);
        }
        let unreadable = malformed_answer(&line);
        serde_json::from_value(line).ok().or(unreadable)
    }
}

/// What is said in place of an answer that makes no sense, so that nobody waits for it.
fn malformed_answer(line: &Value) -> Option<RxJsonRpcMessage<RoleClient>> {
    let id = line.get("id").filter(|_| line.get("method").is_none())?;
    let id: RequestId = serde_json::from_value(id.clone()).ok()?;
    let error = ErrorData::internal_error("the server's answer is neither a result nor an error", None);
    Some(JsonRpcMessage::error(error, Some(id)))
}

fn raw_response(mut line: Value) -> Option<RxJsonRpcMessage<RoleClient>> {
    let fields = line.as_object_mut()?;
    let id: RequestId = serde_json::from_value(fields.remove("id")?).ok()?;
    let result = ServerResult::CustomResult(CustomResult(fields.remove("result")?));
    Some(JsonRpcMessage::Response(JsonRpcResponse { jsonrpc: JsonRpcVersion2_0, id, result }))
}

impl Transport<RoleClient> for RawTransport {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let writer = Arc::clone(&self.writer);
        async move {
            match writer.lock().await.as_mut() {
                Some(writer) => writer.send(message).await.map_err(Into::into),
                None => Err(io::ErrorKind::NotConnected.into()),
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
        drop(self.writer.lock().await.take());
        Ok(())
    }
}
