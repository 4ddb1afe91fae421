//! `ServerHandle`: one MCP server of a session, and the task that supervises it.
//!
//! Only the task starts, replaces and stops the process. Callers request a [`CallGuard`] from it, and may be dropped at
//! any time.
//!
//! A call takes these steps: it requires usable credentials of the account, and begins on the running process, if there
//! is one that may run it. Otherwise it requests a [`CallGuard`] from the task, and requires credentials again, since a
//! start takes seconds. Then it sends the request. A failure at any step is an error
//! with the name of the server and the next step.
//!
//! | module | content |
//! |---|---|
//! | `spawn` | starts a process, with the configuration that the servers of a host share |
//! | `supervisor` | the task: when a process is started, replaced and stopped |
//! | `running` | the process that runs, the calls on it, and their receipts |
//! | `lists` | what the server offers |
//! | `process_quota` | how many processes run at once, and which makes room |
//! | `failure` | the errors that callers get, and the delay of starts after them |

mod failure;
mod lists;
mod process_quota;
mod running;
mod spawn;
mod supervisor;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use valetkey_core::audit::AuditEvent;
use valetkey_core::{Error, ErrorKind, Result, SessionAccount};

use crate::child::Delivery;
use crate::client::ClientContext;
use crate::config::ServerConfig;
use crate::connection::{ListKind, PerList, RequestError};
use crate::subscriptions::SubscriptionHub;

pub(crate) use failure::{RequestFailure, cancelled_error, with_set_credentials_hint};
pub(crate) use lists::{ChangeCounters, ItemList, ListChanges};
pub(crate) use process_quota::{CallCounter, ProcessOwner};
pub use process_quota::{ProcessLimits, ProcessQuota};
pub(crate) use spawn::SpawnConfig;

use lists::{ListCache, Lister};
use running::{CallGuard, Receipt, RunningServer, watch_resources};
use supervisor::{CALL_DRAIN_TIMEOUT, Supervisor};

const TOOL_CALL: &str = "tools/call";
/// Returns what a tool that runs as a task has returned.
pub(crate) const TASK_RESULT: &str = "tasks/result";

/// The timeouts of requests to a running server, and of the server itself.
#[derive(Clone, Copy)]
pub(crate) struct Timeouts {
    pub(crate) list: Duration,
    pub(crate) call: Duration,
    /// The time without a call after which a process is stopped, if it is stopped.
    pub(crate) idle: Option<Duration>,
}

/// Whether a request needs credentials of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CredentialNeed {
    /// The request is refused without usable credentials.
    Required,
    /// The server describes itself, which it can do without credentials.
    Optional,
}

/// A request to a server, with the server's own name for the tool or prompt.
#[derive(Clone)]
pub(crate) struct ServerRequest {
    pub(crate) method: &'static str,
    pub(crate) params: Value,
    pub(crate) need: CredentialNeed,
}

impl ServerRequest {
    /// Creates a call of a tool. `params` are those of `tools/call`.
    pub(crate) fn tool_call(params: Value) -> Self {
        Self { method: TOOL_CALL, params, need: CredentialNeed::Required }
    }
}

/// A request to the supervisor for a call on the up-to-date server. The reply is sent through it.
type CallRequest = oneshot::Sender<Result<CallGuard>>;

