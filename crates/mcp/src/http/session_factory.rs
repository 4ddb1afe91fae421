//! `SessionFactory`: describes the sessions of a gateway over HTTP, and the servers of each.

use std::fmt;

use valetkey_core::{AccountName, Result, SessionBuilder, SessionContext};
use valetkey_tools::ToolSet;

use super::auth::VerifiedCaller;
use crate::shared_proxy::SharedProxy;
use crate::{CredentialEndpoint, McpConfig, McpHost, McpHostBuilder};

type CompleteSession = dyn FnOnce(&SessionContext) -> Result<ToolSet> + Send;

/// A session that is about to be opened, and the step that completes it.
///
/// # Examples
/// ```
/// use valetkey_core::SessionContext;
/// use valetkey_mcp::http::NewSession;
/// use valetkey_tools::ToolSet;
///
/// let session = NewSession::new(SessionContext::builder(), |session| {
///     Ok(ToolSet::for_session(session.clone()))
/// });
/// # drop(session);
/// ```
pub struct NewSession {
    pub(super) builder: SessionBuilder,
    pub(super) complete: Box<CompleteSession>,
}

impl NewSession {
    /// Creates a session from `builder`. Once it is open, `complete` sets its providers and returns its tools.
    pub fn new(
        builder: SessionBuilder,
        complete: impl FnOnce(&SessionContext) -> Result<ToolSet> + Send + 'static,
    ) -> Self {
        Self { builder, complete: Box::new(complete) }
    }
}

impl fmt::Debug for NewSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSession").finish_non_exhaustive()
    }
}

