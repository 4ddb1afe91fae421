//! `Supervisor`: the task that owns a server's process. It starts the process on request, replaces it when its
//! credentials rotate, and stops it at the end.
//!
//! | event | action |
//! |---|---|
//! | a call, no process | starts one, unless the backoff forbids it |
//! | a start fails, the account has no credentials | starts one without access to any, which can list what it offers |
//! | the account has credentials, the process has no access | drains it and starts another one |
//! | a call, the process may hold other credentials | drains it and starts another one |
//! | a rotation during a start | discards the start, and starts again with the current credentials |
//! | a rotation, the process is outdated | drains it and starts another one in advance |
//! | the account was cleared ([`SessionAccount::is_cleared`](valetkey_core::SessionAccount::is_cleared)) | drains the process, or kills it if its environment holds the keys |
//! | the process exits | records a failure for the backoff |
//! | the process is unused, or must make room for another one | drains it |
//! | the server announces changes | requests changed lists and notifies subscribers of resources, at most once a second |
//! | the session ends, or the host stops | stops every process |
//!
//! A drained process gets no new call. It is stopped when its calls in progress have ended, after 15 minutes at the
//! latest.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use valetkey_core::audit::AuditEvent;
use valetkey_core::{CredentialsVersion, Error, ErrorKind, Generation, Result, RotationWatcher};

use super::failure::RestartBackoff;
use super::lists::ListCache;
use super::running::{
    CallGuard, CredentialSnapshot, ProcessEvent, RunningProcess, RunningServer, next_event,
};
use super::spawn::{SpawnedServer, StartTarget};
use super::{ServerShared, SpawnConfig};
use crate::child::Delivery;
use crate::connection::{Announcement, Handshake, ListKind, PerList};

/// The timeout of calls on a server that was replaced: 15 min, the duration of the shortest STS session.
pub(super) const CALL_DRAIN_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// The minimum interval between announcements of a server that keeps announcing changes.
const MIN_LIST_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum number of starts for one call. A rotation during a start makes another one necessary.
const MAX_STARTS_PER_CALL: usize = 4;

/// Owns the process of one server, and decides when it is started, replaced and stopped.
///
/// Invariants: at most one process accepts calls, `running`; all others are in `draining`. A call begins only on a
/// process that is not outdated at that time.
pub(super) struct Supervisor {
    shared: Arc<ServerShared>,
    stop: CancellationToken,
    running: Option<RunningProcess>,
    /// Tasks that stop replaced servers, after their calls have finished.
    draining: JoinSet<()>,
    /// Makes these tasks kill their servers at once.
    kill_draining: CancellationToken,
    /// The credentials version of the last drained server that had credentials. All others had earlier versions.
    draining_version: Option<CredentialsVersion>,
    backoff: RestartBackoff,
    handshake: Handshake,
    rotation_watcher: Option<RotationWatcher>,
    /// The version of the credentials of the last start attempt.
    tried_version: Option<CredentialsVersion>,
    /// The earliest time at which the next announcement is handled.
    next_list_at: Instant,
    /// The time without a call after which the process is stopped.
    idle_timeout: Option<Duration>,
}

impl Supervisor {
    pub(super) fn new(
        shared: Arc<ServerShared>,
        stop: CancellationToken,
        idle_timeout: Option<Duration>,
    ) -> Self {
        let rotation_watcher = shared.account.watch_rotations().ok();
        Self {
            shared,
            stop,
            running: None,
            draining: JoinSet::new(),
            kill_draining: CancellationToken::new(),
            draining_version: None,
            backoff: RestartBackoff::default(),
            handshake: Handshake::Probe,
            rotation_watcher,
            tried_version: None,
            next_list_at: Instant::now(),
            idle_timeout,
        }
    }

