//! `Tenants`: the credential sessions of all principals, each with tools and server processes of its own.

use std::fmt;
use std::sync::{Arc, Weak};

use futures_util::future::join_all;
use moka::sync::Cache;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;
use valetkey_core::{
    AccountName, Error, ErrorKind, Principal, RegistryBuilder, Result, SessionBuilder, SessionContext,
    SessionGuard, SessionHandle, SessionRegistry,
};
use valetkey_tools::ToolSet;

use super::auth::VerifiedCaller;
use super::live_config::{LiveConfig, LiveConfigCell};
use crate::client::ClientContext;
use crate::connection::RefusedRequest;
use crate::gateway::{ContentSource, GatewayInner};
use crate::host::{ChangeCounters, ItemRequest, ListChanges, RequestFailure, ToolCall, error_result};
use crate::subscriptions::{ResourceSubscription, UpdateQueue};
use crate::{CredentialEndpoint, McpConfig, McpHost, McpHostBuilder, ProcessQuota};

/// The maximum number of callers whose small state is kept between requests.
const MAX_CALLERS: u64 = 10_000;

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
    builder: SessionBuilder,
    complete: Box<CompleteSession>,
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

    /// Returns a session that has every account of the configuration and no provider. The gateway uses it to list the
    /// tools of the servers, which are the same for every principal (default: a session with the default account).
    fn catalog_session(&self) -> SessionContext {
        SessionContext::builder().build()
    }

    /// Returns the accounts that a new session of this caller has, the default one first. The gateway lists them as
    /// the values of the argument `aws_account` of servers' tools, if there are several (default: none, so that the
    /// argument is not listed until the session of a request is known).
    fn accounts(&self, _caller: &VerifiedCaller) -> Vec<AccountName> {
        Vec::new()
    }
}

/// The part of a session that is kept beside it: its tools, and its servers from the first call on.
pub(super) struct Tenant {
    tools: Result<ToolSet>,
    /// The caller that opened the session.
    caller: VerifiedCaller,
    running: OnceCell<RunningTenant>,
    pub(super) label: Option<String>,
}

/// The servers of a session, from the first call on.
struct RunningTenant {
    session: SessionContext,
    gateway: GatewayInner,
    /// The configuration that the servers have.
    generation: Mutex<u64>,
}

impl RunningTenant {
    /// Gives the servers the current configuration, if they have an earlier one.
    fn refresh(&self, live: &LiveConfig) {
        let mut generation = self.generation.lock();
        if *generation >= live.generation {
            return;
        }
        *generation = live.generation;
        let builder = host_builder(&*live.factory, &self.session);
        if let Some(Err(error)) = self.gateway.host().map(|host| host.reconfigure(builder)) {
            tracing::error!(session = %self.session.id(), %error, "the session keeps its servers");
        }
    }
}

/// Returns the host that the factory describes, without servers if it describes none: a reload may add some.
pub(super) fn host_builder(factory: &dyn SessionFactory, session: &SessionContext) -> McpHostBuilder {
    factory.host(session).unwrap_or_else(|| McpHost::builder(session, McpConfig::default()))
}

/// An open session in use.
pub(super) type TenantGuard = SessionGuard<Arc<Tenant>>;

/// The sessions of all principals.
pub(super) struct Tenants {
    live: LiveConfigCell,
    /// Every session that was opened, for reloads.
    opened: Mutex<Vec<Weak<Tenant>>>,
    /// Shared by the hosts of all sessions.
    endpoint: CredentialEndpoint,
    registry: SessionRegistry<Arc<Tenant>>,
    /// Shared by the hosts of all sessions, too.
    process_quota: ProcessQuota,
    /// Count the changes that servers of a principal's sessions announce.
    change_counters: Cache<Principal, Arc<ChangeCounters>>,
    /// The session of each caller for servers that are given no credentials.
    credential_free: Cache<VerifiedCaller, SessionHandle>,
}

impl Tenants {
    pub(super) fn new(
        live: LiveConfigCell,
        endpoint: CredentialEndpoint,
        registry: RegistryBuilder,
        process_quota: ProcessQuota,
    ) -> Self {
        Self {
            live,
            opened: Mutex::default(),
            endpoint,
            registry: registry.build_with(),
            process_quota,
            change_counters: Cache::new(MAX_CALLERS),
            credential_free: Cache::new(MAX_CALLERS),
        }
    }

