//! The task that owns a server's process: starts it when asked, replaces it when its keys rotate, stops it at the end.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use valetkey_core::audit::AuditEvent;
use valetkey_core::{CredentialProvider, Error, ErrorKind, Generation, Result, Rotations};

use super::Facts;
use super::link::{Call, Link};
use crate::child::{ChildProcess, Delivery};
use crate::connection::{Era, Session};
use crate::host::launch::Started;
use crate::host::restarts::Restarts;

/// How long calls on a server that was replaced may still take.
const DRAIN: Duration = Duration::from_secs(60);

pub(super) struct Supervisor {
    facts: Arc<Facts>,
    stop: CancellationToken,
    running: Option<Running>,
    /// Servers that were replaced and finish their calls.
    retired: JoinSet<()>,
    restarts: Restarts,
    era: Era,
    rotations: Option<Rotations>,
}

struct Running {
    link: Arc<Link>,
    process: ChildProcess,
    session: Session,
}

impl Supervisor {
    pub(super) fn new(facts: Arc<Facts>, stop: CancellationToken) -> Self {
        let rotations = facts.account.rotations().ok();
        Self {
            facts,
            stop,
            running: None,
            retired: JoinSet::new(),
            restarts: Restarts::default(),
            era: Era::Probe,
            rotations,
        }
    }

    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<oneshot::Sender<Result<Call>>>) {
        let stop = self.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                session = rotated(&mut self.rotations) => {
                    if session.is_none() || self.follow_rotation().await.is_break() {
                        break;
                    }
                }
                () = ended(&mut self.running) => self.forget("ended by itself").await,
                Some(_drained) = self.retired.join_next() => {}
                request = requests.recv() => match request {
                    // Starting takes seconds, during which stopping must still be felt.
                    Some(reply) => tokio::select! {
                        () = stop.cancelled() => break,
                        call = self.begin() => drop(reply.send(call)),
                    },
                    None => break,
                },
            }
        }
        self.stop_everything().await;
    }

    /// A call on a server that runs with the session's current set; started or replaced first if need be.
    async fn begin(&mut self) -> Result<Call> {
        if self.running.as_ref().is_some_and(|running| running.link.connection.is_closed()) {
            self.forget("closed its connection").await;
        }
        if self.outdated() {
            self.retire();
        }
        if self.running.is_none() {
            self.start().await?;
        }
        self.running
            .as_ref()
            .map(|running| running.link.begin())
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the server was started and is not there"))
    }

    async fn start(&mut self) -> Result<()> {
        if let Some(pause) = self.restarts.pause() {
            let message = format!(
                "the server keeps failing and is not started for another {:.1} s",
                pause.as_secs_f32()
            );
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        let generation = self.generation();
        let Facts { name, config, account, recipe, .. } = &*self.facts;
        let started = recipe.start(name, config, account, &mut self.era).await;
        let Started { process, session, connection, grant } =
            started.inspect_err(|_| self.restarts.failed())?;
        tracing::debug!(server = %name, pid = process.pid(), "server started");
        self.restarts.succeeded();
        self.facts.seen(|seen| seen.pid = Some(process.pid()));
        let link = Arc::new(Link {
            connection,
            grant,
            generation,
            stderr: process.stderr().clone(),
            redactor: Arc::clone(&recipe.redactor),
            listed: Mutex::new(None),
            under_way: watch::Sender::new(0),
        });
        self.running = Some(Running { link, process, session });
        Ok(())
    }

    /// `endpoint`: the child reads the new set itself. `env`: the child is replaced, or stopped when nothing is left
    /// to give it. Breaks when the session has ended.
    async fn follow_rotation(&mut self) -> ControlFlow<()> {
        let held = self.facts.account.cached();
        if let Some(credentials) = &held {
            self.facts.recipe.redactor.learn(credentials);
        }
        if self.facts.account.is_closed() {
            return ControlFlow::Break(());
        }
        if self.outdated() {
            self.retire();
            self.facts.account.record(AuditEvent::Rotate, &self.facts.name, None);
            if held.is_some() && self.start().await.is_err() {
                tracing::debug!(server = %self.facts.name, "the replacement could not be started");
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether the running server holds keys that are no longer the session's.
    fn outdated(&self) -> bool {
        let by_env = self.facts.config.delivery == Delivery::Env;
        by_env && self.running.as_ref().is_some_and(|running| running.link.generation != self.generation())
    }

    fn generation(&self) -> Option<Generation> {
        self.facts.account.status().ok().map(|status| status.generation)
    }

    /// No new call goes to the server; it is stopped when those under way are done, or at once when the session was
    /// cleared, for then nothing may go on with its keys.
    fn retire(&mut self) {
        let Some(running) = self.running.take() else { return };
        self.facts.seen(|seen| seen.pid = None);
        let patience = if self.facts.account.cached().is_some() { DRAIN } else { Duration::ZERO };
        self.retired.spawn(async move {
            let _drained = timeout(patience, running.link.idle()).await;
            running.stop().await;
        });
    }

    async fn forget(&mut self, how: &'static str) {
        if let Some(running) = self.running.take() {
            tracing::debug!(server = %self.facts.name, how, "server gone");
            self.facts.seen(|seen| seen.pid = None);
            self.restarts.failed();
            running.stop().await;
        }
    }

    async fn stop_everything(mut self) {
        if let Some(running) = self.running.take() {
            self.facts.seen(|seen| seen.pid = None);
            running.stop().await;
        }
        // Calls still under way on retired servers end with the session.
        self.retired.shutdown().await;
    }
}

impl Running {
    async fn stop(self) {
        self.session.close().await;
        self.process.stop().await;
    }
}

/// The next rotation; `None` when the session is gone. Never, for an account that cannot be watched.
async fn rotated(rotations: &mut Option<Rotations>) -> Option<Generation> {
    match rotations {
        Some(rotations) => rotations.changed().await,
        None => std::future::pending().await,
    }
}

/// When the process ends by itself.
async fn ended(running: &mut Option<Running>) {
    match running {
        Some(running) => drop(running.process.wait().await),
        None => std::future::pending().await,
    }
}
