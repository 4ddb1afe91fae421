//! `OpsState`: what the operations listener shows, read at each request.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use valetkey::audit::AuditRecord;
use valetkey::mcp::McpHost;
use valetkey::mcp::http::{GatewayMonitor, SharedSessions, StoreOperationStatus};
use valetkey::{Clock, Expiry, SessionStatus, SystemClock, WeakSession};

use super::access::Access;
use super::audit::ObservedAudit;
use super::decisions::{AccessStatus, Decisions};

/// What is served, and where its state is read.
pub(crate) enum StatusSource {
    /// Many sessions over HTTP.
    Http { monitor: GatewayMonitor, shared: Option<SharedSessions> },
    /// One session on standard input and output.
    Stdio { session: WeakSession, host: Weak<McpHost> },
}

/// The state of a gateway, as far as an operator sees it.
pub(crate) struct OpsState {
    source: StatusSource,
    audit: Arc<ObservedAudit>,
    /// The requests for access, if an operator can decide about them.
    pub(super) decisions: Option<Decisions>,
    started: SystemTime,
}

/// The state at one moment, without secrets and handles.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    pid: u32,
    transport: &'static str,
    started_at: String,
    pub(super) ready: bool,
    /// Why the gateway is not ready.
    pub(super) reason: Option<&'static str>,
    /// The requests and event streams in progress.
    pub(super) requests: usize,
    /// The processes of servers.
    pub(super) processes: usize,
    pub(super) sessions: Vec<SessionEntry>,
    /// The store of sessions that several gateways serve, if there is one.
    pub(super) store: Option<StoreEntry>,
}

/// The state with the newest records of the audit log, newest first.
#[derive(Debug, Serialize)]
pub(super) struct FullStatus {
    #[serde(flatten)]
    status: Status,
    recent: Vec<AuditRecord>,
    /// The requests for access, if an operator can decide about them.
    access: Option<AccessStatus>,
}

/// How the gateway gets on with the session store.
#[derive(Debug, Serialize)]
pub(super) struct StoreEntry {
    pub(super) reached: bool,
    /// For how long it has not been reached.
    unreachable_seconds: Option<u64>,
    open_sessions: usize,
    /// Clears that the other gateways do not know of yet. They are lost with this process.
    pub(super) pending_clears: usize,
    pub(super) refreshes_led: u64,
    pub(super) refreshes_followed: u64,
    pub(super) refreshes_alone: u64,
    pub(super) refused_records: BTreeMap<&'static str, u64>,
    /// The operations that were called at least once, by name.
    pub(super) operations: BTreeMap<&'static str, OperationEntry>,
}

/// The calls of one operation of the session store.
#[derive(Debug, Serialize)]
pub(super) struct OperationEntry {
    pub(super) calls: u64,
    /// How long all of them took together.
    pub(super) total_seconds: f64,
    /// Calls that failed, by the kind of error.
    pub(super) errors: BTreeMap<&'static str, u64>,
}

/// One session.
#[derive(Debug, Serialize)]
pub(super) struct SessionEntry {
    #[serde(flatten)]
    session: SessionStatus,
    servers: Vec<ServerEntry>,
}

/// One process of a server.
#[derive(Debug, Serialize)]
struct ServerEntry {
    server: String,
    pid: u32,
}

impl OpsState {
    pub(crate) fn new(source: StatusSource, audit: Arc<ObservedAudit>, decisions: Option<Decisions>) -> Self {
        Self { source, audit, decisions, started: SystemClock.now() }
    }

    pub(super) fn status(&self) -> Status {
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            transport: "stdio",
            started_at: Expiry::At(self.started).to_string(),
            ready: false,
            reason: None,
            requests: 0,
            processes: 0,
            sessions: Vec::new(),
            store: None,
        };
        let reason = match &self.source {
            StatusSource::Http { monitor, shared } => {
                let stopped = status.read_gateway(monitor);
                let unreached = shared.as_ref().and_then(|shared| status.read_store(shared));
                stopped.or(unreached)
            }
            StatusSource::Stdio { session, host } => status.read_session(session, host),
        };
        status.ready = reason.is_none();
        status.reason = reason;
        status
    }

    /// Returns the state as a listener with these rules shows it.
    pub(super) fn full_status(&self, access: &Access) -> FullStatus {
        let mut recent = self.audit.recent();
        recent.reverse();
        let access = self.decisions.as_ref().map(|decisions| decisions.status(access));
        FullStatus { status: self.status(), recent, access }
    }

    pub(super) fn metrics(&self) -> String {
        let start_time = self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let waiting = self.decisions.as_ref().map_or(0, Decisions::waiting);
        self.audit.metrics.to_text(&self.status(), waiting, start_time)
    }
}

impl From<StoreOperationStatus> for OperationEntry {
    fn from(status: StoreOperationStatus) -> Self {
        let StoreOperationStatus { calls, total_time, errors, .. } = status;
        Self { calls, total_seconds: total_time.as_secs_f64(), errors }
    }
}

impl Status {
    /// Returns why the gateway is not ready.
    fn read_gateway(&mut self, monitor: &GatewayMonitor) -> Option<&'static str> {
        self.transport = "http";
        let Some(gateway) = monitor.status() else {
            return Some("the gateway does not serve yet, or has stopped");
        };
        self.requests = gateway.requests;
        self.processes = gateway.processes;
        self.sessions = gateway
            .sessions
            .into_iter()
            .map(|tenant| SessionEntry {
                session: tenant.session,
                servers: tenant
                    .servers
                    .into_iter()
                    .map(|running| ServerEntry { server: running.server, pid: running.pid })
                    .collect(),
            })
            .collect();
        gateway.stopping.then_some("the gateway is stopping")
    }

    /// Returns why sessions of other gateways cannot be served.
    fn read_store(&mut self, shared: &SharedSessions) -> Option<&'static str> {
        let store = shared.status();
        let reached = store.unreachable_for.is_none();
        self.store = Some(StoreEntry {
            reached,
            unreachable_seconds: store.unreachable_for.map(|time| time.as_secs()),
            open_sessions: store.open_sessions,
            pending_clears: store.pending_clears,
            refreshes_led: store.refreshes_led,
            refreshes_followed: store.refreshes_followed,
            refreshes_alone: store.refreshes_alone,
            refused_records: store.refused_records,
            operations: store.operations.into_iter().map(|(name, calls)| (name, calls.into())).collect(),
        });
        (!reached).then_some("the session store is not reached")
    }

    /// Returns why the session is not ready.
    fn read_session(&mut self, session: &WeakSession, host: &Weak<McpHost>) -> Option<&'static str> {
        let session = session.upgrade().map(|session| session.status());
        let Some(session) = session.filter(|session| !session.closed) else {
            return Some("the session has ended");
        };
        let host = host.upgrade();
        let pids = host.iter().flat_map(|host| host.pids().chain(host.narrowed_pids()));
        let servers: Vec<_> = pids.map(|(server, pid)| ServerEntry { server, pid }).collect();
        self.processes = servers.len();
        self.sessions.push(SessionEntry { session, servers });
        None
    }
}