/// Describes the sessions of an [`HttpGateway`](super::HttpGateway).
///
/// # Examples
/// ```
/// use valetkey_core::{Error, ErrorKind, Principal, Result, SessionContext};
/// use valetkey_mcp::http::{NewSession, SessionFactory, VerifiedCaller};
/// use valetkey_mcp::{McpConfig, McpHost, McpHostBuilder};
/// use valetkey_tools::ToolSet;
///
/// struct Sessions {
///     config: McpConfig,
///     administrators: Vec<Principal>,
/// }
///
/// impl SessionFactory for Sessions {
///     fn new_session(&self, caller: &VerifiedCaller) -> Result<NewSession> {
///         if !self.administrators.contains(caller.principal()) {
///             return Err(Error::new(ErrorKind::Denied, "only administrators may open a session"));
///         }
///         Ok(NewSession::new(SessionContext::builder(), |session| Ok(ToolSet::for_session(session.clone()))))
///     }
///
///     fn host(&self, session: &SessionContext) -> Option<McpHostBuilder> {
///         Some(McpHost::builder(session, self.config.clone()))
///     }
/// }
///
/// let sessions = Sessions { config: McpConfig::default(), administrators: vec!["alice".parse()?] };
/// assert!(sessions.new_session(&VerifiedCaller::new("alice".parse()?)).is_ok());
/// let refused = sessions.new_session(&VerifiedCaller::new("bob".parse()?));
/// assert_eq!(refused.unwrap_err().kind(), ErrorKind::Denied);
/// # Ok::<(), valetkey_core::Error>(())
/// ```
pub trait SessionFactory: Send + Sync + 'static {
    /// Returns a new session for an authenticated caller. The gateway sets the session's principal.
    ///
    /// The servers of the session run for the session of its tools: for tools of a part of the session
    /// ([narrowed](SessionContext::narrow)), they have no more authority than that part.
    ///
    /// # Errors
    /// `Denied` when the caller may have no session.
    fn new_session(&self, caller: &VerifiedCaller) -> Result<NewSession>;

    /// Returns the host of the servers of a session that this factory described, or `None` without servers. Called at
    /// the first call of a server's tool.
    ///
    /// The gateway replaces the builder's [endpoint](McpHostBuilder::endpoint) and
    /// [quota](McpHostBuilder::process_quota) with those that all its sessions share.
    fn host(&self, session: &SessionContext) -> Option<McpHostBuilder>;

    /// Whether the open sessions of this caller continue when this factory [replaces](super::GatewayReloader::reload)
    /// the one that described them (default: yes). Otherwise they are closed.
    fn keeps_sessions(&self, caller: &VerifiedCaller) -> bool {
        let _ = caller;
        true
    }

    /// Identifies everything that decides what the accounts of a session may do. Gateways that
    /// [share](super::SharedSessions) sessions use the credentials that another of them has fetched only if both have the
    /// same value (default: none, so that each gateway fetches its own).
    ///
    /// Return a digest of the accounts, roles, policies and principals of the configuration. A value that leaves out a
    /// part of them lets a gateway with a new configuration serve what one with the previous configuration has fetched,
    /// until that expires.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::{Result, SessionContext};
    /// use valetkey_mcp::McpHostBuilder;
    /// use valetkey_mcp::http::{NewSession, SessionFactory, VerifiedCaller};
    /// use valetkey_tools::ToolSet;
    ///
    /// struct Sessions {
    ///     /// The digest of the file from which they are configured.
    ///     digest: String,
    /// }
    ///
    /// impl SessionFactory for Sessions {
    ///     fn new_session(&self, _: &VerifiedCaller) -> Result<NewSession> {
    ///         Ok(NewSession::new(SessionContext::builder(), |session| Ok(ToolSet::for_session(session.clone()))))
    ///     }
    ///
    ///     fn host(&self, _: &SessionContext) -> Option<McpHostBuilder> {
    ///         None
    ///     }
    ///
    ///     fn configuration(&self) -> Option<String> {
    ///         Some(self.digest.clone())
    ///     }
    /// }
    /// ```
    fn configuration(&self) -> Option<String> {
        None
    }

    /// Returns a session that has every account of the configuration and no provider. The gateway uses it to list the
    /// tools of the servers, which are the same for every principal (default: a session with the default account).
    fn catalog_session(&self) -> SessionContext {
        SessionContext::builder().build()
    }

    /// Returns a session for the accounts that sign lists: those that servers name as their
    /// [`list_account`](crate::config::ServerConfig::list_account) (default: none, so that the items of these servers are
    /// not listed). The gateway uses no other account of it, and closes it at the next reload and when it stops.
    fn list_session(&self) -> Option<SessionContext> {
        None
    }

    /// Returns the credential tools that the gateway lists, which are the same for every principal. `session` is that of
    /// the catalog (default: the tools of [`ToolSet::for_session`]). Override it if the tools of sessions include others,
    /// such as [`request_aws_access`](valetkey_tools::REQUEST_ACCESS).
    fn catalog_tools(&self, session: &SessionContext) -> ToolSet {
        ToolSet::for_session(session.clone())
    }

    /// Returns the accounts that a new session of this caller has, the default one first. The gateway lists them as
    /// the values of the argument `aws_account` of servers' tools, if there are several (default: none, so that the
    /// argument is not listed until the session of a request is known).
    fn accounts(&self, _caller: &VerifiedCaller) -> Vec<AccountName> {
        Vec::new()
    }
}

/// Returns the host that the factory describes, without servers if it describes none: a reload may add some.
pub(super) fn host_builder(factory: &dyn SessionFactory, session: &SessionContext) -> McpHostBuilder {
    factory.host(session).unwrap_or_else(|| McpHost::builder(session, McpConfig::default()))
}

/// What the hosts of all sessions deliver credentials through. Clones share the listeners.
#[derive(Clone)]
pub(super) struct Listeners {
    endpoint: CredentialEndpoint,
    proxy: SharedProxy,
}

impl Listeners {
    pub(super) async fn start() -> std::io::Result<Self> {
        Ok(Self { endpoint: CredentialEndpoint::start().await?, proxy: SharedProxy::default() })
    }

    /// Like the [function](host_builder), for a host that shares these listeners.
    pub(super) fn host_builder(
        &self,
        factory: &dyn SessionFactory,
        session: &SessionContext,
    ) -> McpHostBuilder {
        host_builder(factory, session).endpoint(self.endpoint.clone()).shared_proxy(self.proxy.clone())
    }

    pub(super) async fn stop(&self) {
        self.endpoint.stop().await;
        self.proxy.stop().await;
    }
}