    /// Runs until `stop` fires, the session ends or all request senders are dropped; then stops every process.
    pub(super) async fn run(mut self, requests: mpsc::Receiver<oneshot::Sender<Result<CallGuard>>>) {
        let stop = self.stop.clone();
        // Stopping interrupts any other step, such as a start that takes seconds.
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.serve(requests) => {}
        }
        self.stop_all().await;
    }

    /// Serves requests and events until the session ends or all request senders are dropped.
    async fn serve(&mut self, mut requests: mpsc::Receiver<oneshot::Sender<Result<CallGuard>>>) {
        loop {
            // Updates of resources come from a process that runs.
            let idle_timeout = self.idle_timeout.filter(|_| !self.shared.subscriptions.has_subscribers());
            tokio::select! {
                biased;
                session = wait_rotation(&mut self.rotation_watcher) => {
                    if session.is_none() || self.handle_rotation().await.is_break() {
                        break;
                    }
                }
                event = next_event(&mut self.running, self.next_list_at, idle_timeout) => match event {
                    ProcessEvent::Ended => self.discard("ended by itself"),
                    ProcessEvent::Unused => {
                        tracing::debug!(server = %self.shared.name, "server unused");
                        self.drain();
                    }
                    ProcessEvent::Announced(announcement) => self.announce(announcement),
                },
                Some(_drained) = self.draining.join_next() => {}
                request = requests.recv() => match request {
                    Some(reply) => drop(reply.send(self.begin_call().await)),
                    None => break,
                },
            }
        }
    }

    /// Passes on what the server has announced.
    fn announce(&mut self, Announcement { lists, resources }: Announcement) {
        self.next_list_at = Instant::now() + MIN_LIST_INTERVAL;
        lists.into_iter().for_each(|kind| self.shared.lists.get(kind).announce_change());
        resources.iter().for_each(|uri| self.shared.subscriptions.publish(uri));
    }

    /// Registers a call on a server that runs with the session's current credentials.
    async fn begin_call(&mut self) -> Result<CallGuard> {
        Ok(self.ensure_running().await?.begin_call())
    }

    /// Returns an up-to-date server, and starts or replaces it first if needed. Retries if the credentials rotate
    /// during the start.
    async fn ensure_running(&mut self) -> Result<&Arc<RunningServer>> {
        for _ in 0..MAX_STARTS_PER_CALL {
            if self.running.as_ref().is_some_and(|running| !running.server.is_open()) {
                self.discard("closed its connection");
            }
            if self.is_outdated() {
                self.drain();
            }
            if self.running.is_some() {
                break;
            }
            self.start_server().await?;
        }
        let unstable_credentials = "the session's credentials change faster than the server starts";
        match &self.running {
            Some(running) if !running.server.is_outdated(&self.shared) => Ok(&running.server),
            _ => Err(Error::new(ErrorKind::Unavailable, unstable_credentials)),
        }
    }

    /// Starts the server. If a rotation invalidates the start, the new process is killed and `running` stays `None`.
    async fn start_server(&mut self) -> Result<()> {
        self.backoff.check()?;
        let shared = Arc::clone(&self.shared);
        let ServerShared { name, config, account, spawn_config, .. } = &*shared;
        if config.delivery == Delivery::SigV4 {
            // Its handshake is signed too. Without credentials nothing is sent, so the server has not failed.
            account.credentials().await?;
        }
        if config.delivery == Delivery::Env {
            // Fetches first, so that the first fetch does not look like a rotation. The snapshot below may at worst be
            // older than the keys that the server gets, which causes a replacement.
            let _fetched = account.credentials().await;
        }
        let (snapshot, mut handshake) = (CredentialSnapshot::take(&shared), self.handshake);
        self.tried_version = snapshot.version;
        let target = StartTarget { name, config, account, has_access: true };
        let started = tokio::select! {
            biased;
            invalidated = start_invalidated(&shared, &snapshot, self.rotation_watcher.clone()) => {
                // Dropping the start future has killed its process.
                self.kill_if_revoked().await;
                return invalidated;
            }
            started = start_with_or_without_access(spawn_config, target, &mut handshake) => started,
        };
        self.handshake = handshake;
        let started = started.inspect_err(|error| {
            // Errors of the configuration and of the quota occur before a process is spawned, so they need no backoff.
            if !matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Throttled) {
                self.backoff.record_failure(error.message());
            }
        })?;
        self.install(started, snapshot);
        Ok(())
    }

    /// Makes a started process the one that accepts calls. The snapshot is that of the time before its start.
    fn install(&mut self, started: SpawnedServer, snapshot: CredentialSnapshot) {
        let SpawnedServer { slot, peer, session, connection, access } = started;
        tracing::debug!(server = %self.shared.name, pid = peer.pid(), "server started");
        let server = Arc::new(RunningServer {
            access,
            failure: peer.failure_source(),
            redactor: Arc::clone(&self.shared.spawn_config.redactor),
            cached_lists: PerList::default(),
            active_calls: slot.calls(),
            has_served: AtomicBool::new(false),
            is_disconnected: AtomicBool::new(false),
            snapshot,
            connection,
        });
        let connection = &server.connection;
        self.shared.with_status(|status| {
            status.pid = peer.pid();
            status.running = Some(Arc::clone(&server));
            status.offers = PerList::new(|kind| connection.offers(kind));
            status.supports_tasks = connection.supports_tasks();
            status.instructions = connection.instructions();
        });
        // The process knows no subscriptions yet.
        self.shared.subscriptions.request_sync();
        slot.mark_started();
        self.running = Some(RunningProcess { server, peer, slot, driver: session });
    }

    /// Handles a rotation of the account's credentials. Breaks when the session has ended.
    ///
    /// A server with [`Delivery::Endpoint`] fetches renewed credentials itself, and is replaced after any other change. With
    /// [`Delivery::Proxy`], a change applies to its next request, and the server stays.
    /// With [`Delivery::Env`], every change replaces the server. Calls in progress finish, unless the credentials in
    /// the environment were cleared.
    async fn handle_rotation(&mut self) -> ControlFlow<()> {
        if let Some(current) = self.shared.account.current() {
            self.reset_for_new_credentials(current.id);
        }
        if self.shared.account.is_closed() {
            return ControlFlow::Break(());
        }
        let replaced = self.is_outdated();
        if replaced {
            self.drain();
        }
        self.kill_if_revoked().await;
        if replaced && !self.shared.account.is_cleared() {
            self.shared.account.audit(AuditEvent::Rotate, &self.shared.name, None);
            if self.ensure_running().await.is_err() {
                tracing::debug!(server = %self.shared.name, "the replacement could not be started");
            }
        }
        ControlFlow::Continue(())
    }

    /// Resets the backoff when the account's credentials are not a renewal of the ones tried last, because the server
    /// may start with them. Requests the lists that failed last.
    fn reset_for_new_credentials(&mut self, credentials: CredentialsVersion) {
        let is_renewal =
            self.tried_version.is_some_and(|tried| credentials == tried || credentials.is_renewal_of(tried));
        if self.shared.config.delivery != Delivery::None && !is_renewal {
            self.backoff.reset();
            self.tried_version = Some(credentials);
            let lists = ListKind::ALL.into_iter().map(|kind| self.shared.lists.get(kind));
            lists.filter(|list| list.has_failed()).for_each(ListCache::request_round);
        }
    }

    /// Kills replaced servers, including their calls, whose environment holds cleared credentials. After an
    /// invalidation for another reason, such as a change of another account, calls in progress may finish.
    async fn kill_if_revoked(&mut self) {
        let cleared = |version| self.shared.account.was_cleared_since(version);
        if self.shared.config.delivery == Delivery::Env && self.draining_version.is_some_and(cleared) {
            self.kill_draining().await;
            self.draining_version = None;
        }
    }

    fn is_outdated(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.server.is_outdated(&self.shared))
    }

    /// Takes the process. No call begins on it from now on: calls begin with the status locked.
    fn take_running(&mut self) -> Option<RunningProcess> {
        self.shared.with_status(|status| (status.pid, status.running) = (None, None));
        self.running.take()
    }

    /// Accepts no new call on the server, and stops it when its calls in progress have finished.
    fn drain(&mut self) {
        let Some(running) = self.take_running() else { return };
        self.draining_version = running.server.snapshot.version.or(self.draining_version);
        self.reset_if_served(&running.server);
        let server = Arc::clone(&running.server);
        self.stop_in_background(running, async move {
            let _drained = timeout(CALL_DRAIN_TIMEOUT, server.active_calls.wait_idle()).await;
        });
    }

    /// Discards a failed server and records the failure. It is stopped in the background, so that other requests and
    /// rotations are handled meanwhile.
    fn discard(&mut self, reason: &'static str) {
        if let Some(running) = self.take_running() {
            tracing::debug!(server = %self.shared.name, reason, "server gone");
            self.reset_if_served(&running.server);
            self.backoff.record_failure(format!("it {reason}"));
            self.stop_in_background(running, std::future::ready(()));
        }
    }

    /// Forgets earlier failures if the process has worked.
    fn reset_if_served(&mut self, server: &RunningServer) {
        if server.has_served.load(Ordering::Acquire) {
            self.backoff.reset();
        }
    }

    /// Stops a process after `idle`, or kills it when the draining processes are killed.
    fn stop_in_background(
        &mut self,
        running: RunningProcess,
        idle: impl Future<Output = ()> + Send + 'static,
    ) {
        let kill = self.kill_draining.clone();
        running.slot.mark_stopping();
        self.draining.spawn(async move {
            tokio::select! {
                biased;
                () = kill.cancelled() => {}
                () = idle => {}
            }
            running.stop_or_kill(&kill).await;
        });
    }

    /// Kills the draining processes, including their calls, and waits until they have exited.
    async fn kill_draining(&mut self) {
        self.kill_draining.cancel();
        while self.draining.join_next().await.is_some() {}
        self.kill_draining = CancellationToken::new();
    }

    /// Stops the current process, and kills those that are draining: calls in progress on them end with the session.
    async fn stop_all(mut self) {
        self.kill_draining().await;
        let Some(running) = self.take_running() else { return };
        if self.shared.config.delivery == Delivery::Env && self.shared.account.is_closed() {
            // The session is closed, but the environment of the process still holds its credentials: kill it without a
            // grace period.
            running.peer.kill().await;
        } else {
            running.stop().await;
        }
    }
}

