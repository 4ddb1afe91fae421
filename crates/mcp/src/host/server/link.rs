//! A running server as its callers see it, and the calls that are under way on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use crate::Redactor;
use crate::child::StderrTail;
use crate::connection::Connection;
use crate::endpoint::Grant;

/// Lines of standard error that are shown when a server fails.
const STDERR_LINES: usize = 5;

/// A running server.
pub(super) struct RunningServer {
    pub(super) connection: Connection,
    pub(super) grant: Option<Grant>,
    pub(super) stderr: StderrTail,
    pub(super) redactor: Arc<Redactor>,
    pub(super) cached_tools: Mutex<Option<Vec<Value>>>,
    pub(super) active_calls: watch::Sender<usize>,
    /// A tool call was answered: the server does what it is for.
    pub(super) has_served: AtomicBool,
    /// A request found nobody there.
    pub(super) is_disconnected: AtomicBool,
}

impl RunningServer {
    /// Counts a call in. The first one begins a new burst at the endpoint: a rotation is felt at once.
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

    /// Whether another request can still be sent.
    pub(super) fn is_open(&self) -> bool {
        !self.is_disconnected.load(Ordering::Acquire) && !self.connection.is_closed()
    }

    /// Waits until no call is under way. Cancel safe.
    pub(super) async fn wait_idle(&self) {
        let mut under_way = self.active_calls.subscribe();
        // The sender lives as long as `self`, so this ends by becoming idle.
        let _idle = under_way.wait_for(|count| *count == 0).await;
    }
}

/// A call under way. While it lives, the server is not replaced under it.
pub(super) struct CallGuard(Arc<RunningServer>);

impl CallGuard {
    pub(super) fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// The tools as they were listed last, unless the server said since that they changed.
    pub(super) fn cached_tools(&self) -> Option<Vec<Value>> {
        let listed = self.0.cached_tools.lock().unwrap_or_else(PoisonError::into_inner);
        listed.clone().filter(|_| !self.0.connection.tools_changed())
    }

    pub(super) fn cache_tools(&self, tools: &[Value]) {
        *self.0.cached_tools.lock().unwrap_or_else(PoisonError::into_inner) = Some(tools.to_vec());
    }

    /// Notes that the server answers.
    pub(super) fn mark_served(&self) {
        self.0.has_served.store(true, Ordering::Release);
    }

    /// Notes that the server is gone, so that the next call does not go to it, and says what it said last, masked.
    pub(super) async fn stderr_tail(&self) -> String {
        self.0.is_disconnected.store(true, Ordering::Release);
        self.0.stderr.wait_drained().await;
        quote_stderr(&self.0.stderr, &self.0.redactor)
    }
}

/// The end of standard error, masked, as a clause of an error message.
pub(in crate::host) fn quote_stderr(stderr: &StderrTail, redactor: &Redactor) -> String {
    let said = stderr.last_lines(redactor, STDERR_LINES).replace('\n', " | ");
    if said.is_empty() { said } else { format!("; it said: {said}") }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.active_calls.send_modify(|count| *count -= 1);
    }
}
