//! `ToolCache`: what is known of a server's tools, and the rounds in which they are listed.
//!
//! A round is run by the server's own task, so it goes on when nobody waits for it any longer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use valetkey_core::{Error, ErrorKind};

use super::ToolList;

/// Shared by the task, which lists, and the callers, who wait.
pub(super) struct ToolCache {
    state: watch::Sender<ListState>,
    /// The tools that the last catalog had, once there was one.
    delivered: Mutex<Option<Arc<Vec<Value>>>>,
    /// Counts changes that no catalog has.
    change_counter: watch::Sender<u64>,
}

#[derive(Default)]
struct ListState {
    is_requested: bool,
    /// Of the round in progress.
    started_at: Option<Instant>,
    finished_rounds: u64,
    /// Callers that will deliver the result of the round.
    delivering_waiters: usize,
    /// As they were listed last, also when the server fails later.
    tools: Option<Arc<Vec<Value>>>,
    /// What was wrong with the last round.
    error: Option<Error>,
}

impl ToolCache {
    pub(super) fn new(change_counter: watch::Sender<u64>) -> Self {
        Self { state: watch::Sender::default(), delivered: Mutex::default(), change_counter }
    }

    /// Requests a round, after the one in progress.
    pub(super) fn request_round(&self) {
        self.state.send_modify(|state| state.is_requested = true);
    }

    /// Waits until a round is wanted, and begins it. Cancel safe.
    pub(super) async fn begin_round(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`. What is returned is a lock.
        drop(state.wait_for(|state| state.is_requested).await);
        self.state.send_modify(|state| {
            state.is_requested = false;
            state.started_at = Some(Instant::now());
        });
    }

    /// Ends the round. Tools that were known before stay known when the server fails or its list is incomplete.
    pub(super) fn finish_round(&self, listed: Result<ToolList, Error>) {
        let mut is_news = false;
        self.state.send_modify(|state| {
            let fault = match listed {
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
            (state.error, state.started_at) = (fault, None);
            state.finished_rounds += 1;
            is_news = state.delivering_waiters == 0 && self.differs_from_delivered(state.tools.as_ref());
        });
        if is_news {
            self.change_counter.send_modify(|count| *count += 1);
        }
    }

    /// Whether the last round failed.
    pub(super) fn has_failed(&self) -> bool {
        self.state.borrow().error.is_some()
    }

    /// Waits for the end of a round that goes on or begins now. Cancel safe.
    pub(super) async fn wait_listed(&self) {
        let round = self.join_round(false);
        round.wait_finished().await;
    }

    /// The same, but `budget` after the round has begun at the latest; so a server that takes long is waited for once.
    /// The caller delivers what it [gets](Self::deliver_current) then.
    pub(super) async fn wait_listed_within(&self, budget: Duration) {
        let round = self.join_round(true);
        let begun = self.state.borrow().started_at.unwrap_or_else(Instant::now);
        // Late or not, what is known is known.
        let _elapsed = timeout_at(begun + budget, round.wait_finished()).await;
    }

    /// What is known now, and what is wrong with it, for a catalog.
    pub(super) fn deliver_current(&self) -> Result<ToolList, Error> {
        let state = self.state.borrow();
        *self.lock_delivered() = Some(state.tools.clone().unwrap_or_default());
        state.current()
    }

    pub(super) fn current(&self) -> Result<ToolList, Error> {
        self.state.borrow().current()
    }

    fn differs_from_delivered(&self, tools: Option<&Arc<Vec<Value>>>) -> bool {
        let empty = Arc::default();
        self.lock_delivered().as_ref().is_some_and(|delivered| delivered != tools.unwrap_or(&empty))
    }

    /// Locked after the state, when both are.
    fn lock_delivered(&self) -> MutexGuard<'_, Option<Arc<Vec<Value>>>> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
    fn current(&self) -> Result<ToolList, Error> {
        let fault = match self.started_at {
            Some(_) => Some(pending_error()),
            None => self.error.clone(),
        };
        match (&self.tools, fault) {
            (None, Some(error)) => Err(error),
            (None, None) => Err(pending_error()),
            (Some(tools), incomplete) => Ok(ToolList { tools: tools.to_vec(), incomplete }),
        }
    }
}

/// A caller's share in a round.
struct RoundWaiter<'a> {
    tools: &'a ToolCache,
    before: u64,
    delivers: bool,
}

impl RoundWaiter<'_> {
    async fn wait_finished(&self) {
        let mut state = self.tools.state.subscribe();
        // The sender lives as long as `self`. What is returned is a lock.
        drop(state.wait_for(|state| state.finished_rounds > self.before).await);
    }
}

impl Drop for RoundWaiter<'_> {
    fn drop(&mut self) {
        self.tools.state.send_modify(|state| state.delivering_waiters -= usize::from(self.delivers));
    }
}

/// What was listed, and what was known and may be in the part that was not.
fn merge_tools(mut tools: Vec<Value>, known: Option<&Vec<Value>>) -> Vec<Value> {
    let listed = tools.len();
    for tool in known.into_iter().flatten() {
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