/// One server as the host sees it. The process may not run yet, and may be replaced at any time; the handle stays the
/// same.
///
/// Invariant: `call_requests` is the only lasting strong sender, since the lister has a weak one. So the supervisor
/// ends with the handle.
pub(crate) struct ServerHandle {
    shared: Arc<ServerShared>,
    timeouts: Timeouts,
    call_requests: mpsc::Sender<CallRequest>,
    stop: CancellationToken,
    active_calls: CallCounter,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// State shared by the task and the callers.
struct ServerShared {
    name: String,
    config: ServerConfig,
    account: SessionAccount,
    spawn_config: Arc<SpawnConfig>,
    lists: PerList<ListCache>,
    subscriptions: Arc<SubscriptionHub>,
    status: Mutex<ServerStatus>,
}

#[derive(Default)]
struct ServerStatus {
    /// The process id, if the server has a process.
    pid: Option<u32>,
    /// The process that accepts calls.
    running: Option<Arc<RunningServer>>,
    /// Whether the process that ran last has each list.
    offers: PerList<bool>,
    supports_tasks: bool,
    /// Its instructions for the client's model.
    instructions: Option<String>,
}

impl ServerHandle {
    /// Spawns the supervising task. The process is started when it is first needed.
    pub(crate) fn supervise(
        name: String,
        config: ServerConfig,
        account: SessionAccount,
        spawn_config: Arc<SpawnConfig>,
        timeouts: Timeouts,
    ) -> Self {
        let lists = PerList::new(|kind| ListCache::new(kind, spawn_config.change_counters.get(kind).clone()));
        let shared = Arc::new(ServerShared {
            subscriptions: Arc::default(),
            name,
            config,
            account,
            spawn_config,
            lists,
            status: Mutex::default(),
        });
        let (call_requests, request_receiver) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let listers = ListKind::ALL.map(|kind| {
            let lister = Lister {
                kind,
                shared: Arc::clone(&shared),
                call_requests: call_requests.downgrade(),
                timeout: timeouts.list,
            };
            lister.run()
        });
        let watcher = watch_resources(Arc::clone(&shared), call_requests.downgrade());
        let idle_timeout = shared.config.idle_timeout.or(timeouts.idle).filter(|timeout| !timeout.is_zero());
        let supervisor = Supervisor::new(Arc::clone(&shared), stop.clone(), idle_timeout);
        let task = tokio::spawn(async move {
            tokio::select! {
                () = supervisor.run(request_receiver) => {}
                _never = join_all(listers) => {}
                () = watcher => {}
            }
        });
        Self {
            shared,
            timeouts,
            call_requests,
            stop,
            active_calls: CallCounter::default(),
            task: Mutex::new(Some(task)),
        }
    }

    /// Returns the same server for `account`, started with `spawn_config`. It has a process of its own and shares no state with this
    /// one.
    pub(crate) fn clone_for(&self, account: SessionAccount, spawn_config: Arc<SpawnConfig>) -> Self {
        let ServerShared { name, config, .. } = &*self.shared;
        Self::supervise(name.clone(), config.clone(), account, spawn_config, self.timeouts)
    }

    pub(crate) fn name(&self) -> &str {
        &self.shared.name
    }

    pub(crate) fn config(&self) -> &ServerConfig {
        &self.shared.config
    }

    pub(crate) fn account(&self) -> &SessionAccount {
        &self.shared.account
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.shared.with_status(|status| status.pid)
    }

    /// Reads a list for a catalog, waiting at most `budget`. Returns the items known by then, and why the list may be
    /// incomplete.
    pub(crate) async fn list_within(&self, kind: ListKind, budget: Duration) -> Result<ItemList> {
        let list = self.shared.lists.get(kind);
        tokio::select! {
            () = list.wait_listed_within(budget) => {}
            () = self.call_requests.closed() => return Err(self.shared.stopped_error()),
        }
        list.deliver_current()
    }

    /// Reads a list, waiting until it is complete or has failed.
    pub(crate) async fn list(&self, kind: ListKind) -> Result<ItemList> {
        tokio::select! {
            () = self.shared.lists.get(kind).wait_listed() => {}
            () = self.call_requests.closed() => return Err(self.shared.stopped_error()),
        }
        self.cached_list(kind)
    }

    /// Whether the server has items of this list, as far as is known.
    pub(crate) fn offers(&self, kind: ListKind) -> bool {
        self.shared.with_status(|status| *status.offers.get(kind))
    }

    /// Whether a call in the modern protocol may return a task, as far as is known.
    pub(crate) fn supports_tasks(&self) -> bool {
        self.shared.with_status(|status| status.supports_tasks)
    }

    /// Returns the items that are known now.
    pub(crate) fn cached_list(&self, kind: ListKind) -> Result<ItemList> {
        self.shared.lists.get(kind).current()
    }

    /// Sends a request, with the current credentials of the session, and returns the result as the server sent it. The
    /// result of a tool call also contains its [`Receipt`].
    pub(crate) async fn request(
        &self,
        request: ServerRequest,
        context: &ClientContext,
    ) -> std::result::Result<Value, RequestFailure> {
        let ServerRequest { method, params, need } = request;
        let _active = self.active_calls.enter();
        let begin = async {
            match need {
                CredentialNeed::Required => self.begin_with_credentials().await,
                CredentialNeed::Optional => self.shared.begin_call(&self.call_requests).await,
            }
        };
        let call = tokio::select! {
            call = begin => call?,
            () = context.cancelled.cancelled() => return Err(cancelled_error().into()),
        };
        let has_receipt = [TOOL_CALL, TASK_RESULT].contains(&method);
        let receipt = has_receipt.then(|| Receipt::new(self.account(), self.config().delivery));
        match self.send(&call, method, params, context).await {
            Ok(mut result) => {
                if let Some(receipt) = receipt {
                    call.mark_served();
                    receipt.add_to(&mut result);
                }
                Ok(result)
            }
            Err(error) => Err(self.shared.to_failure(error, &call).await),
        }
    }

