//! `RequestTable`: the requests of one connection that have no response yet, and where their responses go.
//!
//! The transport and all callers share the table. A caller adds its request, writes it, and waits for the response, which
//! the transport returns to it as soon as it has read it. rmcp sees only its own requests: those of the handshake, and
//! the subscription to a modern server.
//!
//! | event | effect |
//! |---|---|
//! | a caller begins a request | it has an id, and counts as in flight |
//! | its response is read | the caller gets the outcome, in the order in which the server responds |
//! | a response cannot be read | its caller gets an error; without an id, the request that it must belong to |
//! | the caller cancels | the request is removed, and its response is ignored |
//! | the caller is dropped | the request is removed, and its response is ignored |
//! | the connection ends | all callers fail at once, and no request begins any more |

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rmcp::model::{ErrorData, ProgressToken, RequestId};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::in_flight::{InFlight, Lost};
use super::transport::REMOTE_FAILURE_CODE;
use super::{RefusedRequest, RequestError};
use crate::client::{ClientLink, LogLevel};

/// The first id of our requests. Those of rmcp count from zero, and a connection has few of them. Ids fit into 32 bits
/// with a sign, which is all that some servers read.
const FIRST_ID: i64 = 1 << 30;

/// The id of requests for a log level. Their responses are ignored.
pub(super) const LEVEL_ID: &str = "valetkey-level";

type Outcome = Result<Value, RequestError>;

/// The client of a call.
#[derive(Clone)]
pub(super) struct ClientCall {
    pub(super) link: Arc<dyn ClientLink>,
    pub(super) progress_token: Option<ProgressToken>,
}

impl ClientCall {
    /// Returns the token under which the client wants to be notified of progress.
    fn progress_token(&self) -> Option<ProgressToken> {
        self.link.progress_token().unwrap_or_else(|| self.progress_token.clone())
    }
}

/// A request that was added to the table.
pub(super) struct NewRequest {
    /// The id, which is also the progress token on this hop.
    pub(super) id: i64,
    /// A request for a log level, to be sent first.
    pub(super) level: Option<Value>,
    /// Fails when the connection has ended.
    pub(super) response: oneshot::Receiver<Outcome>,
}

/// The shared table. Its lock is never held across an await.
pub(super) type SharedRequests = Arc<Mutex<RequestTable>>;

/// The requests without a response.
///
/// Invariant: each request in `waiting` is also in `in_flight`, and so is each call in `calls`. Only the requests of rmcp are
/// in flight without being in `waiting`.
pub(super) struct RequestTable {
    /// The id of the next request.
    next_id: i64,
    /// Also contains the requests of rmcp.
    in_flight: InFlight,
    /// Where the responses go.
    waiting: HashMap<RequestId, oneshot::Sender<Outcome>>,
    /// The calls of clients in progress, oldest first.
    calls: Vec<(RequestId, ClientCall)>,
    /// The level that the server was last sent.
    log_level: ServerLogLevel,
    /// Fires when the last call in progress was cancelled.
    abandoned: CancellationToken,
    /// Whether the connection has ended.
    is_closed: bool,
}

impl Default for RequestTable {
    fn default() -> Self {
        Self {
            next_id: FIRST_ID,
            in_flight: InFlight::default(),
            waiting: HashMap::new(),
            calls: Vec::new(),
            log_level: ServerLogLevel::default(),
            abandoned: CancellationToken::new(),
            is_closed: false,
        }
    }
}

impl RequestTable {
    /// Adds a request, with the client that its call is for. Returns `None` if the connection has ended.
    pub(super) fn begin(&mut self, client: Option<ClientCall>) -> Option<NewRequest> {
        if self.is_closed {
            return None;
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        let (sender, response) = oneshot::channel();
        self.in_flight.begin(RequestId::Number(id));
        self.waiting.insert(RequestId::Number(id), sender);
        let level = client.as_ref().and_then(|call| self.log_level.request_for(call));
        self.calls.extend(client.map(|call| (RequestId::Number(id), call)));
        Some(NewRequest { id, level, response })
    }

    /// Adds a request that rmcp sends.
    pub(super) fn begin_foreign(&mut self, id: RequestId) {
        self.in_flight.begin(id);
    }

    /// Removes a request that has its response, and returns the requests that are thereby known to be lost.
    pub(super) fn end(&mut self, id: &RequestId) -> Vec<Lost> {
        self.calls.retain(|(call, _)| call != id);
        self.in_flight.answer(id)
    }

    /// Passes the outcome of a request to its caller. Returns it if the request is one of rmcp.
    pub(super) fn resolve(&mut self, id: &RequestId, outcome: Outcome) -> Option<Outcome> {
        match self.waiting.remove(id) {
            // A caller that no longer waits needs no response.
            Some(caller) => drop(caller.send(outcome)),
            None => return Some(outcome),
        }
        None
    }

    /// Removes a cancelled request. Requests of the server fail if no other call can need their responses.
    pub(super) fn cancel(&mut self, id: &RequestId) {
        self.forget(id);
        if self.calls.is_empty() {
            std::mem::take(&mut self.abandoned).cancel();
        }
    }

    /// Removes a request, if it is still there. Its response is ignored.
    pub(super) fn forget(&mut self, id: &RequestId) {
        self.in_flight.cancel(id);
        self.waiting.remove(id);
        self.calls.retain(|(call, _)| call != id);
    }

    /// Fails all requests, and accepts no more.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.waiting.clear();
    }

