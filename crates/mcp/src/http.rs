//! `HttpGateway`: serves many principals over streamable HTTP, each with credential sessions of their own.
//!
//! | part | responsibility |
//! |---|---|
//! | `connections`, `router` | connections, and the checks that precede any message: names, paths, authentication |
//! | `auth`, `challenge` | the sender of a request, and the response to a request that is refused |
//! | `post`, `exchange` | one message: its protocol era, its run through rmcp, its response |
//! | `protocol_sessions` | the sessions of legacy clients, which are small records |
//! | `caller`, `tenant`, `tenants` | which credential session a call acts on, with its tools and processes |
//! | `session_key`, `shared` | the handle of a session, and sessions that several gateways serve from one store |
//! | `catalog` | the tools that every principal is shown |
//! | `live_config` | what a reload replaces |
//! | `monitor` | what an operator sees of it |

mod auth;
mod builder;
mod caller;
mod catalog;
mod challenge;
mod connections;
mod encoded_list;
mod events;
mod exchange;
mod headers;
mod link;
mod live_config;
mod message;
mod monitor;
mod post;
mod protocol_sessions;
mod quota;
mod response;
mod router;
mod session_factory;
mod session_key;
mod shared;
mod site;
mod stream;
mod tenant;
mod tenants;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use valetkey_core::{Error, ErrorKind, Result};

use catalog::Catalog;
use connections::accept_connections;
use protocol_sessions::ProtocolSessions;
use quota::Quotas;
use router::HttpState;
use session_factory::Listeners;
use tenants::{Tenants, TenantsConfig};

pub use auth::{
    Authenticator, CallerToken, ClaimRule, JwksSource, JwksUrl, JwtIssuer, JwtIssuerBuilder, StaticJwks,
    TokenExchange, VerifiedCaller,
};
pub use builder::HttpGatewayBuilder;
pub use live_config::GatewayReloader;
pub use monitor::{GatewayMonitor, GatewayStatus, RunningServer, TenantStatus};
pub use session_factory::{NewSession, SessionFactory};
pub use shared::{SharedSessions, SharedSessionsStatus, StoreOperationStatus};
pub use tls::TlsIdentity;

/// The first protocol version without protocol sessions.
const MODERN_VERSION: &str = "2026-07-28";
/// The time in which requests may finish when the gateway stops, before they are cancelled; and again before their
/// connections are abandoned.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves many principals over streamable HTTP, at the path `/mcp`, with the legacy and the modern protocol.
///
/// Each request is authenticated. It acts on a credential session of its principal: the one whose handle is in the
/// header `Valetkey-Session`, in the path (`/s/<handle>/mcp`) or in the argument `credential_session` of the call, or
/// else the one of its protocol session. A call for which no session is found fails; it never runs with the authority of the host. Each credential
/// session has server processes of its own, which start at its first call of a server's tool.
///
/// # Examples
/// ```no_run
/// use tokio::net::TcpListener;
/// use tokio_util::sync::CancellationToken;
/// use valetkey_core::{Result, SessionContext};
/// use valetkey_mcp::McpHostBuilder;
/// use valetkey_mcp::http::{Authenticator, HttpGateway, NewSession, SessionFactory, VerifiedCaller};
/// use valetkey_tools::ToolSet;
///
/// struct Sessions;
///
/// impl SessionFactory for Sessions {
///     fn new_session(&self, _: &VerifiedCaller) -> Result<NewSession> {
///         Ok(NewSession::new(SessionContext::builder(), |session| {
///             Ok(ToolSet::for_session(session.clone()))
///         }))
///     }
///
///     fn host(&self, _: &SessionContext) -> Option<McpHostBuilder> {
///         None
///     }
/// }
///
/// # async fn example(digest: &str) -> std::result::Result<(), Box<dyn std::error::Error>> {
/// let authenticator = Authenticator::bearer().token(digest, "alice".parse()?)?;
/// let gateway = HttpGateway::builder(Sessions, authenticator).build();
/// let listener = TcpListener::bind("127.0.0.1:7070").await?;
/// gateway.serve(listener, CancellationToken::new()).await?;
/// # Ok(())
/// # }
/// ```
pub struct HttpGateway(HttpGatewayBuilder);

impl HttpGateway {
    /// Returns a builder for a gateway whose sessions `sessions` describes, for the requests that `authenticator`
    /// accepts.
    pub fn builder(sessions: impl SessionFactory, authenticator: Authenticator) -> HttpGatewayBuilder {
        HttpGatewayBuilder::new(Arc::new(sessions), authenticator)
    }

