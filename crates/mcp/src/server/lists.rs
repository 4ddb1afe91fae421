//! `ListCache`: one list of a server as it is known; `Lister`: reads the list, one round at a time; `ChangeCounters`:
//! counts the changes of the lists of all servers.
//!
//! The server's own task runs the rounds, so a round continues when its callers have stopped waiting.
//!
//! Callers of a list wait for a *round*. A round has one request to the server, however many callers wait for it, and
//! its result is kept until the next round. A round that fails keeps the items of the one before, and adds its error.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use valetkey_core::{Error, ErrorKind, Result};

use super::{CallRequest, ServerShared};
use crate::connection::{ListKind, PerList, RequestError};

/// The items of one list of a server.
#[derive(Debug, Clone, Default)]
pub(crate) struct ItemList {
    /// The same allocation until the list changes.
    pub(crate) items: Arc<Vec<Value>>,
    /// Why the list is incomplete, if it could not be read to its end.
    pub(crate) incomplete: Option<Error>,
}

/// State shared by the task, which reads the list, and the callers, which wait for it.
pub(super) struct ListCache {
    kind: ListKind,
    state: watch::Sender<ListState>,
    /// The items in the last catalog; `None` before the first catalog. Locked after `state`.
    delivered: Mutex<Option<Arc<Vec<Value>>>>,
    /// Counts changes that are not yet in a catalog.
    change_counter: watch::Sender<u64>,
}

/// Invariant: a round is in progress while `started_at` is present. Rounds never overlap, so a waiter needs only the
/// number of finished rounds to recognize the end of the next one.
#[derive(Default)]
struct ListState {
    is_requested: bool,
    /// Whether the server has announced a change since the last round.
    is_announced: bool,
    /// When the round in progress started.
    started_at: Option<Instant>,
    finished_rounds: u64,
    /// The items listed last. They are kept when a later round fails.
    items: Option<Arc<Vec<Value>>>,
    /// The error of the last round.
    error: Option<Error>,
}

impl ListCache {
    pub(super) fn new(kind: ListKind, change_counter: watch::Sender<u64>) -> Self {
        Self { kind, state: watch::Sender::default(), delivered: Mutex::default(), change_counter }
    }

    /// Requests a round. It starts after the round in progress.
    pub(super) fn request_round(&self) {
        self.state.send_modify(|state| state.is_requested = true);
    }

