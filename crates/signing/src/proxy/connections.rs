//! The limits on open connections.
//!
//! A program that opens connections without sending a request must not lock out the others: at the limit, the oldest
//! connection without a request in progress is closed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::server::{ProxyServer, serve_connection};

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
    pub(super) fn accept(&mut self, stream: TcpStream, server: &Weak<ProxyServer>) {
        self.0.retain(|connection| !connection.task.is_finished());
        if self.0.len() >= MAX_CONNECTIONS {
            let idle = self.0.iter().position(|connection| connection.requests.load(Ordering::Acquire) == 0);
            if idle.and_then(|idle| self.0.remove(idle)).is_none() {
                return;
            }
        }
        let requests = Arc::new(AtomicUsize::new(0));
        let serving = serve_connection(stream, Weak::clone(server), Arc::clone(&requests));
        self.0.push_back(OpenConnection { task: tokio::spawn(serving).abort_handle(), requests });
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
