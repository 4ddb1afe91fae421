//! `ToolCache`: the known tools of a server; `ToolLister`: lists them, one round at a time.
//!
//! The server's own task runs the rounds, so a round continues when its callers have stopped waiting.
//!
//! Callers of a list wait for a *round*. A round has one request to the server, however many callers wait for it, and
//! its result is kept until the next round. A round that fails keeps the tools of the one before, and adds its error.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use valetkey_core::{Error, ErrorKind, Result};

use super::{CallRequest, ServerShared, ToolList};
use crate::connection::RequestError;

/// State shared by the task, which lists the tools, and the callers, which wait for the list.
pub(super) struct ToolCache {
    state: watch::Sender<ListState>,
    /// The tools in the last catalog; `None` before the first catalog.
    delivered: Mutex<Option<Arc<Vec<Value>>>>,
    /// Counts changes that are not yet in a catalog.
    change_counter: watch::Sender<u64>,
}

/// Invariant: a round is in progress while `started_at` is present. Rounds never overlap, so a waiter needs only the
/// number of finished rounds to recognize the end of the next one.
#[derive(Default)]
struct ListState {
    is_requested: bool,
    /// When the round in progress started.
    started_at: Option<Instant>,
    finished_rounds: u64,
    /// The number of waiting callers that will deliver the result of the round in a catalog.
    delivering_waiters: usize,
    /// The tools listed last. They are kept when a later round fails.
    tools: Option<Arc<Vec<Value>>>,
    /// The error of the last round.
    error: Option<Error>,
}

impl ToolCache {
    pub(super) fn new(change_counter: watch::Sender<u64>) -> Self {
        Self { state: watch::Sender::default(), delivered: Mutex::default(), change_counter }
    }

    /// Requests a round. It starts after the round in progress.
    pub(super) fn request_round(&self) {
        self.state.send_modify(|state| state.is_requested = true);
    }

