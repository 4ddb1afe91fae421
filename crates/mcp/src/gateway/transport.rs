//! `ClientTransport`: exchanges messages with a client. Lines are limited in size, requests in number, and values stay
//! exact.

use std::collections::HashSet;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::future::Either;
use rmcp::model::{ClientNotification, ErrorCode, JsonRpcMessage, RequestId, ServerResult};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::{ErrorData, RoleServer};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::codec::FramedRead;
use tokio_util::sync::CancellationToken;

use super::direct_call::{DirectCall, DirectCalls};
use super::legacy_tasks::with_task_capability;
use super::service::attach_params;
use super::stream_client::StreamClient;
use crate::client::attach_link;
use crate::json::{BoundedLineWriter, JsonLineDecoder, Line, UnreadableMessage, request_id};

/// The maximum number of concurrent requests of one client.
const MAX_IN_FLIGHT: usize = 256;

type PendingReply = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Reads requests only while the client reads its responses, so that unread responses do not fill memory.
pub(super) struct ClientTransport<R, W> {
    lines: FramedRead<R, JsonLineDecoder>,
    writer: BoundedLineWriter<W>,
    client: StreamClient<W>,
    /// The requests in progress that rmcp runs.
    in_flight: HashSet<RequestId>,
    calls: DirectCalls,
    /// Whether a legacy client has completed its handshake.
    handshake: LegacyHandshake,
    /// A reply of the transport itself that is being written. It is stored here because `receive` may be dropped
    /// meanwhile.
    pending_reply: Option<PendingReply>,
}

/// The handshake of a legacy client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LegacyHandshake {
    /// The client has not sent `initialize`, or has the modern protocol.
    None,
    /// It was sent the result of `initialize`.
    Responded,
    Complete,
}

