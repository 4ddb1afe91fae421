//! `Server`: one server of a session and the task that supervises it.
//!
//! The task alone starts, replaces and stops the process; callers ask it for a [`Call`] and may vanish at any time.

mod link;
mod supervisor;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use valetkey_core::audit::AuditEvent;
use valetkey_core::{Error, ErrorKind, Result, SessionAccount};

use super::launch::Recipe;
use super::name;
use crate::child::Delivery;
use crate::config::ServerConfig;
use crate::connection::RequestError;

use link::Call;
use supervisor::Supervisor;

pub(super) struct Server {
    facts: Arc<Facts>,
    requests: mpsc::Sender<oneshot::Sender<Result<Call>>>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

/// What the task and the callers share.
struct Facts {
    name: String,
    config: ServerConfig,
    account: SessionAccount,
    recipe: Arc<Recipe>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    pid: Option<u32>,
    /// Readable names under which tools were listed, and the server's own names.
    tools: HashMap<String, String>,
}

impl Server {
    /// Begins to supervise; the process is started when it is first needed.
    pub(super) fn supervise(
        name: String,
        config: ServerConfig,
        account: SessionAccount,
        recipe: Arc<Recipe>,
    ) -> Self {
        let facts = Arc::new(Facts { name, config, account, recipe, seen: Mutex::default() });
        let (requests, received) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let task = tokio::spawn(Supervisor::new(Arc::clone(&facts), stop.clone()).run(received));
        Self { facts, requests, stop, task: Some(task) }
    }

    pub(super) fn name(&self) -> &str {
        &self.facts.name
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.facts.seen(|seen| seen.pid)
    }

    /// The server's own name of a tool that was listed under `name`.
    pub(super) fn known_tool(&self, name: &str) -> Option<String> {
        self.facts.seen(|seen| seen.tools.get(name).cloned())
    }

    /// The server's tools, as it describes them.
    pub(super) async fn tools(&self) -> Result<Vec<Value>> {
        let call = self.begin().await?;
        if let Some(tools) = call.listed() {
            return Ok(tools);
        }
        let tools = call.connection().list_tools().await.map_err(|error| self.explain(error, &call))?;
        let names = tools.iter().filter_map(|tool| tool.get("name")?.as_str());
        let names = names.map(|tool| (name::proxied(self.name(), tool), tool.to_owned())).collect();
        self.facts.seen(|seen| seen.tools = names);
        call.keep_listed(&tools);
        Ok(tools)
    }

    /// Calls a tool with what the session holds now.
    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: Option<Map<String, Value>>,
        cancelled: &CancellationToken,
    ) -> Result<Value> {
        self.facts.require_credentials().await?;
        let call = self.begin().await?;
        let answer = call.connection().call_tool(tool, arguments, cancelled).await;
        answer.map_err(|error| self.explain(error, &call))
    }

    /// Stops the server and waits until it is gone.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // It ends in bounded time; a panic in it has been reported by the runtime.
            let _ended = task.await;
        }
    }

    async fn begin(&self) -> Result<Call> {
        let stopped = || Error::new(ErrorKind::Unavailable, "the server was stopped");
        let (reply, answer) = oneshot::channel();
        self.requests.send(reply).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?.map_err(|error| error.with_provider(self.name().to_owned()))
    }

    fn explain(&self, error: RequestError, call: &Call) -> Error {
        let error = match error {
            RequestError::Refused { code, message } => Error::new(
                ErrorKind::Invalid,
                format!("the server refused the request (code {code}): {message}"),
            ),
            RequestError::Cancelled => Error::new(ErrorKind::TimedOut, "the call was cancelled"),
            RequestError::Gone => Error::new(
                ErrorKind::Unavailable,
                format!("the server ended during the call{}", call.last_words()),
            )
            .with_next_step("call again; the server is started anew"),
        };
        error.with_provider(self.name().to_owned())
    }
}

impl Facts {
    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A call without usable credentials is refused, and told what to do; it never runs as the host.
    async fn require_credentials(&self) -> Result<()> {
        if self.config.delivery == Delivery::None {
            return Ok(());
        }
        match self.account.credentials().await {
            Ok(credentials) => {
                self.recipe.redactor.learn(&credentials);
                Ok(())
            }
            Err(error) => {
                self.account.record(AuditEvent::Deny, &self.name, Some(&error));
                Err(late_binding(error))
            }
        }
    }
}

fn late_binding(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotConfigured | ErrorKind::Expired => error.with_next_step(
            "call `set_aws_credentials_context` or `extract_and_set_credentials_from_stack_job`, then call this again",
        ),
        _ => error,
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        // Aborting drops the process guard, which kills the group.
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