    async fn send(
        &self,
        call: &CallGuard,
        method: &str,
        params: Value,
        context: &ClientContext,
    ) -> std::result::Result<Value, RequestError> {
        let context = context.child();
        let response = call.connection().request(method, params, &context);
        let limit = self.config().call_timeout.unwrap_or(self.timeouts.call);
        with_timeout(limit, response, &context.cancelled).await
    }

    /// Stops the server when its calls in progress have ended, after 15 minutes at the latest, or when `stopping`
    /// fires. Waits until it has exited.
    pub(crate) async fn drain(self: Arc<Self>, stopping: CancellationToken) {
        tokio::select! {
            _drained = timeout(CALL_DRAIN_TIMEOUT, self.active_calls.wait_idle()) => {}
            () = stopping.cancelled() => {}
        }
        self.stop().await;
    }

    /// Stops the server and waits until it has exited.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        let task = self.task.lock().take();
        if let Some(task) = task {
            // The task ends in bounded time. The runtime has already reported any panic in it.
            let _ended = task.await;
        }
    }

    /// Requires credentials twice: before the start, so that a server is not started for a call that must be refused,
    /// and after it, because a start takes seconds.
    async fn begin_with_credentials(&self) -> Result<CallGuard> {
        self.shared.require_credentials().await?;
        if let Some(call) = self.shared.begin_on_running() {
            return Ok(call);
        }
        let call = self.shared.begin_call(&self.call_requests).await?;
        // The credentials may have been cleared while the server was starting.
        self.shared.require_credentials().await?;
        Ok(call)
    }
}

impl ServerShared {
    /// Requests a call from the supervisor. Both channels close when the supervisor ends, so a caller never waits for a
    /// server that was stopped.
    async fn begin_call(&self, requests: &mpsc::Sender<CallRequest>) -> Result<CallGuard> {
        let stopped = || self.stopped_error();
        let (reply, call) = oneshot::channel();
        requests.send(reply).await.map_err(|_| stopped())?;
        call.await.map_err(|_| stopped())?.map_err(|error| error.with_provider(self.name.clone()))
    }

    /// Begins a call without the supervisor, if a process runs that it would not replace. A process is taken out of the
    /// status before it is stopped, so that it finishes a call that began here.
    fn begin_on_running(&self) -> Option<CallGuard> {
        self.with_status(|status| {
            let server = status.running.as_ref()?;
            let may_run = server.is_open() && !server.is_outdated(self) && !self.account.is_closed();
            may_run.then(|| server.begin_call())
        })
    }

    fn with_status<T>(&self, update: impl FnOnce(&mut ServerStatus) -> T) -> T {
        update(&mut self.status.lock())
    }

    /// The error for requests to a server that no longer runs.
    fn stopped_error(&self) -> Error {
        let closed = self.account.status().err();
        closed.unwrap_or_else(|| {
            Error::new(ErrorKind::Unavailable, "the server was stopped")
                .with_next_step("list the tools again; its configuration may have changed")
        })
    }

    /// Refuses a call without usable credentials, with a hint how to provide them. A call never runs with the
    /// credentials of the host process.
    async fn require_credentials(&self) -> Result<()> {
        if self.config.delivery == Delivery::None {
            return Ok(());
        }
        match self.account.credentials().await {
            Ok(_) => Ok(()),
            Err(error) => {
                self.account.audit(AuditEvent::Deny, &self.name, Some(&error));
                tracing::info!(server = %self.name, account = %self.account.account_name(), %error, "no credentials for a call");
                Err(with_set_credentials_hint(error, &self.account))
            }
        }
    }
}

/// Waits for a response, and cancels the request after `limit`.
async fn with_timeout<T>(
    limit: Duration,
    response: impl Future<Output = std::result::Result<T, RequestError>>,
    cancel: &CancellationToken,
) -> std::result::Result<T, RequestError> {
    tokio::pin!(response);
    if let Ok(response) = timeout(limit, &mut response).await {
        return response;
    }
    cancel.cancel();
    // The server is notified of the cancellation. A response that arrives at the same moment still counts.
    match response.await {
        Err(RequestError::Cancelled) => Err(RequestError::TimedOut(limit)),
        response => response,
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.stop.cancel();
        // Aborting the task drops the process guard, which kills the process group.
        let task = self.task.get_mut();
        if let Some(task) = task {
            task.abort();
        }
    }
}