    /// Waits until a round is requested, and starts it. Cancel safe.
    pub(super) async fn begin_round(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`. The returned guard is a lock, so it is dropped at once.
        drop(state.wait_for(|state| state.is_requested).await);
        self.state.send_modify(|state| {
            state.is_requested = false;
            state.started_at = Some(Instant::now());
        });
    }

    /// Finishes the round. Known tools are kept when the server failed or its list is incomplete.
    pub(super) fn finish_round(&self, listed: Result<ToolList>) {
        let mut has_changed = false;
        self.state.send_modify(|state| {
            let error = match listed {
                Ok(ToolList { tools, incomplete: None }) => {
                    state.tools = Some(Arc::new(tools));
                    None
                }
                Ok(ToolList { tools, incomplete }) => {
                    state.tools = Some(Arc::new(merge_tools(tools, state.tools.as_deref())));
                    incomplete
                }
                Err(error) => Some(error),
            };
            (state.error, state.started_at) = (error, None);
            state.finished_rounds += 1;
            has_changed = state.delivering_waiters == 0 && self.differs_from_delivered(state.tools.as_ref());
        });
        if has_changed {
            self.change_counter.send_modify(|count| *count += 1);
        }
    }

    /// Whether the last round failed or was incomplete.
    pub(super) fn has_failed(&self) -> bool {
        self.state.borrow().error.is_some()
    }

    /// Waits for the end of the round in progress, or of a new round. Cancel safe.
    pub(super) async fn wait_listed(&self) {
        let round = self.join_round(false);
        round.wait_finished().await;
    }

    /// Like [`wait_listed`](Self::wait_listed), but returns at the latest `budget` after the start of the round, so
    /// that a slow server delays only one catalog.
    ///
    /// The caller then delivers the result of [`deliver_current`](Self::deliver_current).
    pub(super) async fn wait_listed_within(&self, budget: Duration) {
        let round = self.join_round(true);
        let started_at = self.state.borrow().started_at.unwrap_or_else(Instant::now);
        // After the timeout, the tools known so far are used.
        let _elapsed = timeout_at(started_at + budget, round.wait_finished()).await;
    }

    /// Returns the known tools and the current error for a catalog, and records them as delivered.
    pub(super) fn deliver_current(&self) -> Result<ToolList> {
        let state = self.state.borrow();
        *self.lock_delivered() = Some(state.tools.clone().unwrap_or_default());
        state.current()
    }

    pub(super) fn current(&self) -> Result<ToolList> {
        self.state.borrow().current()
    }

    /// Whether the last catalog has other tools. Before the first catalog no client knows any tools, so nothing
    /// differs.
    fn differs_from_delivered(&self, tools: Option<&Arc<Vec<Value>>>) -> bool {
        let empty = Arc::default();
        self.lock_delivered().as_ref().is_some_and(|delivered| delivered != tools.unwrap_or(&empty))
    }

    /// Lock order: `state` before `delivered`.
    fn lock_delivered(&self) -> MutexGuard<'_, Option<Arc<Vec<Value>>>> {
        self.delivered.lock()
    }

    /// Joins the round in progress, or requests one. The waiter counts as delivering until it is dropped, so that a
    /// result that it puts into a catalog is not announced as a change as well.
    fn join_round(&self, delivers: bool) -> RoundWaiter<'_> {
        let mut before = 0;
        self.state.send_modify(|state| {
            before = state.finished_rounds;
            state.is_requested |= state.started_at.is_none();
            state.delivering_waiters += usize::from(delivers);
        });
        RoundWaiter { tools: self, before, delivers }
    }
}

impl ListState {
    fn current(&self) -> Result<ToolList> {
        let error = match self.started_at {
            Some(_) => Some(pending_error()),
            None => self.error.clone(),
        };
        match (&self.tools, error) {
            (None, Some(error)) => Err(error),
            (None, None) => Err(pending_error()),
            (Some(tools), incomplete) => Ok(ToolList { tools: tools.to_vec(), incomplete }),
        }
    }
}

/// A caller that waits for a round.
struct RoundWaiter<'a> {
    tools: &'a ToolCache,
    before: u64,
    delivers: bool,
}

impl RoundWaiter<'_> {
    async fn wait_finished(&self) {
        let mut state = self.tools.state.subscribe();
        // The sender lives as long as `self`. The returned guard is a lock, so it is dropped at once.
        drop(state.wait_for(|state| state.finished_rounds > self.before).await);
    }
}

impl Drop for RoundWaiter<'_> {
    fn drop(&mut self) {
        self.tools.state.send_modify(|state| state.delivering_waiters -= usize::from(self.delivers));
    }
}

/// Merges an incomplete list with the known tools, which may be in the part that was not read.
fn merge_tools(mut tools: Vec<Value>, cached: Option<&Vec<Value>>) -> Vec<Value> {
    let listed = tools.len();
    for tool in cached.into_iter().flatten() {
        if !tools[..listed].iter().any(|listed| listed["name"] == tool["name"]) {
            tools.push(tool.clone());
        }
    }
    tools
}

fn pending_error() -> Error {
    Error::new(ErrorKind::Unavailable, "the server has not listed its tools yet")
        .with_next_step("list the tools again later; a client that follows changes is notified")
}

/// Lists the tools of a server, round by round. Runs beside the supervisor, in the same task.
pub(super) struct ToolLister {
    pub(super) shared: Arc<ServerShared>,
    /// Weak, because the supervisor ends when all other senders are dropped.
    pub(super) call_requests: mpsc::WeakSender<CallRequest>,
    pub(super) timeout: Duration,
}

impl ToolLister {
    /// Runs rounds until dropped.
    pub(super) async fn run(self) {
        loop {
            self.shared.tool_cache.begin_round().await;
            let listed = self.list_tools().await;
            self.shared.tool_cache.finish_round(listed);
        }
    }

    /// Fetches the tool definitions from the server, filtered and with secrets masked.
    async fn list_tools(&self) -> Result<ToolList> {
        let requests = self.call_requests.upgrade().ok_or_else(|| self.shared.stopped_error())?;
        let call = self.shared.begin_call(&requests).await?;
        drop(requests);
        if let Some(tools) = call.cached_tools() {
            return Ok(ToolList { tools, incomplete: None });
        }
        let cancel = CancellationToken::new();
        let mut listing = pin!(call.connection().list_tools(&cancel));
        let (mut tools, incomplete) = match timeout(self.timeout, &mut listing).await {
            Ok(listed) => listed,
            Err(_elapsed) => {
                cancel.cancel();
                let (tools, incomplete) = listing.await;
                (tools, incomplete.map(|_cancelled| RequestError::TimedOut(self.timeout)))
            }
        };
        let incomplete = match incomplete {
            Some(error) => Some(self.shared.to_error(error, &call).await),
            None => None,
        };
        let filter = &self.shared.config.tools;
        tools.retain(|tool| tool["name"].as_str().is_none_or(|name| filter.allows(name)));
        tools.iter_mut().for_each(|tool| self.shared.spawn_config.redactor.mask_json(tool));
        match incomplete {
            Some(error) if tools.is_empty() => return Err(error),
            Some(_) => {}
            None => call.cache_tools(&tools),
        }
        Ok(ToolList { tools, incomplete })
    }
}
