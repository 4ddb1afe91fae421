//! The task that owns a server's process: starts it when asked, replaces it when its keys rotate, stops it at the end.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use valetkey_core::audit::AuditEvent;
use valetkey_core::{Error, ErrorKind, Generation, Result, Rotations, ServedSet, SetId};

use super::Facts;
use super::lent::Lent;
use super::link::{Call, Link};
use crate::child::{ChildProcess, Delivery};
use crate::connection::{Era, Session};
use crate::host::launch::Started;
use crate::host::restarts::Restarts;

/// How long calls on a server that was replaced may still take: as long as the shortest session of STS.
const DRAIN: Duration = Duration::from_secs(15 * 60);

/// A server that keeps announcing changes is listed at most this often.
const BETWEEN_LISTS: Duration = Duration::from_secs(1);

/// Starts that one call may cost, each undone by a rotation during it.
const STARTS: usize = 4;

pub(super) struct Supervisor {
    facts: Arc<Facts>,
    stop: CancellationToken,
    running: Option<Running>,
    /// Servers that were replaced and finish their calls, or are being stopped.
    retired: JoinSet<()>,
    /// What the last of them that had keys was started with; the others had earlier ones.
    retired_set: Option<SetId>,
    restarts: Restarts,
    era: Era,
    rotations: Option<Rotations>,
    /// With which credentials the last start was tried.
    tried: Option<SetId>,
    /// Before then, no change of the tools is looked at.
    listed_again: Instant,
}

struct Running {
    link: Arc<Link>,
    process: ChildProcess,
    session: Session,
    lent: Lent,
}

