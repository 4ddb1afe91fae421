//! `PendingRequests`: the requests of servers that a client has not responded to yet.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rmcp::model::RequestId;
use serde_json::Value;
use tokio::sync::oneshot;

/// The maximum number of requests that one client is sent at a time.
const MAX_PENDING: usize = 32;

/// The ids begin so, which distinguishes them from the ids of the client's own requests in logs.
const ID_PREFIX: &str = "valetkey-";

/// Matches the responses of one client to the requests of its servers. Ids are unique for the client, whichever server
/// has sent a request. Clones share the state.
#[derive(Debug, Clone, Default)]
pub(crate) struct PendingRequests(Arc<Mutex<PendingState>>);

#[derive(Debug, Default)]
struct PendingState {
    last_id: u64,
    waiting: HashMap<String, oneshot::Sender<Value>>,
}

/// A request that waits for its response. Dropping it makes a late response be ignored.
#[derive(Debug)]
pub(crate) struct PendingResponse {
    id: String,
    receiver: oneshot::Receiver<Value>,
    requests: PendingRequests,
}

impl PendingRequests {
    /// Registers a request and returns its id. Returns `None` while the client has too many requests.
    pub(crate) fn begin(&self) -> Option<(RequestId, PendingResponse)> {
        let mut state = self.0.lock();
        if state.waiting.len() >= MAX_PENDING {
            return None;
        }
        state.last_id += 1;
        let id = format!("{ID_PREFIX}{}", state.last_id);
        let (sender, receiver) = oneshot::channel();
        state.waiting.insert(id.clone(), sender);
        Some((
            RequestId::String(id.as_str().into()),
            PendingResponse { id, receiver, requests: self.clone() },
        ))
    }

    /// Delivers a response of the client. Returns `false` if the message is no response to a pending request.
    pub(crate) fn resolve(&self, message: &Value) -> bool {
        if message.get("method").is_some() {
            return false;
        }
        let waiting = message["id"].as_str().and_then(|id| self.0.lock().waiting.remove(id));
        // Fails if the server has stopped waiting.
        waiting.is_some_and(|waiting| waiting.send(message.clone()).is_ok())
    }
}

impl PendingResponse {
    /// Waits for the response. Returns `None` when the client's requests are dropped.
    pub(crate) async fn wait(mut self) -> Option<Value> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for PendingResponse {
    fn drop(&mut self) {
        self.requests.0.lock().waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn pending_request_is_resolved_once_by_its_id() {
        let requests = PendingRequests::default();
        let (id, response) = requests.begin().unwrap();
        assert!(!requests.resolve(&json!({"id": 1, "result": {}})));
        assert!(!requests.resolve(&json!({"id": id, "method": "ping"})), "a request of the client");
        let message = json!({"id": id, "result": {"x": 1}});
        assert!(requests.resolve(&message) && !requests.resolve(&message));
        assert_eq!(response.wait().await, Some(message));
    }

    #[test]
    fn pending_requests_are_limited_in_number() {
        let requests = PendingRequests::default();
        let mut pending: Vec<_> = std::iter::from_fn(|| requests.begin()).collect();
        assert_eq!(pending.len(), MAX_PENDING);
        pending.pop();
        let (id, _response) = requests.begin().unwrap();
        assert!(pending.iter().all(|(other, _)| *other != id));
    }
}
