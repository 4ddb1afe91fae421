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
use tokio_util::sync::CancellationToken;

use super::lines::JsonLines;

type Writer = FramedWrite<ChildStdin, JsonRpcMessageCodec<TxJsonRpcMessage<RoleClient>>>;

/// A child's input. Clones share it.
#[derive(Clone)]
pub(super) struct Input {
    /// Locked for the length of one write, which keeps messages whole and in order.
    writer: Arc<Mutex<Option<Writer>>>,
    closing: CancellationToken,
}

impl Input {
    pub(super) fn new(stdin: ChildStdin) -> Self {
        let writer = FramedWrite::new(stdin, JsonRpcMessageCodec::new());
        Self { writer: Arc::new(Mutex::new(Some(writer))), closing: CancellationToken::new() }
    }

    async fn send(self, message: TxJsonRpcMessage<RoleClient>) -> io::Result<()> {
        let written = async {
            match self.writer.lock().await.as_mut() {
                Some(writer) => writer.send(message).await.map_err(Into::into),
                None => Err(io::ErrorKind::NotConnected.into()),
            }
        };
        self.closing.run_until_cancelled(written).await.unwrap_or(Err(io::ErrorKind::NotConnected.into()))
    }

    /// Takes back what is being written, which a child that has stopped reading would hold up for ever.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        drop(self.writer.lock().await.take());
    }
}

pub(super) struct RawTransport {
    lines: FramedRead<ChildStdout, JsonLines>,
    input: Input,
    keep_raw: Arc<AtomicBool>,
}

impl RawTransport {
    pub(super) fn new(stdout: ChildStdout, input: Input, keep_raw: Arc<AtomicBool>) -> Self {
        Self { lines: FramedRead::new(stdout, JsonLines::default()), input, keep_raw }
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
        self.input.clone().send(message)
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

#[cfg(test)]
mod tests {
    use super::*;
    use rmcp::model::{ClientRequest, CustomRequest};
    use std::process::Stdio;
    use std::time::Duration;
    use tokio::process::Command;
    use tokio::time::timeout;

    #[tokio::test]
    async fn closing_takes_back_a_write_that_nobody_reads() {
        let mut deaf =
            Command::new("sleep").arg("600").stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let input = Input::new(deaf.stdin.take().unwrap());
        // More than any pipe holds.
        let request = CustomRequest::new("x", Some(serde_json::json!({"x": "x".repeat(1 << 23)})));
        let request = JsonRpcMessage::request(ClientRequest::CustomRequest(request), RequestId::Number(1));
        let sending = tokio::spawn(input.clone().send(request));
        while input.writer.try_lock().is_ok() {
            tokio::task::yield_now().await;
        }
        timeout(Duration::from_secs(25), input.close()).await.expect("closing ends");
        assert_eq!(sending.await.unwrap().unwrap_err().kind(), io::ErrorKind::NotConnected);
    }
}