    /// Announces a change at the server: at once if the list was never read, and otherwise after it was read again.
    pub(super) fn announce_change(&self) {
        let mut was_read = false;
        self.state.send_modify(|state| {
            was_read = state.finished_rounds > 0 || state.started_at.is_some();
            state.is_requested |= was_read;
            state.is_announced |= was_read;
        });
        if !was_read {
            self.count_change();
        }
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

    /// Finishes the round. Known items are kept when the server failed or its list is incomplete.
    pub(super) fn finish_round(&self, listed: Result<ItemList>) {
        let mut has_changed = false;
        self.state.send_modify(|state| {
            let error = match listed {
                Ok(ItemList { items, incomplete: None }) => {
                    state.replace_items(items);
                    None
                }
                Ok(ItemList { items, incomplete }) => {
                    let merged = merge_items(self.kind, items, state.items.as_ref());
                    state.replace_items(merged);
                    incomplete
                }
                Err(error) => Some(error),
            };
            (state.error, state.started_at) = (error, None);
            state.finished_rounds += 1;
            let is_announced = std::mem::take(&mut state.is_announced);
            has_changed = is_announced || self.differs_from_delivered(state.items.as_ref());
        });
        if has_changed {
            self.count_change();
        }
    }

    fn count_change(&self) {
        self.change_counter.send_modify(|count| *count += 1);
    }

    /// Whether the last round failed or was incomplete.
    pub(super) fn has_failed(&self) -> bool {
        self.state.borrow().error.is_some()
    }

    /// Waits for the end of the round in progress, or of a new round. Cancel safe.
    pub(super) async fn wait_listed(&self) {
        self.join_round().wait_finished().await;
    }

    /// Like [`wait_listed`](Self::wait_listed), but returns at the latest `budget` after the start of the round, so
    /// that a slow server delays only one catalog.
    pub(super) async fn wait_listed_within(&self, budget: Duration) {
        let round = self.join_round();
        let started_at = self.state.borrow().started_at.unwrap_or_else(Instant::now);
        // After the timeout, the items known so far are used.
        let _elapsed = timeout_at(started_at + budget, round.wait_finished()).await;
    }

    /// Returns the known items and the current error for a catalog, and records them as delivered.
    pub(super) fn deliver_current(&self) -> Result<ItemList> {
        let state = self.state.borrow();
        *self.delivered.lock() = Some(state.items.clone().unwrap_or_default());
        state.current(self.kind)
    }

    pub(super) fn current(&self) -> Result<ItemList> {
        self.state.borrow().current(self.kind)
    }

    /// Whether the last catalog has other items. Before the first catalog no client knows any items, so nothing
    /// differs.
    fn differs_from_delivered(&self, items: Option<&Arc<Vec<Value>>>) -> bool {
        let empty = Arc::default();
        self.delivered.lock().as_ref().is_some_and(|delivered| delivered != items.unwrap_or(&empty))
    }

    /// Joins the round in progress, or requests one.
    fn join_round(&self) -> RoundWaiter<'_> {
        let mut before = 0;
        self.state.send_modify(|state| {
            before = state.finished_rounds;
            state.is_requested |= state.started_at.is_none();
        });
        RoundWaiter { list: self, before }
    }
}

impl ListState {
    /// Replaces the items. Equal items keep their allocation, by which catalogs recognize an unchanged list.
    fn replace_items(&mut self, items: Arc<Vec<Value>>) {
        if self.items.as_ref() != Some(&items) {
            self.items = Some(items);
        }
    }

    fn current(&self, kind: ListKind) -> Result<ItemList> {
        let error = match self.started_at {
            Some(_) => Some(pending_error(kind)),
            None => self.error.clone(),
        };
        match (&self.items, error) {
            (None, Some(error)) => Err(error),
            (None, None) => Err(pending_error(kind)),
            (Some(items), incomplete) => Ok(ItemList { items: Arc::clone(items), incomplete }),
        }
    }
}

/// A caller that waits for a round.
struct RoundWaiter<'a> {
    list: &'a ListCache,
    before: u64,
}

impl RoundWaiter<'_> {
    async fn wait_finished(&self) {
        let mut state = self.list.state.subscribe();
        // The sender lives as long as `self`. The returned guard is a lock, so it is dropped at once.
        drop(state.wait_for(|state| state.finished_rounds > self.before).await);
    }
}

/// Merges an incomplete list with the known items, which may be in the part that was not read.
fn merge_items(kind: ListKind, listed: Arc<Vec<Value>>, cached: Option<&Arc<Vec<Value>>>) -> Arc<Vec<Value>> {
    let ids: HashSet<Option<&str>> = listed.iter().map(|item| item[kind.id_field()].as_str()).collect();
    let cached = cached.into_iter().flat_map(|cached| cached.iter());
    let missing: Vec<_> =
        cached.filter(|item| !ids.contains(&item[kind.id_field()].as_str())).cloned().collect();
    if missing.is_empty() {
        return listed;
    }
    let mut merged = Arc::unwrap_or_clone(listed);
    merged.extend(missing);
    Arc::new(merged)
}

fn pending_error(kind: ListKind) -> Error {
    let message = format!("the server has not listed its {}s yet", kind.item_name());
    Error::new(ErrorKind::Unavailable, message)
        .with_next_step("list them again later; a client that follows changes is notified")
}

/// Reads one list of a server, round by round. Runs beside the supervisor, in the same task.
pub(super) struct Lister {
    pub(super) kind: ListKind,
    pub(super) shared: Arc<ServerShared>,
    /// Weak, because the supervisor ends when all other senders are dropped.
    pub(super) call_requests: mpsc::WeakSender<CallRequest>,
    pub(super) timeout: Duration,
}

