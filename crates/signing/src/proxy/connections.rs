//! The limits on open connections.
//!
//! A program that opens connections without sending a request must not lock out the others: at the limit, the oldest
//! connection without a request in progress is closed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::server::{ProxyServer, serve_connection};
use crate::placeholder::PlaceholderState;
use crate::refusal::Refusal;

/// Limit on open connections.
const MAX_CONNECTIONS: usize = 512;

/// The open connections, oldest first.
#[derive(Default)]
pub(super) struct ConnectionSet(VecDeque<OpenConnection>);

struct OpenConnection {
    task: AbortHandle,
    /// The number of requests in progress.
    requests: Arc<AtomicUsize>,
}

impl ConnectionSet {
    /// Serves the connection. At the limit, it replaces the oldest idle connection; if there is none, the new connection is
    /// refused.
    pub(super) fn accept(&mut self, stream: TcpStream, client: SocketAddr, server: &Weak<ProxyServer>) {
        self.0.retain(|connection| !connection.task.is_finished());
        if self.0.len() >= MAX_CONNECTIONS {
            let idle = self.0.iter().position(|connection| connection.requests.load(Ordering::Acquire) == 0);
            if idle.and_then(|idle| self.0.remove(idle)).is_none() {
                return;
            }
        }
        let requests = Arc::new(AtomicUsize::new(0));
        let client = Arc::new(ClientConnection::new(client));
        let serving = serve_connection(stream, client, Weak::clone(server), Arc::clone(&requests));
        self.0.push_back(OpenConnection { task: tokio::spawn(serving).abort_handle(), requests });
    }
}

/// The other end of a connection, and what its program may use.
pub(super) struct ClientConnection {
    address: SocketAddr,
    /// The access key id of the placeholder that it was permitted to use.
    permitted: Mutex<Option<String>>,
}

impl ClientConnection {
    fn new(address: SocketAddr) -> Self {
        Self { address, permitted: Mutex::default() }
    }

    /// Refuses a placeholder that was given to another program.
    pub(super) async fn check(
        &self,
        placeholder: &PlaceholderState,
        server: SocketAddr,
    ) -> Result<(), Refusal> {
        if self.permitted.lock().as_deref() == Some(placeholder.access_key_id.as_str()) {
            return Ok(());
        }
        if !placeholder.permits(self.address, server).await {
            let message =
                "these keys were given to another program: only it, and what it starts, can use them";
            return Err(Refusal::denied(message));
        }
        *self.permitted.lock() = Some(placeholder.access_key_id.clone());
        Ok(())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts a request until it is dropped.
pub(super) struct InProgress(Arc<AtomicUsize>);

impl InProgress {
    pub(super) fn new(requests: &Arc<AtomicUsize>) -> Self {
        requests.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(requests))
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
