//! `ServerMessages`: passes the notifications and requests of a server to the client whose call is in progress.
//!
//! Servers on standard output do not say which call a message belongs to, except for progress. Other messages go to the
//! client of the newest call, and to the client that called last while no call is in progress. All clients of a
//! connection belong to the same credential session.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use rmcp::model::ProgressToken;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::requests::SharedRequests;
use super::transport::ServerWriter;
use crate::Redactor;
use crate::client::{ClientLink, ClientSlot, LogLevel, Refusal, notification};

/// The maximum number of requests of one server that wait for a client.
const MAX_REQUESTS: usize = 32;

/// The notifications that rmcp handles. All others are passed on.
const OWN_NOTIFICATIONS: [&str; 4] = [
    "notifications/tools/",
    "notifications/prompts/",
    "notifications/resources/",
    "notifications/subscriptions/",
];

type Forwarding = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Routes the messages of one server. Everything that is passed on is masked.
pub(super) struct ServerMessages {
    clients: Arc<ClientSlot>,
    redactor: Arc<Redactor>,
    input: ServerWriter,
    /// The calls in progress.
    calls: SharedRequests,
    /// A notification that is being masked. Later messages of the server wait for it, which keeps their order.
    forwarding: Option<Forwarding>,
    /// Cancels the requests of the server that wait for a client, by their ids as JSON.
    requests: HashMap<String, CancellationToken>,
    /// Handles these requests, and sends refusals. A task returns the id of its request. The number of tasks is
    /// limited, and not that of ids, because a server may use an id twice.
    handlers: JoinSet<String>,
}

impl ServerMessages {
    pub(super) fn new(
        clients: Arc<ClientSlot>,
        redactor: Arc<Redactor>,
        input: ServerWriter,
        calls: SharedRequests,
    ) -> Self {
        let (requests, handlers) = (HashMap::new(), JoinSet::new());
        Self { clients, redactor, input, calls, forwarding: None, requests, handlers }
    }

    /// Takes a notification or a request. Returns it if rmcp handles it.
    pub(super) fn take(&mut self, message: Value) -> Option<Value> {
        let method = message.get("method").and_then(Value::as_str)?;
        let is_request = message.get("id").is_some();
        if is_request && method != "ping" {
            self.take_request(message);
            return None;
        }
        if is_request || OWN_NOTIFICATIONS.iter().any(|own| method.starts_with(own)) {
            return Some(message);
        }
        self.take_notification(message);
        None
    }

    /// Waits until the notification taken last was passed on. Cancel safe.
    pub(super) async fn forwarded(&mut self) {
        if let Some(forwarding) = &mut self.forwarding {
            forwarding.await;
            self.forwarding = None;
        }
    }

    fn newest_client(&self) -> Option<Arc<dyn ClientLink>> {
        let newest = self.calls.lock().newest_client();
        newest.or_else(|| self.clients.latest())
    }

    fn take_notification(&mut self, mut message: Value) {
        let (link, progress_token) = match message["method"].as_str() {
            Some("notifications/progress") => match self.find_progress(&message["params"]) {
                Some((link, progress_token)) => (Some(link), Some(progress_token)),
                None => return,
            },
            Some("notifications/message") => {
                let level = message["params"]["level"].as_str().and_then(LogLevel::parse);
                (self.newest_client().filter(|link| link.wants_log(level)), None)
            }
            Some("notifications/cancelled") => return self.cancel_request(&message["params"]["requestId"]),
            _ => (self.newest_client(), None),
        };
        let (Some(link), Some(fields)) = (link, message.as_object_mut()) else { return };
        fields.retain(|name, _| name == "method" || name == "params");
        let redactor = Arc::clone(&self.redactor);
        self.forwarding = Some(Box::pin(async move {
            let Some(mut masked) = redactor.mask_json_async(message).await else { return };
            if let Some(token) = progress_token {
                masked["params"]["progressToken"] = json!(token);
            }
            let params = masked.as_object_mut().and_then(|masked| masked.remove("params"));
            // A client that does not read loses notifications.
            let _sent = link.try_send(notification(masked["method"].as_str().unwrap_or_default(), params));
        }));
    }

    /// Returns the client that a progress notification is for, and its token, if it wants progress.
    fn find_progress(&self, params: &Value) -> Option<(Arc<dyn ClientLink>, ProgressToken)> {
        let token: ProgressToken = serde_json::from_value(params.get("progressToken")?.clone()).ok()?;
        self.calls.lock().find_progress(&token)
    }

