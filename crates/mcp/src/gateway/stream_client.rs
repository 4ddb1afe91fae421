//! `StreamClient`: the one client of a gateway over a stream.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::AsyncWrite;

use crate::client::{
    Carrier, ChosenLevel, ClientLink, ClientProfile, LogLevel, PendingRequests, ServerMessage,
};
use crate::json::BoundedLineWriter;

/// The state that the requests of the client share.
pub(super) struct StreamClient<W> {
    writer: BoundedLineWriter<W>,
    pending: PendingRequests,
    /// The profile of a legacy client.
    legacy: Mutex<ClientProfile>,
    level: Arc<ChosenLevel>,
}

impl<W: AsyncWrite + Send + Unpin + 'static> StreamClient<W> {
    pub(super) fn new(writer: BoundedLineWriter<W>) -> Self {
        Self {
            writer,
            pending: PendingRequests::default(),
            legacy: Mutex::new(ClientProfile::legacy(None)),
            level: Arc::default(),
        }
    }

    /// Takes a response to a request of a server. Returns `false` for any other message.
    pub(super) fn take_response(&self, message: &Value) -> bool {
        self.pending.resolve(message)
    }

    /// Returns the link of a request with these parameters.
    pub(super) fn link(&self, method: &str, params: Option<&Value>) -> Arc<dyn ClientLink> {
        if method == "initialize" {
            *self.legacy.lock() = ClientProfile::legacy(params);
        }
        let (profile, level) = match ClientProfile::modern(params) {
            Some(profile) => (profile, Arc::new(ChosenLevel::of_request(params))),
            None => (self.legacy.lock().clone(), Arc::clone(&self.level)),
        };
        Arc::new(StreamLink { writer: self.writer.clone(), pending: self.pending.clone(), profile, level })
    }
}

/// Reaches the client of one request.
struct StreamLink<W> {
    writer: BoundedLineWriter<W>,
    pending: PendingRequests,
    profile: ClientProfile,
    level: Arc<ChosenLevel>,
}

#[async_trait]
impl<W: AsyncWrite + Send + Unpin + 'static> ClientLink for StreamLink<W> {
    fn profile(&self) -> &ClientProfile {
        &self.profile
    }

    fn log_level(&self) -> Option<LogLevel> {
        self.level.get()
    }

    fn set_log_level(&self, level: LogLevel) {
        self.level.set(level);
    }

    fn pending(&self) -> Option<&PendingRequests> {
        self.profile.is_legacy().then_some(&self.pending)
    }

    fn try_send(&self, message: ServerMessage) -> Option<Carrier> {
        if self.writer.is_full() || self.writer.is_closed() {
            return None;
        }
        // In a task, because the caller must not wait. The writer keeps the order of the calls.
        tokio::spawn(self.writer.send(&message));
        Some(Carrier::Session)
    }

    async fn closed(&self, _: Carrier) {
        self.writer.closed().await;
    }
}
