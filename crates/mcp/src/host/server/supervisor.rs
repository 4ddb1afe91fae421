//! The task that owns a server's process: starts it when asked, replaces it when its keys rotate, stops it at the end.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use valetkey_core::audit::AuditEvent;
use valetkey_core::{CredentialProvider, Error, ErrorKind, Generation, Region, Result, Rotations};

use super::Facts;
use super::link::{Call, Link};
use crate::child::{ChildProcess, Delivery};
use crate::connection::{Era, Session};
use crate::host::launch::Started;
use crate::host::restarts::Restarts;

/// How long calls on a server that was replaced may still take: as long as the shortest session of STS.
const DRAIN: Duration = Duration::from_secs(15 * 60);

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
    /// Where it was told to be.
    region: Option<Region>,
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

    pub(super) async fn run(mut self, requests: mpsc::Receiver<oneshot::Sender<Result<Call>>>) {
        let stop = self.stop.clone();
        // Whatever is being done, such as a start that takes seconds, stopping is felt.
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.serve(requests) => {}
        }
        self.stop_everything().await;
    }

    /// Until the session ends.
    async fn serve(&mut self, mut requests: mpsc::Receiver<oneshot::Sender<Result<Call>>>) {
        loop {
            tokio::select! {
                biased;
                session = rotated(&mut self.rotations) => {
                    if session.is_none() || self.follow_rotation().await.is_break() {
                        break;
                    }
                }
                () = ended(&mut self.running) => self.forget("ended by itself").await,
                Some(_drained) = self.retired.join_next() => {}
                request = requests.recv() => match request {
                    Some(reply) => drop(reply.send(self.begin().await)),
                    None => break,
                },
            }
        }
    }

    /// A call on a server that runs with the session's current set; started or replaced first if need be.
    async fn begin(&mut self) -> Result<Call> {
        if self.running.as_ref().is_some_and(|running| !running.link.is_open()) {
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
        self.restarts.check()?;
        let Facts { name, config, account, recipe, .. } = &*self.facts;
        if config.delivery == Delivery::Env {
            // So that the first fetch is not taken for a rotation; the number read next is at most too old.
            let _fetched = account.credentials().await;
        }
        if let Some(credentials) = account.cached() {
            recipe.redactor.learn(&credentials);
        }
        let (generation, region) = (self.generation(), account.region());
        let started = recipe.start(name, config, account, &mut self.era).await;
        let Started { process, session, connection, grant } =
            started.inspect_err(|error| self.restarts.failed(error.message()))?;
        tracing::debug!(server = %name, pid = process.pid(), "server started");
        self.facts.seen(|seen| seen.pid = Some(process.pid()));
        let link = Arc::new(Link {
            connection,
            grant,
            generation,
            stderr: process.stderr().clone(),
            redactor: Arc::clone(&recipe.redactor),
            listed: Mutex::new(None),
            under_way: watch::Sender::new(0),
            proven: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        });
        self.running = Some(Running { link, process, session, region });
        Ok(())
    }

    /// `endpoint`: the child reads the new set itself. `env`: the child is replaced, or killed when nothing is left to
    /// give it. Breaks when the session has ended.
    async fn follow_rotation(&mut self) -> ControlFlow<()> {
        let held = self.facts.account.cached();
        if let Some(credentials) = &held {
            self.facts.recipe.redactor.learn(credentials);
        }
        if self.facts.account.is_closed() {
            return ControlFlow::Break(());
        }
        let replaced = self.outdated();
        if replaced {
            self.retire();
        }
        if held.is_none() && self.facts.config.delivery == Delivery::Env {
            // The keys were taken away: nothing may go on with them, no call either. Dropping kills.
            self.retired.shutdown().await;
        } else if replaced {
            self.facts.account.record(AuditEvent::Rotate, &self.facts.name, None);
            if self.start().await.is_err() {
                tracing::debug!(server = %self.facts.name, "the replacement could not be started");
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether the running server holds keys that are no longer the session's, or is not where they belong: it learnt
    /// its region when it was started, maybe before any credentials were there.
    fn outdated(&self) -> bool {
        let Some(running) = &self.running else { return false };
        match self.facts.config.delivery {
            Delivery::None => false,
            Delivery::Env => running.link.generation != self.generation(),
            Delivery::Endpoint => {
                let account = &self.facts.account;
                // Clearing takes no server away: its endpoint refuses it.
                account.cached().is_some()
                    && account.region().is_some_and(|region| running.region.as_ref() != Some(&region))
            }
        }
    }

    fn generation(&self) -> Option<Generation> {
        self.facts.account.status().ok().map(|status| status.generation)
    }

    /// No new call goes to the server; it is stopped when those under way are done.
    fn retire(&mut self) {
        let Some(running) = self.running.take() else { return };
        self.facts.seen(|seen| seen.pid = None);
        self.retired.spawn(async move {
            let _drained = timeout(DRAIN, running.link.idle()).await;
            running.stop().await;
        });
    }

    async fn forget(&mut self, how: &'static str) {
        if let Some(running) = self.running.take() {
            tracing::debug!(server = %self.facts.name, how, "server gone");
            self.facts.seen(|seen| seen.pid = None);
            if running.link.proven.load(Ordering::Acquire) {
                self.restarts.succeeded();
            }
            self.restarts.failed(format!("it {how}"));
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