    /// Passes a request to a client in a task, which then sends the response to the server.
    fn take_request(&mut self, mut message: Value) {
        self.remove_finished();
        let id = message["id"].take();
        let link = match self.newest_client() {
            _ if self.handlers.len() >= MAX_REQUESTS => Err(Refusal::TOO_MANY),
            None => Err(Refusal::NO_CLIENT),
            Some(link) => Ok(link),
        };
        let link = match link {
            Ok(link) => link,
            Err(refusal) => return self.refuse(id, &refusal),
        };
        let cancelled = CancellationToken::new();
        let abandoned = self.calls.lock().abandoned();
        self.requests.insert(id.to_string(), cancelled.clone());
        let (redactor, input) = (Arc::clone(&self.redactor), self.input.clone());
        self.handlers.spawn(async move {
            let response = tokio::select! {
                response = request_client(&redactor, &*link, message) => response,
                () = abandoned.cancelled() => Err(Refusal::UNREACHABLE),
                // The server expects no response.
                () = cancelled.cancelled() => return id.to_string(),
            };
            // A server that has exited needs no response.
            let _sent = input.send(&response_to(id.clone(), response)).await;
            id.to_string()
        });
    }

    fn remove_finished(&mut self) {
        while let Some(Ok(finished)) = self.handlers.try_join_next() {
            self.requests.remove(&finished);
        }
    }

    fn cancel_request(&self, id: &Value) {
        if let Some(cancelled) = self.requests.get(&id.to_string()) {
            cancelled.cancel();
        }
    }

    /// Responds with an error. A server that does not read its input gets none, because its requests must not fill
    /// memory.
    pub(super) fn refuse(&mut self, id: Value, refusal: &Refusal) {
        self.remove_finished();
        if !self.input.is_full() {
            let sending = self.input.send(&response_to(id, Err(refusal.clone())));
            self.handlers.spawn(async move {
                let _sent = sending.await;
                String::new()
            });
        }
    }
}

/// Sends a masked request to the client, and returns its response.
async fn request_client(
    redactor: &Redactor,
    link: &dyn ClientLink,
    message: Value,
) -> Result<Value, Refusal> {
    let mut masked = redactor.mask_json_async(message).await.ok_or(Refusal::UNREADABLE)?;
    let params = masked.as_object_mut().and_then(|masked| masked.remove("params"));
    link.request(masked["method"].as_str().unwrap_or_default(), params).await
}

/// Returns a response with the server's own id.
fn response_to(id: Value, response: Result<Value, Refusal>) -> Value {
    let mut message = match response {
        Ok(response) if response.is_object() => response,
        Ok(_) => json!({"error": Refusal::UNREADABLE.to_json()}),
        Err(refusal) => json!({"error": refusal.to_json()}),
    };
    message["jsonrpc"] = json!("2.0");
    message["id"] = id;
    message
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use async_trait::async_trait;
    use tokio::process::Command;
    use tokio::task::yield_now;

    use super::*;
    use crate::client::{Carrier, ClientProfile, PendingRequests, ServerMessage};

    /// A client that never responds.
    struct SilentLink(ClientProfile, PendingRequests);

    #[async_trait]
    impl ClientLink for SilentLink {
        fn profile(&self) -> &ClientProfile {
            &self.0
        }

        fn log_level(&self) -> Option<LogLevel> {
            None
        }

        fn set_log_level(&self, _: LogLevel) {}

        fn pending(&self) -> Option<&PendingRequests> {
            Some(&self.1)
        }

        fn try_send(&self, _: ServerMessage) -> Option<Carrier> {
            Some(Carrier::Session)
        }

        async fn closed(&self, _: Carrier) {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn server_messages_limit_requests_with_one_id() {
        // A server that does not read its input.
        let mut server = Command::new("sleep");
        let mut server = server.arg("600").stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let input = ServerWriter::new(Box::new(server.stdin.take().unwrap()));
        let profile = ClientProfile::legacy(Some(&json!({"capabilities": {"roots": {}}})));
        let link: Arc<dyn ClientLink> = Arc::new(SilentLink(profile, PendingRequests::default()));
        let clients = Arc::new(ClientSlot::default());
        assert!(clients.admit(Some(&link)));
        let mut messages = ServerMessages::new(clients, Arc::new(Redactor::default()), input, Arc::default());
        for _ in 0..3_000 {
            assert!(messages.take(json!({"id": 1, "method": "roots/list"})).is_none());
            yield_now().await;
        }
        let pending_lines = 64;
        assert!(messages.handlers.len() <= MAX_REQUESTS + pending_lines, "{}", messages.handlers.len());
    }
}