    /// Opens a session for `caller`.
    pub(super) fn open(&self, caller: &VerifiedCaller, label: Option<String>) -> Result<TenantGuard> {
        let live = self.live.current();
        let NewSession { builder, complete } = live.factory.new_session(caller)?;
        let principal = caller.principal();
        let opened = self.registry.open_with(principal.clone(), builder, |session| {
            let (tools, caller) = (complete(session), caller.clone());
            Arc::new(Tenant { tools, caller, running: OnceCell::new(), label })
        })?;
        if let Err(error) = &opened.value().tools {
            let error = error.clone();
            self.registry.close(principal, &opened.handle());
            return Err(error);
        }
        self.record_opened(opened.value());
        if self.live.current().generation != live.generation {
            // The configuration was replaced meanwhile.
            self.apply_reload();
        }
        Ok(opened)
    }

    /// Returns the current factory.
    pub(super) fn factory(&self) -> Arc<dyn SessionFactory> {
        Arc::clone(&self.live.current().factory)
    }

    fn record_opened(&self, tenant: &Arc<Tenant>) {
        let mut opened = self.opened.lock();
        if opened.len() == opened.capacity() {
            opened.retain(|tenant| tenant.strong_count() > 0);
        }
        opened.push(Arc::downgrade(tenant));
    }

    /// Closes the sessions that the current configuration does not keep, or whose callers it refuses, and gives the
    /// servers of the others their current configuration.
    pub(super) fn apply_reload(&self) {
        let live = self.live.current();
        let opened: Vec<_> = self.opened.lock().iter().filter_map(Weak::upgrade).collect();
        for tenant in opened {
            let is_kept =
                live.authenticator.may_accept(&tenant.caller) && live.factory.keeps_sessions(&tenant.caller);
            if !is_kept {
                self.close_tenant(&tenant);
            } else if let Some(running) = tenant.running.get() {
                running.refresh(&live);
            }
        }
    }

    fn close_tenant(&self, tenant: &Arc<Tenant>) {
        let principal = tenant.caller.principal();
        let sessions = self.sessions(principal).into_iter();
        for (handle, _) in sessions.filter(|(_, other)| Arc::ptr_eq(other, tenant)) {
            self.close(principal, &handle);
        }
    }

    /// Returns the session of this handle if it belongs to `caller`. A session that the same principal opened with other
    /// claims has another authority, and is not found.
    pub(super) fn find(&self, caller: &VerifiedCaller, handle: &SessionHandle) -> Result<TenantGuard> {
        let found = self.registry.find(caller.principal(), handle)?;
        if found.value().caller == *caller {
            found.value().caller.renew_token(caller);
            return Ok(found);
        }
        Err(Error::new(ErrorKind::Closed, "the session was opened with other claims"))
    }

    /// Returns the session of `caller` from which the narrowed session that the arguments name was narrowed.
    pub(super) fn find_narrowed(
        &self,
        caller: &VerifiedCaller,
        arguments: &Map<String, Value>,
    ) -> Option<TenantGuard> {
        let has_it = |tenant: &Arc<Tenant>| match &tenant.tools {
            Ok(tools) => matches!(tools.extract_session(&mut arguments.clone()), Ok(Some(_))),
            Err(_) => false,
        };
        let (handle, _) = self.sessions(caller.principal()).into_iter().find(|(_, tenant)| has_it(tenant))?;
        self.find(caller, &handle).ok()
    }

    /// Returns the session of `caller` in which a call started this task.
    pub(super) fn find_task(&self, caller: &VerifiedCaller, task: &str) -> Option<TenantGuard> {
        let has_it = |tenant: &Arc<Tenant>| {
            let host = tenant.running.get().and_then(|running| running.gateway.host());
            host.is_some_and(|host| host.has_task(task))
        };
        let sessions = self.sessions(caller.principal()).into_iter();
        sessions.filter(|(_, tenant)| has_it(tenant)).find_map(|(handle, _)| self.find(caller, &handle).ok())
    }

    /// Returns the session in which a call runs that names none and is for a server without credentials.
    pub(super) fn credential_free(&self, caller: &VerifiedCaller) -> Result<TenantGuard> {
        // The key outlives the request, and must not keep its token.
        let key = &caller.without_token();
        let known = self.credential_free.get(key).and_then(|handle| self.find(caller, &handle).ok());
        if let Some(session) = known {
            return Ok(session);
        }
        self.credential_free.invalidate(key);
        let label = Some("servers without credentials".to_owned());
        let open = || self.open(caller, label).map(|opened| opened.handle());
        let handle = self.credential_free.try_get_with_by_ref(key, open);
        self.find(caller, &handle.map_err(|error: Arc<Error>| Error::clone(&error))?)
    }