impl Supervisor {
    pub(super) fn new(facts: Arc<Facts>, stop: CancellationToken) -> Self {
        let rotations = facts.account.rotations().ok();
        Self {
            facts,
            stop,
            running: None,
            retired: JoinSet::new(),
            retired_set: None,
            restarts: Restarts::default(),
            era: Era::Probe,
            rotations,
            tried: None,
            listed_again: Instant::now(),
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
                event = event(&mut self.running, self.listed_again) => match event {
                    Event::Ended => self.forget("ended by itself"),
                    Event::ToolsChanged => {
                        self.listed_again = Instant::now() + BETWEEN_LISTS;
                        self.facts.tools.want();
                    }
                },
                Some(_drained) = self.retired.join_next() => {}
                request = requests.recv() => match request {
                    Some(reply) => drop(reply.send(self.begin().await)),
                    None => break,
                },
            }
        }
    }

    /// A call on a server that runs with the session's current set.
    async fn begin(&mut self) -> Result<Call> {
        Ok(self.ready().await?.begin())
    }

    /// The server as it should be now; started or replaced first if need be, and again if that took too long.
    async fn ready(&mut self) -> Result<&Arc<Link>> {
        for _ in 0..STARTS {
            if self.running.as_ref().is_some_and(|running| !running.link.is_open()) {
                self.forget("closed its connection");
            }
            if self.outdated() {
                self.retire();
            }
            if self.running.is_some() {
                break;
            }
            self.start().await?;
        }
        let unsettled = "the session's credentials change faster than the server starts";
        match &self.running {
            Some(running) if !running.is_outdated(&self.facts) => Ok(&running.link),
            _ => Err(Error::new(ErrorKind::Unavailable, unsettled)),
        }
    }

    /// Starts the server, unless a rotation undoes the start: then nothing is left of it.
    async fn start(&mut self) -> Result<()> {
        self.restarts.check()?;
        let facts = Arc::clone(&self.facts);
        let Facts { name, config, account, recipe, .. } = &*facts;
        if config.delivery == Delivery::Env {
            // So that the first fetch is not taken for a rotation; what is read next is at most too old.
            let _fetched = account.credentials().await;
        }
        if let Some(ServedSet { credentials, .. }) = account.served() {
            recipe.redactor.learn(&credentials);
        }
        let (lent, mut era) = (Lent::now(&facts), self.era);
        self.tried = lent.set;
        let started = tokio::select! {
            biased;
            undone = undone(&facts, &lent, self.rotations.clone()) => {
                // Dropping the start has killed what it had begun.
                self.kill_cleared().await;
                return undone;
            }
            started = recipe.start(name, config, account, &mut era) => started,
        };
        self.era = era;
        let started = started.inspect_err(|error| {
            // What is wrong with the configuration is found without a start, and told each time.
            if error.kind() != ErrorKind::Invalid {
                self.restarts.failed(error.message());
            }
        })?;
        self.adopt(started, lent);
        Ok(())
    }

    fn adopt(&mut self, started: Started, lent: Lent) {
        let Started { process, session, connection, grant } = started;
        tracing::debug!(server = %self.facts.name, pid = process.pid(), "server started");
        self.facts.seen(|seen| seen.pid = Some(process.pid()));
        let link = Arc::new(Link {
            connection,
            grant,
            stderr: process.stderr().clone(),
            redactor: Arc::clone(&self.facts.recipe.redactor),
            listed: Mutex::new(None),
            under_way: watch::Sender::new(0),
            proven: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        });
        self.running = Some(Running { link, process, session, lent });
    }

    /// Renewed credentials reach a server with `endpoint` by themselves; any other change replaces it, and with `env` each
    /// change does. Calls under way are finished, unless the keys in the environment were cleared. Breaks when the
    /// session has ended.
    async fn follow_rotation(&mut self) -> ControlFlow<()> {
        if let Some(ServedSet { credentials, id, .. }) = self.facts.account.served() {
            self.facts.recipe.redactor.learn(&credentials);
            self.welcome(id);
        }
        if self.facts.account.is_closed() {
            return ControlFlow::Break(());
        }
        let replaced = self.outdated();
        if replaced {
            self.retire();
        }
        self.kill_cleared().await;
        if replaced && !self.facts.account.is_cleared() {
            self.facts.account.record(AuditEvent::Rotate, &self.facts.name, None);
            if self.ready().await.is_err() {
                tracing::debug!(server = %self.facts.name, "the replacement could not be started");
            }
        }
        ControlFlow::Continue(())
    }

    /// A server that failed without credentials, or with others, may be started at once with these. One that has not
    /// listed its tools does so now.
    fn welcome(&mut self, credentials: SetId) {
        let is_renewal = self.tried.is_some_and(|tried| credentials == tried || credentials.renews(tried));
        if self.facts.config.delivery != Delivery::None && !is_renewal {
            self.restarts.succeeded();
            self.tried = Some(credentials);
            if self.facts.tools.has_failed() {
                self.facts.tools.want();
            }
        }
    }

    /// Ends replaced servers, calls included, whose environment has keys that were cleared. Keys that were invalidated
    /// for another reason, such as a change of another account, may finish the calls under way.
    async fn kill_cleared(&mut self) {
        let cleared = |set| self.facts.account.was_cleared_since(set);
        if self.facts.config.delivery == Delivery::Env && self.retired_set.is_some_and(cleared) {
            // Dropping kills.
            self.retired.shutdown().await;
            self.retired_set = None;
        }
    }

    fn outdated(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.is_outdated(&self.facts))
    }

    /// No new call goes to the server; it is stopped when those under way are done.
    fn retire(&mut self) {
        let Some(running) = self.running.take() else { return };
        self.facts.seen(|seen| seen.pid = None);
        self.retired_set = running.lent.set.or(self.retired_set);
        self.retired.spawn(async move {
            let _drained = timeout(DRAIN, running.link.idle()).await;
            running.stop().await;
        });
    }

    /// The server is of no use any more. What is left of it is stopped while others are served, and clearing is felt.
    fn forget(&mut self, how: &'static str) {
        if let Some(running) = self.running.take() {
            tracing::debug!(server = %self.facts.name, how, "server gone");
            self.facts.seen(|seen| seen.pid = None);
            if running.link.proven.load(Ordering::Acquire) {
                self.restarts.succeeded();
            }
            self.restarts.failed(format!("it {how}"));
            self.retired.spawn(running.stop());
        }
    }

    async fn stop_everything(mut self) {
        // Calls still under way on retired servers end with the session.
        self.retired.shutdown().await;
        let Some(running) = self.running.take() else { return };
        self.facts.seen(|seen| seen.pid = None);
        if self.facts.config.delivery == Delivery::Env && self.facts.account.is_closed() {
            // It holds keys that were taken away.
            running.process.kill().await;
        } else {
            running.stop().await;
        }
    }
}

impl Running {
    fn is_outdated(&self, facts: &Facts) -> bool {
        self.lent.is_outdated(facts, self.link.grant.as_ref())
    }

    async fn stop(self) {
        self.session.close().await;
        self.process.stop().await;
    }
}

/// When what a server is being started with is no longer what it should have; fails when the session has ended.
async fn undone(facts: &Facts, lent: &Lent, mut rotations: Option<Rotations>) -> Result<()> {
    while rotated(&mut rotations).await.is_some() {
        if lent.is_outdated(facts, None) {
            return Ok(());
        }
    }
    Err(facts.ended())
}

/// The next rotation; `None` when the session is gone. Never, for an account that cannot be watched.
async fn rotated(rotations: &mut Option<Rotations>) -> Option<Generation> {
    match rotations {
        Some(rotations) => rotations.changed().await,
        None => std::future::pending().await,
    }
}

/// What a running process does by itself.
enum Event {
    Ended,
    ToolsChanged,
}

/// The next event of a running process; a change of its tools counts from `earliest` on. Cancel safe.
async fn event(running: &mut Option<Running>, earliest: Instant) -> Event {
    let Some(Running { process, link, .. }) = running else { return std::future::pending().await };
    let changed = async {
        sleep_until(earliest).await;
        link.connection.tools_change().await;
    };
    tokio::select! {
        _status = process.wait() => Event::Ended,
        () = changed => Event::ToolsChanged,
    }
}