/// Starts a server. Some programs fetch credentials when they start, and end if there are none. If the account has none,
/// such a server is started again without access to any, so that it can list what it offers. If it fails again, the first
/// error is returned.
async fn start_with_or_without_access(
    spawn_config: &SpawnConfig,
    target: StartTarget<'_>,
    handshake: &mut Handshake,
) -> Result<SpawnedServer> {
    let started = spawn_config.start_server(target, handshake).await;
    let has_failed = matches!(&started, Err(error) if error.kind() == ErrorKind::Unavailable);
    let may_lack_credentials =
        target.config.delivery == Delivery::Endpoint && target.account.current().is_none();
    if !has_failed || !may_lack_credentials {
        return started;
    }
    tracing::debug!(server = target.name, "the server is started again, without access to credentials");
    let without_access = StartTarget { has_access: false, ..target };
    spawn_config.start_server(without_access, handshake).await.or(started)
}

/// Waits until the credentials of a starting server are stale. Returns an error when the session has ended.
async fn start_invalidated(
    shared: &ServerShared,
    snapshot: &CredentialSnapshot,
    mut rotations: Option<RotationWatcher>,
) -> Result<()> {
    while wait_rotation(&mut rotations).await.is_some() {
        if snapshot.is_stale(shared, None) {
            return Ok(());
        }
    }
    Err(shared.stopped_error())
}

/// Waits for the next rotation; returns `None` when the session has ended. Never returns for an account without
/// rotations.
async fn wait_rotation(rotations: &mut Option<RotationWatcher>) -> Option<Generation> {
    match rotations {
        Some(rotations) => rotations.changed().await,
        None => std::future::pending().await,
    }
}