    /// Returns the changes of lists that servers of the principal's sessions announce from now on.
    pub(super) fn list_changes(&self, principal: &Principal) -> ListChanges {
        self.counters(principal).subscribe()
    }

    fn counters(&self, principal: &Principal) -> Arc<ChangeCounters> {
        self.change_counters.get_with_by_ref(principal, Arc::default)
    }

    /// Returns the open sessions of `principal`.
    pub(super) fn sessions(&self, principal: &Principal) -> Vec<(SessionHandle, Arc<Tenant>)> {
        self.registry.list(principal)
    }

    /// Closes a session of `principal`, and returns whether there was one.
    pub(super) fn close(&self, principal: &Principal, handle: &SessionHandle) -> bool {
        self.registry.close(principal, handle).is_some()
    }

    /// Closes ended sessions, until the future is dropped.
    pub(super) async fn keep_swept(&self) {
        self.registry.keep_swept().await;
    }

    /// Calls a tool in a session. A tool of a server starts the session's servers.
    pub(super) async fn call(
        &self,
        session: &TenantGuard,
        call: ToolCall,
        context: &ClientContext,
    ) -> std::result::Result<Option<Value>, RefusedRequest> {
        match &session.value().tools {
            Ok(tools) if tools.get(&call.name).is_some() => {
                return GatewayInner::new(tools.clone(), None).call_tool(call, context).await;
            }
            _ => {}
        }
        match self.gateway(session).await {
            Ok(gateway) => gateway.call_tool(call, context).await,
            Err(error) => Ok(Some(error_result(&error))),
        }
    }

    /// Sends a request to a server of a session, which starts the session's servers.
    pub(super) async fn request(
        &self,
        session: &TenantGuard,
        request: ItemRequest,
        context: &ClientContext,
    ) -> std::result::Result<Value, RequestFailure> {
        self.gateway(session).await?.request(request, context).await
    }

    /// Returns the tools of a session with its servers, which are started at the first call.
    async fn gateway<'a>(&self, session: &'a TenantGuard) -> Result<&'a GatewayInner> {
        let running = session.value().running.get_or_try_init(|| self.start(session)).await?;
        // A reload may have happened while the host was started.
        running.refresh(&self.live.current());
        Ok(&running.gateway)
    }

    /// Subscribes to a resource of a server of a session, which starts the session's servers.
    pub(super) async fn subscribe(
        &self,
        session: &TenantGuard,
        uri: &str,
        queue: &Arc<UpdateQueue>,
        context: &ClientContext,
    ) -> std::result::Result<ResourceSubscription, RequestFailure> {
        self.gateway(session).await?.subscribe(uri, queue, context).await
    }

    /// Starts the host of a session at its first call of a server's tool. A session that uses only credential tools
    /// starts none.
    async fn start(&self, session: &TenantGuard) -> Result<RunningTenant> {
        let tools = session.value().tools.clone()?;
        let live = self.live.current();
        let counters = self.counters(session.value().caller.principal());
        let host = host_builder(&*live.factory, session).endpoint(self.endpoint.clone());
        let host = host.process_quota(self.process_quota.clone()).change_counters(counters).start().await?;
        Ok(RunningTenant {
            session: SessionContext::clone(session),
            gateway: GatewayInner::new(tools, Some(Arc::new(host))),
            generation: Mutex::new(live.generation),
        })
    }

    /// Closes every session, and waits until all servers have exited.
    pub(super) async fn stop(&self) {
        let tenants = self.registry.drain();
        let hosts = tenants.iter().filter_map(|tenant| tenant.running.get()?.gateway.host());
        join_all(hosts.map(|host| host.stop())).await;
        self.endpoint.stop().await;
    }
}

/// Returns the error for a call for which no session is found.
pub(super) fn no_session() -> Error {
    Error::new(ErrorKind::NotConfigured, "the call names no credential session").with_next_step(
        "call `create_credential_session` and give its handle as `credential_session`, or let the client send the \
         handle in the header `Valetkey-Session`",
    )
}
