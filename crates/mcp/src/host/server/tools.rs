//! `Tools`: what is known of a server's tools, and the rounds in which they are listed.
//!
//! A round is run by the server's own task, so it goes on when nobody waits for it any longer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use valetkey_core::{Error, ErrorKind};

use super::Listed;

/// Shared by the task, which lists, and the callers, who wait.
pub(super) struct Tools {
    state: watch::Sender<State>,
    /// The tools that the last catalog had, once there was one.
    delivered: Mutex<Option<Arc<Vec<Value>>>>,
    /// Counts changes that no catalog has.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    is_wanted: bool,
    /// Of the round in progress.
    begun: Option<Instant>,
    finished: u64,
    /// Callers that will deliver the result of the round.
    waiting: usize,
    /// As they were listed last, also when the server fails later.
    tools: Option<Arc<Vec<Value>>>,
    /// What was wrong with the last round.
    fault: Option<Error>,
}

impl Tools {
    pub(super) fn new(changes: watch::Sender<u64>) -> Self {
        Self { state: watch::Sender::default(), delivered: Mutex::default(), changes }
    }

    /// Requests a round, after the one in progress.
    pub(super) fn want(&self) {
        self.state.send_modify(|state| state.is_wanted = true);
    }

    /// Waits until a round is wanted, and begins it. Cancel safe.
    pub(super) async fn begin(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`. What is returned is a lock.
        drop(state.wait_for(|state| state.is_wanted).await);
        self.state.send_modify(|state| {
            state.is_wanted = false;
            state.begun = Some(Instant::now());
        });
    }

    /// Ends the round. Tools that were known before stay known when the server fails or its list is incomplete.
    pub(super) fn finish(&self, listed: Result<Listed, Error>) {
        let mut is_news = false;
        self.state.send_modify(|state| {
            let fault = match listed {
                Ok(Listed { tools, incomplete: None }) => {
                    state.tools = Some(Arc::new(tools));
                    None
                }
                Ok(Listed { tools, incomplete }) => {
                    state.tools = Some(Arc::new(merge(tools, state.tools.as_deref())));
                    incomplete
                }
                Err(error) => Some(error),
            };
            (state.fault, state.begun) = (fault, None);
            state.finished += 1;
            is_news = state.waiting == 0 && self.differs(state.tools.as_ref());
        });
        if is_news {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Whether the last round failed.
    pub(super) fn has_failed(&self) -> bool {
        self.state.borrow().fault.is_some()
    }

    /// Waits for the end of a round that goes on or begins now. Cancel safe.
    pub(super) async fn listed(&self) {
        let round = self.join(false);
        round.ended().await;
    }

    /// The same, but `budget` after the round has begun at the latest; so a server that takes long is waited for once.
    /// The caller delivers what it [gets](Self::deliver) then.
    pub(super) async fn listed_within(&self, budget: Duration) {
        let round = self.join(true);
        let begun = self.state.borrow().begun.unwrap_or_else(Instant::now);
        // Late or not, what is known is known.
        let _elapsed = timeout_at(begun + budget, round.ended()).await;
    }

    /// What is known now, and what is wrong with it, for a catalog.
    pub(super) fn deliver(&self) -> Result<Listed, Error> {
        let state = self.state.borrow();
        *self.delivered() = Some(state.tools.clone().unwrap_or_default());
        state.known()
    }

    pub(super) fn known(&self) -> Result<Listed, Error> {
        self.state.borrow().known()
    }

    fn differs(&self, tools: Option<&Arc<Vec<Value>>>) -> bool {
        let empty = Arc::default();
        self.delivered().as_ref().is_some_and(|delivered| delivered != tools.unwrap_or(&empty))
    }

    /// Locked after the state, when both are.
    fn delivered(&self) -> MutexGuard<'_, Option<Arc<Vec<Value>>>> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, delivers: bool) -> Round<'_> {
        let mut before = 0;
        self.state.send_modify(|state| {
            before = state.finished;
            state.is_wanted |= state.begun.is_none();
            state.waiting += usize::from(delivers);
        });
        Round { tools: self, before, delivers }
    }
}

impl State {
    fn known(&self) -> Result<Listed, Error> {
        let fault = match self.begun {
            Some(_) => Some(pending()),
            None => self.fault.clone(),
        };
        match (&self.tools, fault) {
            (None, Some(error)) => Err(error),
            (None, None) => Err(pending()),
            (Some(tools), incomplete) => Ok(Listed { tools: tools.to_vec(), incomplete }),
        }
    }
}

/// A caller's share in a round.
struct Round<'a> {
    tools: &'a Tools,
    before: u64,
    delivers: bool,
}

impl Round<'_> {
    async fn ended(&self) {
        let mut state = self.tools.state.subscribe();
        // The sender lives as long as `self`. What is returned is a lock.
        drop(state.wait_for(|state| state.finished > self.before).await);
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        self.tools.state.send_modify(|state| state.waiting -= usize::from(self.delivers));
    }
}

/// What was listed, and what was known and may be in the part that was not.
fn merge(mut tools: Vec<Value>, known: Option<&Vec<Value>>) -> Vec<Value> {
    let listed = tools.len();
    for tool in known.into_iter().flatten() {
        if !tools[..listed].iter().any(|listed| listed["name"] == tool["name"]) {
            tools.push(tool.clone());
        }
    }
    tools
}

fn pending() -> Error {
    Error::new(ErrorKind::Unavailable, "the server has not listed its tools yet")
        .with_next_step("list the tools again later; a client that follows changes is notified")
}