impl Lister {
    /// Runs rounds until dropped.
    pub(super) async fn run(self) {
        let cache = self.shared.lists.get(self.kind);
        loop {
            cache.begin_round().await;
            let listed = self.list().await;
            cache.finish_round(listed);
        }
    }

    /// Fetches the items from the server, filtered and with secrets masked.
    async fn list(&self) -> Result<ItemList> {
        let requests = self.call_requests.upgrade().ok_or_else(|| self.shared.stopped_error())?;
        let call = self.shared.begin_call(&requests).await?;
        drop(requests);
        if let Some(cached) = call.cached_list(self.kind) {
            return Ok(cached);
        }
        let cancel = CancellationToken::new();
        let mut listing = pin!(call.connection().list(self.kind, &cancel));
        let (mut items, incomplete) = match timeout(self.timeout, &mut listing).await {
            Ok(listed) => listed,
            Err(_elapsed) => {
                cancel.cancel();
                let (items, incomplete) = listing.await;
                (items, incomplete.map(|_cancelled| RequestError::TimedOut(self.timeout)))
            }
        };
        // A list that is too large is not requested again: the result would be the same.
        let is_final = matches!(incomplete, None | Some(RequestError::ListTooLarge));
        let incomplete = match incomplete {
            Some(error) => Some(self.shared.to_error(error, &call).await),
            None => None,
        };
        if self.kind == ListKind::Tools {
            let filter = &self.shared.config.tools;
            items.retain(|tool| tool["name"].as_str().is_none_or(|name| filter.allows(name)));
        }
        let masked = self.shared.spawn_config.redactor.mask_json_async(Value::Array(items)).await;
        let Some(Value::Array(items)) = masked else {
            return Err(Error::new(ErrorKind::Internal, "the list could not be masked"));
        };
        let items = Arc::new(items);
        let list = match incomplete {
            Some(error) if items.is_empty() => return Err(error),
            incomplete => ItemList { items, incomplete },
        };
        if is_final {
            call.cache_list(self.kind, list.clone());
        }
        Ok(list)
    }
}

/// Counts the changes of each list that no catalog contains yet. Resource templates count as resources, because
/// clients are notified of both alike.
#[derive(Debug, Default)]
pub(crate) struct ChangeCounters(PerList<watch::Sender<u64>>);

impl ChangeCounters {
    pub(crate) fn get(&self, kind: ListKind) -> &watch::Sender<u64> {
        self.0.get(match kind {
            ListKind::ResourceTemplates => ListKind::Resources,
            kind => kind,
        })
    }

    /// Counts a change of every list.
    pub(crate) fn count_all(&self) {
        for kind in [ListKind::Tools, ListKind::Prompts, ListKind::Resources] {
            self.get(kind).send_modify(|count| *count += 1);
        }
    }

    pub(crate) fn subscribe(&self) -> ListChanges {
        let receiver = |kind| self.get(kind).subscribe();
        ListChanges {
            tools: receiver(ListKind::Tools),
            prompts: receiver(ListKind::Prompts),
            resources: receiver(ListKind::Resources),
        }
    }
}

/// The changes of the lists of one host since this value was created.
#[derive(Debug, Clone)]
pub(crate) struct ListChanges {
    tools: watch::Receiver<u64>,
    prompts: watch::Receiver<u64>,
    resources: watch::Receiver<u64>,
}

impl ListChanges {
    /// Waits for the next change, and returns the list. Never returns after the host was dropped. Cancel safe.
    pub(crate) async fn next(&mut self) -> ListKind {
        tokio::select! {
            Ok(()) = self.tools.changed() => ListKind::Tools,
            Ok(()) = self.prompts.changed() => ListKind::Prompts,
            Ok(()) = self.resources.changed() => ListKind::Resources,
            else => std::future::pending().await,
        }
    }
}