    /// Returns a handle that replaces the sessions, the servers and the authentication of this gateway while it serves.
    #[must_use]
    pub fn reloader(&self) -> GatewayReloader {
        GatewayReloader(self.0.live.clone())
    }

    /// Returns a handle that reads the state of this gateway while it serves.
    #[must_use]
    pub fn monitor(&self) -> GatewayMonitor {
        self.0.monitor.clone()
    }

    /// Serves until `stop` fires. Then requests in progress finish or are cancelled, every session is closed, and every
    /// server is stopped.
    ///
    /// # Errors
    /// `Invalid` when other machines reach the listener, and the gateway does not [encrypt](HttpGatewayBuilder::tls) or
    /// does not authenticate; or when it listens on every address and has no
    /// [public URL](HttpGatewayBuilder::public_url). `Internal` when the listener has no address, or the
    /// gateway's own endpoint or folders cannot be created.
    ///
    /// # Cancel safety
    /// Not cancel safe. Dropping the future closes all sessions, but does not wait for the servers to exit. Cancel
    /// `stop` for an orderly shutdown.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> Result<()> {
        let internal = |what: &'static str| {
            move |error: std::io::Error| Error::new(ErrorKind::Internal, what).with_source(error)
        };
        let address = listener.local_addr().map_err(internal("the listener has no address"))?;
        self.0.check_address(address)?;
        let listeners =
            Listeners::start().await.map_err(internal("the credential endpoint cannot listen"))?;
        let HttpGatewayBuilder {
            live,
            mut site,
            tls,
            registry,
            quotas,
            records,
            process_quota,
            shared,
            access_requests,
            monitor,
        } = self.0;
        // Subscribes first, so that no reload after the catalog's start is missed.
        let reloads = live.reloads();
        site.add_listener(address, tls.is_some());
        let catalog = Arc::new(Catalog::start(&*live.current().factory, &listeners).await?);
        let tenants = TenantsConfig { listeners, registry, process_quota, shared, access_requests };
        let tenants = Arc::new(Tenants::new(live.clone(), tenants)?);
        let state = Arc::new(HttpState {
            site,
            tls,
            tenants,
            live,
            catalog,
            protocol_sessions: ProtocolSessions::new(records),
            quotas: Quotas::new(quotas),
            requests: TaskTracker::new(),
            stopping: CancellationToken::new(),
            abandoned: CancellationToken::new(),
            closed: CancellationToken::new(),
        });
        monitor.attach(&state);
        run(&state, listener, reloads, stop).await;
        Ok(())
    }
}

/// Runs a gateway, and stops it in this order: no further connection; requests finish, or are cancelled after
/// [`STOP_TIMEOUT`]; sessions and servers stop; connections end, or are closed after the timeout.
async fn run(
    state: &Arc<HttpState>,
    listener: TcpListener,
    reloads: watch::Receiver<u64>,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let tokens = [&state.stopping, &state.abandoned, &state.closed];
    let _stop_on_drop = tokens.map(|token| token.clone().drop_guard());
    tokio::select! {
        () = accept_connections(&listener, state, &connections) => {}
        () = state.tenants.keep_swept() => {}
        () = state.tenants.keep_current() => {}
        () = apply_reloads(state, reloads) => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    state.requests.close();
    connections.close();
    // Requests that finish in time still get their responses.
    let _elapsed = timeout(STOP_TIMEOUT, state.requests.wait()).await;
    state.abandoned.cancel();
    state.stopping.cancel();
    tokio::join!(state.tenants.stop(), state.catalog.stop());
    let _elapsed = timeout(STOP_TIMEOUT, connections.wait()).await;
    state.closed.cancel();
    connections.wait().await;
}

/// Applies each reload to the sessions and the catalog, until the future is dropped.
async fn apply_reloads(state: &HttpState, mut reloads: watch::Receiver<u64>) {
    // The state has a sender.
    while reloads.changed().await.is_ok() {
        let live = state.live.current();
        state.protocol_sessions.retain(|principal| live.authenticator.may_be_principal(principal));
        state.tenants.apply_reload();
        state.catalog.reload(&*live.factory);
    }
}

impl fmt::Debug for HttpGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpGateway").finish_non_exhaustive()
    }
}
