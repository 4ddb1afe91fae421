//! `GatewayMonitor`: what a running gateway serves, for its operator.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use serde::Serialize;
use valetkey_core::SessionStatus;

use super::router::HttpState;

/// Reads the state of an [`HttpGateway`](super::HttpGateway) while it serves. Returned by
/// [`HttpGateway::monitor`](super::HttpGateway::monitor). Clones read the same gateway.
///
/// A monitor keeps nothing alive, and its methods do not block on a request in progress.
///
/// # Examples
/// ```
/// use valetkey_mcp::http::GatewayMonitor;
///
/// /// Whether a balancer should send requests to this gateway.
/// fn is_ready(monitor: &GatewayMonitor) -> bool {
///     monitor.status().is_some_and(|status| !status.stopping)
/// }
/// ```
#[derive(Clone, Default)]
pub struct GatewayMonitor(Arc<OnceLock<Weak<HttpState>>>);

/// Describes a gateway without its secrets and without the handles of its sessions.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GatewayStatus {
    /// Whether the gateway is stopping, and refuses further requests.
    pub stopping: bool,
    /// The number of requests and event streams in progress.
    pub requests: usize,
    /// The number of server processes and of connections to remote servers, including those that are starting or stopping,
    /// without those of the catalog.
    pub processes: usize,
    /// The open sessions, oldest first.
    pub sessions: Vec<TenantStatus>,
}

/// Describes one credential session of a gateway.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TenantStatus {
    /// The session, its principal and its accounts.
    #[serde(flatten)]
    pub session: SessionStatus,
    /// The label that its client gave it.
    pub label: Option<String>,
    /// The server processes that run for it.
    pub servers: Vec<RunningServer>,
}

/// One server process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunningServer {
    /// The name of the server.
    pub server: String,
    /// The process that leads the process group of the server.
    pub pid: u32,
}

impl RunningServer {
    pub(super) fn new((server, pid): (String, u32)) -> Self {
        Self { server, pid }
    }
}

impl GatewayMonitor {
    /// Returns the state of the gateway; `None` before it serves, and after it has stopped.
    #[must_use]
    pub fn status(&self) -> Option<GatewayStatus> {
        let state = self.0.get()?.upgrade()?;
        Some(GatewayStatus {
            stopping: state.stopping.is_cancelled() || state.requests.is_closed(),
            requests: state.requests.len(),
            processes: state.tenants.running_processes(),
            sessions: state.tenants.statuses(),
        })
    }

    /// Attaches the state of the gateway that has begun to serve.
    pub(super) fn attach(&self, state: &Arc<HttpState>) {
        // A gateway serves once.
        let _attached = self.0.set(Arc::downgrade(state));
    }
}

impl fmt::Debug for GatewayMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayMonitor").finish_non_exhaustive()
    }
}
