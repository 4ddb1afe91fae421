//! `Bridge`: the task of a connection, which turns lines into requests and responses into lines.
//!
//! Requests are sent concurrently, each by a task of its own that the bridge owns. Two rules keep the order that the protocol
//! needs: a request that ends the handshake has its response before the client sends another message, and
//! `notifications/initialized` is delivered before any later message is read. All lines to the connection pass through one
//! writer, because a cancelled request must not leave half a line.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, LinesCodec};

use super::message::OutgoingMessage;
use super::post::{Lines, Outcome, exchange, listen};
use super::state::RemoteState;
use crate::connection::REMOTE_FAILURE_CODE;

/// Limit on the requests in progress on a connection. Further ones are refused.
const MAX_REQUESTS: usize = 128;
/// Limit on all messages that are being sent. Further ones wait.
const MAX_EXCHANGES: usize = 2 * MAX_REQUESTS;
/// Limit on the time to deliver a message that expects no response.
const NOTIFY_TIMEOUT: Duration = Duration::from_secs(30);
/// Limit on the time to end the session at the server.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects the streams of a connection to a server.
pub(super) struct Bridge {
    state: Arc<RemoteState>,
    lines: DuplexStream,
    writer: DuplexStream,
}

impl Bridge {
    pub(super) fn new(state: RemoteState, lines: DuplexStream, writer: DuplexStream) -> Self {
        Self { state: Arc::new(state), lines, writer }
    }

    /// Runs until the input of the connection is closed or the server has ended its session. Dropping the future ends all
    /// requests.
    pub(super) async fn run(self) {
        let Self { state, lines, mut writer } = self;
        let (output, mut received) = mpsc::channel::<Vec<u8>>(16);
        // One writer, so that a line stays whole although the request that it belongs to is cancelled.
        let writing = async {
            while let Some(mut line) = received.recv().await {
                line.push(b'\n');
                if writer.write_all(&line).await.is_err() {
                    return;
                }
            }
        };
        let exchanges = Exchanges { state: &state, output, tasks: JoinSet::new(), requests: HashMap::new() };
        tokio::select! {
            () = exchanges.serve(lines) => {}
            () = writing => {}
        }
        drop(writer);
        if state.has_session() {
            let _elapsed = timeout(END_TIMEOUT, state.end_session()).await;
        }
    }
}

/// The messages that are being sent.
struct Exchanges<'a> {
    state: &'a Arc<RemoteState>,
    output: Lines,
    /// A task returns the id of its request as JSON.
    tasks: JoinSet<(Option<String>, Outcome)>,
    /// The tasks of requests, by their ids as JSON.
    requests: HashMap<String, AbortHandle>,
}

impl Exchanges<'_> {
    async fn serve(mut self, lines: DuplexStream) {
        let mut lines = FramedRead::new(lines, LinesCodec::new());
        loop {
            tokio::select! {
                Some(ended) = self.tasks.join_next() => match ended {
                    Ok((_, Outcome::SessionEnded)) => return,
                    Ok((id, Outcome::Done)) => drop(id.and_then(|id| self.requests.remove(&id))),
                    // It was cancelled.
                    Err(_) => {}
                },
                line = lines.next(), if self.tasks.len() < MAX_EXCHANGES => {
                    let Some(Ok(line)) = line else { return };
                    let Some(message) = OutgoingMessage::parse(line) else { continue };
                    if self.begin(message).await == Outcome::SessionEnded {
                        return;
                    }
                }
            }
        }
    }

    /// Begins to send a message.
    async fn begin(&mut self, message: OutgoingMessage) -> Outcome {
        if let Some(cancelled) = message.cancelled_id() {
            let request = self.requests.remove(&cancelled.to_string());
            request.iter().for_each(AbortHandle::abort);
            // With the modern protocol, the end of the request is its cancellation.
            if request.is_none() || !self.state.is_legacy() {
                return Outcome::Done;
            }
        }
        let Some(id) = message.request_id().map(ToString::to_string) else {
            return self.begin_notification(message).await;
        };
        if self.requests.len() >= MAX_REQUESTS {
            let refusal = message.error_response(REMOTE_FAILURE_CODE, "too many requests are in progress");
            let sent = self.output.send(refusal.unwrap_or_default().into()).await;
            return if sent.is_ok() { Outcome::Done } else { Outcome::SessionEnded };
        }
        let sending = exchange(Arc::clone(self.state), message, self.output.clone());
        let request = id.clone();
        let task = self.tasks.spawn(async move { (Some(request), sending.await) });
        self.requests.insert(id, task);
        Outcome::Done
    }

    /// Begins to send a message that expects no response. The end of a handshake arrives before any request after it.
    async fn begin_notification(&mut self, message: OutgoingMessage) -> Outcome {
        let is_initialized = message.method() == Some("notifications/initialized");
        let sending = exchange(Arc::clone(self.state), message, self.output.clone());
        let sending = async move { timeout(NOTIFY_TIMEOUT, sending).await.unwrap_or(Outcome::Done) };
        if !is_initialized {
            self.tasks.spawn(async move { (None, sending.await) });
            return Outcome::Done;
        }
        let outcome = sending.await;
        let listening = listen(Arc::clone(self.state), self.output.clone());
        self.tasks.spawn(async move { (None, listening.await) });
        outcome
    }
}