impl<R, W> ClientTransport<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    pub(super) fn new(input: R, output: W, calls: DirectCalls) -> Self {
        let writer = BoundedLineWriter::new(output);
        Self {
            lines: FramedRead::new(input, JsonLineDecoder::default()),
            client: StreamClient::new(writer.clone()),
            writer,
            in_flight: HashSet::new(),
            calls,
            handshake: LegacyHandshake::None,
            pending_reply: None,
        }
    }

    /// Whether a request with this id is in progress.
    fn is_in_progress(&self, id: &RequestId) -> bool {
        self.in_flight.contains(id) || self.calls.contains(id)
    }

    /// Runs a plain call of a legacy client. Returns `false` for any other message.
    fn run_directly(&mut self, message: &mut Value) -> bool {
        if self.handshake != LegacyHandshake::Complete {
            return false;
        }
        let Some(call) = DirectCall::take(message) else { return false };
        if self.is_in_progress(&call.id) {
            let message = "another request with this id is in progress".to_owned();
            self.reply_error(Some(call.id), ErrorCode::INVALID_REQUEST, message);
            return true;
        }
        if self.refuse_when_busy(&call.id) {
            return true;
        }
        let link = self.client.link("tools/call", None);
        let writer = self.writer.clone();
        self.calls.spawn(call, link, move |response| async move {
            // A client that has gone needs no response.
            let _sent = writer.send(&response).await;
        });
        true
    }

    /// Refuses a request at the limit.
    fn refuse_when_busy(&mut self, id: &RequestId) -> bool {
        let is_busy = self.in_flight.len() + self.calls.len() >= MAX_IN_FLIGHT;
        if is_busy {
            let busy = format!("{MAX_IN_FLIGHT} requests are in progress; wait for one to end");
            self.reply_error(Some(id.clone()), ErrorCode::INTERNAL_ERROR, busy);
        }
        is_busy
    }

    /// Decodes a line into a message. Refused requests get an error reply immediately.
    fn decode_line(&mut self, line: Line) -> Option<RxJsonRpcMessage<RoleServer>> {
        let mut message = match line {
            Line::Message(message) => message,
            Line::Unreadable(unreadable) => {
                self.reply_unreadable(unreadable);
                return None;
            }
        };
        if self.run_directly(&mut message) || self.client.take_response(&message) {
            return None;
        }
        let id = message.get("id").filter(|_| message.get("method").is_some()).cloned();
        let link = message["method"].as_str().filter(|_| id.is_some());
        let link = link.map(|method| self.client.link(method, message.get("params")));
        match RxJsonRpcMessage::<RoleServer>::deserialize(&message) {
            Ok(mut decoded) => {
                attach_params(&mut decoded, message.get_mut("params").map(Value::take));
                if let (JsonRpcMessage::Request(request), Some(link)) = (&mut decoded, link) {
                    attach_link(&mut request.request, link);
                }
                self.track_request(decoded)
            }
            Err(_) => {
                let id = id.as_ref().and_then(request_id)?;
                self.reply_error(Some(id), ErrorCode::INVALID_REQUEST, "the request is malformed".to_owned());
                None
            }
        }
    }

    /// Counts a request as in progress until its response is sent, or refuses it at the limit. A cancelled request no
    /// longer counts.
    fn track_request(
        &mut self,
        message: RxJsonRpcMessage<RoleServer>,
    ) -> Option<RxJsonRpcMessage<RoleServer>> {
        match &message {
            JsonRpcMessage::Request(request) if self.refuse_when_busy(&request.id) => return None,
            JsonRpcMessage::Request(request) => {
                self.in_flight.insert(request.id.clone());
            }
            JsonRpcMessage::Notification(notification) => match &notification.notification {
                ClientNotification::CancelledNotification(cancelled) => {
                    // A cancelled request gets no response.
                    if let Some(id) = &cancelled.params.request_id {
                        self.in_flight.remove(id);
                        self.calls.cancel(id);
                    }
                }
                ClientNotification::InitializedNotification(_)
                    if self.handshake == LegacyHandshake::Responded =>
                {
                    self.handshake = LegacyHandshake::Complete;
                }
                _ => {}
            },
            _ => {}
        }
        Some(message)
    }

    /// Replies to a request that cannot be read.
    ///
    /// Its id is omitted if another request with this id is in progress: the id was found in malformed JSON, and may
    /// belong to something else.
    fn reply_unreadable(&mut self, UnreadableMessage { id, is_request, reason }: UnreadableMessage) {
        if is_request {
            let id = id.as_ref().and_then(request_id).filter(|id| !self.is_in_progress(id));
            let lost = if id.is_none() { ", and has lost its id" } else { "" };
            self.reply_error(id, ErrorCode::PARSE_ERROR, format!("the request {reason}{lost}"));
        }
    }

    /// Queues an error reply. It has no id if the id of the request cannot be read.
    fn reply_error(&mut self, id: Option<RequestId>, code: ErrorCode, message: String) {
        let error: TxJsonRpcMessage<RoleServer> =
            JsonRpcMessage::error(ErrorData::new(code, message, None), id);
        self.pending_reply = Some(Box::pin(self.writer.send(&error)));
    }
}

impl<R, W> Transport<RoleServer> for ClientTransport<R, W>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        match &message {
            JsonRpcMessage::Response(response) => {
                self.in_flight.remove(&response.id);
                if matches!(response.result, ServerResult::InitializeResult(_)) {
                    self.handshake = LegacyHandshake::Responded;
                }
            }
            JsonRpcMessage::Error(error) => {
                self.in_flight.retain(|id| Some(id) != error.id.as_ref());
            }
            _ => {}
        }
        match with_task_capability(&message) {
            Some(initialized) => Either::Left(self.writer.send(&initialized)),
            None => Either::Right(self.writer.send(&message)),
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(replying) = &mut self.pending_reply {
                replying.await.ok()?;
                self.pending_reply = None;
            }
            self.writer.wait_not_full().await;
            let Some(Ok(line)) = self.lines.next().await else {
                // rmcp waits for the responses of its own requests.
                self.calls.wait_ended().await;
                return None;
            };
            if let Some(message) = self.decode_line(line) {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.calls.drain().await;
        self.writer.close().await;
        Ok(())
    }
}

/// Wraps a stream, and cancels a token when the stream ends, fails or is dropped, so that the end of the
/// client is noticed immediately.
pub(super) struct EofNotifier<R> {
    stream: R,
    ended: CancellationToken,
}

impl<R> EofNotifier<R> {
    pub(super) fn new(stream: R, ended: CancellationToken) -> Self {
        Self { stream, ended }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for EofNotifier<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let ended = match &read {
            Poll::Ready(Ok(())) => room > 0 && buffer.filled().len() == before,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if ended {
            self.ended.cancel();
        }
        read
    }
}

impl<R> Drop for EofNotifier<R> {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}
