//! `GatewayReloader`: replaces the part of a running gateway's configuration that may change.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;

use super::auth::Authenticator;
use super::session_factory::SessionFactory;

/// The part of the configuration that may change while the gateway runs.
pub(super) struct LiveConfig {
    pub(super) factory: Arc<dyn SessionFactory>,
    pub(super) authenticator: Authenticator,
    /// Counts the reloads before this configuration.
    pub(super) generation: u64,
}

/// The current configuration, shared by a gateway and its reloaders.
#[derive(Clone)]
pub(super) struct LiveConfigCell(Arc<CellInner>);

struct CellInner {
    current: RwLock<Arc<LiveConfig>>,
    generation: watch::Sender<u64>,
}

impl LiveConfigCell {
    pub(super) fn new(factory: Arc<dyn SessionFactory>, authenticator: Authenticator) -> Self {
        let current = LiveConfig { factory, authenticator, generation: 0 };
        let generation = watch::Sender::new(0);
        Self(Arc::new(CellInner { current: RwLock::new(Arc::new(current)), generation }))
    }

    pub(super) fn current(&self) -> Arc<LiveConfig> {
        Arc::clone(&self.0.current.read())
    }

    /// Returns a receiver that reports each reload.
    pub(super) fn reloads(&self) -> watch::Receiver<u64> {
        self.0.generation.subscribe()
    }
}

/// Replaces the sessions and the authentication of a running [`HttpGateway`](super::HttpGateway). Returned by
/// [`HttpGateway::reloader`](super::HttpGateway::reloader).
///
/// # Examples
/// ```
/// use valetkey_core::Result;
/// use valetkey_mcp::http::{Authenticator, GatewayReloader, SessionFactory};
///
/// /// Accepts other tokens from the next request on.
/// fn replace_tokens(reloader: &GatewayReloader, sessions: impl SessionFactory, digest: &str) -> Result<()> {
///     reloader.reload(sessions, Authenticator::bearer().token(digest, "alice".parse()?)?);
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct GatewayReloader(pub(super) LiveConfigCell);

impl GatewayReloader {
    /// Replaces the factory and the authenticator.
    ///
    /// | part | effect |
    /// |---|---|
    /// | authenticator | decides from the next request on; event streams and calls in progress end if it does not accept the token with which they began |
    /// | new sessions | are described by `factory` |
    /// | open sessions | are closed if the authenticator accepts no token of their caller, or the factory does not [keep](SessionFactory::keeps_sessions) them, and continue otherwise |
    /// | servers of the sessions that continue, and of the catalog | change as with [`McpHost::reconfigure`](crate::McpHost::reconfigure) |
    pub fn reload(&self, factory: impl SessionFactory, authenticator: Authenticator) {
        let cell = &self.0.0;
        let mut current = cell.current.write();
        let generation = current.generation + 1;
        *current = Arc::new(LiveConfig { factory: Arc::new(factory), authenticator, generation });
        cell.generation.send_replace(generation);
    }
}

impl fmt::Debug for GatewayReloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayReloader").finish_non_exhaustive()
    }
}