    /// Whether a request with this id is in flight.
    pub(super) fn contains(&self, id: &RequestId) -> bool {
        self.in_flight.contains(id)
    }

    /// Adds a response without an id, and returns the requests that are thereby known to be lost.
    pub(super) fn answer_unnamed(&mut self, reason: String) -> Vec<Lost> {
        self.in_flight.answer_unnamed(reason)
    }

    /// Records that the server supports the choice of a log level.
    pub(super) fn support_log_level(&mut self) {
        self.log_level.is_supported = true;
    }

    /// Returns the client of the newest call in progress.
    pub(super) fn newest_client(&self) -> Option<Arc<dyn ClientLink>> {
        self.calls.last().map(|(_, call)| Arc::clone(&call.link))
    }

    /// Returns the client that progress with this token is for, and its own token, if it wants progress.
    pub(super) fn find_progress(
        &self,
        token: &ProgressToken,
    ) -> Option<(Arc<dyn ClientLink>, ProgressToken)> {
        // The token of a request on this hop is its id.
        let (_, call) = self.calls.iter().find(|(id, _)| *id == token.0)?;
        Some((Arc::clone(&call.link), call.progress_token()?))
    }

    /// Returns the token that fires when no call in progress can need the response of a client.
    pub(super) fn abandoned(&self) -> CancellationToken {
        if self.calls.is_empty() { CancellationToken::new() } else { self.abandoned.clone() }
    }
}

/// Removes a request from the table when its caller no longer waits, however that comes about.
pub(super) struct ForgetGuard {
    requests: SharedRequests,
    id: RequestId,
}

impl ForgetGuard {
    pub(super) fn new(requests: &SharedRequests, id: i64) -> Self {
        Self { requests: Arc::clone(requests), id: RequestId::Number(id) }
    }
}

impl Drop for ForgetGuard {
    fn drop(&mut self) {
        self.requests.lock().forget(&self.id);
    }
}

/// Returns the outcome of a response, or `None` if the message is none. An object without any member of a response is
/// not a message: servers may log such objects, even with ids.
pub(super) fn take_outcome(message: &mut Value) -> Option<Outcome> {
    let fields = message.as_object_mut()?;
    if let Some(result) = fields.get_mut("result") {
        return Some(Ok(result.take()));
    }
    if fields.contains_key("method") {
        return None;
    }
    let is_response = fields.contains_key("error") || fields.contains_key("jsonrpc");
    let error = fields.get_mut("error").map(Value::take);
    match error.map(serde_json::from_value::<ErrorData>) {
        Some(Ok(ErrorData { code, message, data, .. })) => {
            let (code, message) = (code.0, message.into_owned());
            Some(Err(match code {
                REMOTE_FAILURE_CODE => RequestError::Unreachable(message),
                code => RequestError::Refused(RefusedRequest { code, message, data }),
            }))
        }
        _ if is_response => {
            let reason = "the server's response is neither a result nor an error";
            Some(Err(RequestError::Unreadable(reason.to_owned())))
        }
        _ => None,
    }
}

/// The log level of a server with a legacy protocol.
#[derive(Default)]
struct ServerLogLevel {
    /// Whether the server declared in its handshake that a level can be chosen.
    is_supported: bool,
    /// The least severe level that it was sent.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_whose_caller_is_dropped_is_forgotten() {
        let requests = SharedRequests::default();
        let begun = requests.lock().begin(None).unwrap();
        let id = RequestId::Number(begun.id);
        let guard = ForgetGuard::new(&requests, begun.id);
        assert!(requests.lock().contains(&id));
        drop(guard);
        let table = requests.lock();
        assert!(!table.contains(&id) && table.waiting.is_empty());
    }
}
