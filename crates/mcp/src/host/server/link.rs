//! `RunningServer`: a running server as its callers see it, and the calls in progress on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

use crate::Redactor;
use crate::child::StderrTail;
use crate::connection::Connection;
use crate::endpoint::Grant;

/// The number of standard error lines quoted when a server fails.
const STDERR_LINES: usize = 5;

/// The part of a running server that calls share.
pub(super) struct RunningServer {
    pub(super) connection: Connection,
    pub(super) grant: Option<Grant>,
    pub(super) stderr: StderrTail,
    pub(super) redactor: Arc<Redactor>,
    pub(super) cached_tools: Mutex<Option<Vec<Value>>>,
    pub(super) active_calls: watch::Sender<usize>,
    /// Whether a tool call has succeeded. If so, the restart backoff starts over when the server ends.
    pub(super) has_served: AtomicBool,
    /// Whether a request failed because the server was gone.
    pub(super) is_disconnected: AtomicBool,
}

impl RunningServer {
    /// Registers a call. The first of concurrent calls ends the endpoint's burst, so that a rotation takes effect
    /// immediately.
    pub(super) fn begin_call(self: &Arc<Self>) -> CallGuard {
        let mut first = false;
        self.active_calls.send_modify(|count| {
            first = *count == 0;
            *count += 1;
        });
        if let (true, Some(grant)) = (first, &self.grant) {
            grant.end_burst();
        }
        CallGuard(Arc::clone(self))
    }

    /// Whether the connection still accepts requests.
    pub(super) fn is_open(&self) -> bool {
        !self.is_disconnected.load(Ordering::Acquire) && !self.connection.is_closed()
    }

    /// Waits until no call is in progress. Cancel safe.
    pub(super) async fn wait_idle(&self) {
        let mut under_way = self.active_calls.subscribe();
        // `wait_for` fails only without a sender, which lives as long as `self`.
        let _idle = under_way.wait_for(|count| *count == 0).await;
    }
}

/// A call in progress. A server that is replaced is not stopped before its calls end, up to a time limit.
pub(super) struct CallGuard(Arc<RunningServer>);

impl CallGuard {
    pub(super) fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// Returns the tools last listed, unless the server has announced a change since.
    pub(super) fn cached_tools(&self) -> Option<Vec<Value>> {
        let listed = self.0.cached_tools.lock();
        listed.clone().filter(|_| !self.0.connection.tools_changed())
    }

    pub(super) fn cache_tools(&self, tools: &[Value]) {
        *self.0.cached_tools.lock() = Some(tools.to_vec());
    }

    /// Records that a tool call succeeded.
    pub(super) fn mark_served(&self) {
        self.0.has_served.store(true, Ordering::Release);
    }

    /// Records that the server is gone, so that later calls do not use it, and returns the end of its standard error,
    /// masked.
    pub(super) async fn stderr_tail(&self) -> String {
        self.0.is_disconnected.store(true, Ordering::Release);
        self.0.stderr.wait_drained().await;
        quote_stderr(&self.0.stderr, &self.0.redactor)
    }
}

/// Formats the end of standard error, masked, as a clause of an error message.
pub(in crate::host) fn quote_stderr(stderr: &StderrTail, redactor: &Redactor) -> String {
    let said = stderr.last_lines(redactor, STDERR_LINES).replace('\n', " | ");
    if said.is_empty() { said } else { format!("; it said: {said}") }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.active_calls.send_modify(|count| *count -= 1);
    }
}
