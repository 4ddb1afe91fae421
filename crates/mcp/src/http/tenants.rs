//! `Tenants`: the credential sessions of all principals, each with tools and server processes of its own.

use std::sync::{Arc, Weak};

use futures_util::future::join_all;
use moka::sync::Cache;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;
use valetkey_core::{
    Error, ErrorKind, Principal, RegistryBuilder, Result, SessionBuilder, SessionContext, SessionGuard,
    SessionHandle, SessionId, SessionRegistry,
};

use super::auth::VerifiedCaller;
use super::live_config::LiveConfigCell;
use super::monitor::TenantStatus;
use super::session_factory::{Listeners, NewSession, SessionFactory};
use super::session_key::SessionKey;
use super::shared::{SessionRecord, SharedRecords, SharedSessions};
use super::tenant::{RunningTenant, Tenant};
use crate::client::ClientContext;
use crate::connection::RefusedRequest;
use crate::gateway::{ContentSource, GatewayInner, OwnCalls};
use crate::host::{ItemRequest, ToolCall, error_result};
use crate::server::{ChangeCounters, ListChanges, RequestFailure};
use crate::subscriptions::{ResourceSubscription, UpdateQueue};
use crate::{AccessRequests, ProcessQuota};

/// The maximum number of callers whose small state is kept between requests.
const MAX_CALLERS: u64 = 10_000;

/// What distinguishes a session that is about to be opened from the others of its caller.
#[derive(Default)]
pub(super) struct NewTenant {
    pub(super) label: Option<String>,
    pub(super) record: Option<Arc<SessionRecord>>,
    /// The id that the session has on other nodes.
    pub(super) session: Option<SessionId>,
}

/// An open session in use.
pub(super) type TenantGuard = SessionGuard<Arc<Tenant>>;

/// What the sessions of all principals have in common, and their limits.
pub(super) struct TenantsConfig {
    pub(super) listeners: Listeners,
    pub(super) registry: RegistryBuilder,
    pub(super) process_quota: ProcessQuota,
    pub(super) shared: Option<SharedSessions>,
    /// The requests for access that an operator can decide about, if there is one.
    pub(super) access_requests: Option<AccessRequests>,
}

/// The sessions of all principals.
pub(super) struct Tenants {
    live: LiveConfigCell,
    /// Every session that was opened, for reloads.
    opened: Mutex<Vec<Weak<Tenant>>>,
    listeners: Listeners,
    registry: SessionRegistry<Arc<Tenant>>,
    /// Shared by the hosts of all sessions, too.
    process_quota: ProcessQuota,
    /// The requests for access that an operator can decide about, if there is one.
    access_requests: Option<AccessRequests>,
    /// Count the changes that servers of a principal's sessions announce.
    change_counters: Cache<Principal, Arc<ChangeCounters>>,
    /// The session of each caller for servers that are given no credentials.
    credential_free: Cache<VerifiedCaller, SessionHandle>,
    /// The sessions that other nodes serve, too.
    pub(super) shared: Option<Arc<SharedRecords>>,
}

impl Tenants {
    pub(super) fn new(live: LiveConfigCell, config: TenantsConfig) -> Result<Self> {
        let TenantsConfig { listeners, registry, process_quota, shared, access_requests } = config;
        let shared = shared.map(SharedRecords::new).transpose()?.map(Arc::new);
        Ok(Self {
            live,
            opened: Mutex::default(),
            listeners,
            registry: registry.build_with(),
            process_quota,
            access_requests,
            change_counters: Cache::new(MAX_CALLERS),
            credential_free: Cache::new(MAX_CALLERS),
            shared,
        })
    }

    /// Opens a session of this node for `caller`.
    pub(super) fn open(&self, caller: &VerifiedCaller, label: Option<String>) -> Result<TenantGuard> {
        self.open_tenant(caller, NewTenant { label, ..NewTenant::default() })
    }

    pub(super) fn open_tenant(&self, caller: &VerifiedCaller, new: NewTenant) -> Result<TenantGuard> {
        let live = self.live.current();
        let NewSession { builder, complete } = live.factory.new_session(caller)?;
        let NewTenant { label, record, session } = new;
        let builder = session.into_iter().fold(builder, SessionBuilder::session_id);
        let principal = caller.principal();
        let opened = self.registry.open_with(principal.clone(), builder, |session| {
            let (tools, caller) = (complete(session), caller.clone());
            if let (Some(records), Some(record)) = (&self.shared, &record) {
                records.share_refreshes(record, session, live.factory.configuration());
            }
            Arc::new(Tenant {
                session: session.downgrade(),
                tools,
                caller,
                running: OnceCell::new(),
                own_calls: Arc::new(OwnCalls::new(self.access_requests.clone())),
                label,
                record,
            })
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

    /// Describes the open sessions, oldest first.
    pub(super) fn statuses(&self) -> Vec<TenantStatus> {
        let opened: Vec<_> = self.opened.lock().iter().filter_map(Weak::upgrade).collect();
        opened.iter().filter_map(|tenant| tenant.status()).collect()
    }

    /// Returns the number of server processes of all sessions.
    pub(super) fn running_processes(&self) -> usize {
        self.process_quota.running()
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
            self.close_local(principal, &handle);
        }
    }

    /// Returns the session of this handle if it belongs to `caller`.
    pub(super) async fn find(&self, caller: &VerifiedCaller, key: &SessionKey) -> Result<TenantGuard> {
        match key {
            SessionKey::Local(handle) => self.find_local(caller, handle),
            SessionKey::Shared(handle) => self.find_shared(caller, handle).await,
        }
    }

    /// Returns the session of this handle in the registry if it belongs to `caller`. A session that the same principal
    /// opened with other claims has another authority, and is not found.
    pub(super) fn find_local(&self, caller: &VerifiedCaller, handle: &SessionHandle) -> Result<TenantGuard> {
        let found = self.registry.find(caller.principal(), handle)?;
        if found.value().served_session().is_some_and(SessionContext::is_closed) {
            // The tools had a part of the session, which a clear or its lifetime has ended.
            self.close_local(caller.principal(), handle);
            return Err(Error::new(ErrorKind::Closed, "the session of the tools has ended"));
        }
        if found.value().caller == *caller {
            found.value().caller.renew_token(caller);
            return Ok(found);
        }
        Err(Error::new(ErrorKind::Closed, "the session was opened with other claims"))
    }

    /// Returns the session of `caller` from which the narrowed session that the arguments name was narrowed.
    ///
    /// # Errors
    /// `Closed` if there is none; those of the store and of the session.
    pub(super) async fn find_narrowed(
        &self,
        caller: &VerifiedCaller,
        arguments: &Map<String, Value>,
    ) -> Result<TenantGuard> {
        let mut sessions = self.sessions(caller.principal()).into_iter();
        let here = sessions.find(|(_, tenant)| tenant.has_narrowed(arguments));
        let Some((handle, _)) = here else { return self.find_narrowed_shared(caller, arguments).await };
        let found = self.find_local(caller, &handle)?;
        self.make_current(&found).await?;
        Ok(found)
    }

    /// Returns the session of `caller` in which a call started this task, `preferred` if several have a task of the name.
    pub(super) fn find_task(
        &self,
        caller: &VerifiedCaller,
        preferred: Option<SessionHandle>,
        task: &str,
    ) -> Option<TenantGuard> {
        let has_it = |tenant: &Arc<Tenant>| {
            let host = tenant.running.get().and_then(|running| running.gateway.host());
            host.is_some_and(|host| host.has_task(task))
        };
        let mut sessions = self.sessions(caller.principal());
        sessions.retain(|(_, tenant)| has_it(tenant));
        sessions.sort_by_key(|(handle, _)| Some(*handle) != preferred);
        sessions.into_iter().find_map(|(handle, _)| self.find_local(caller, &handle).ok())
    }

    /// Returns the session in which a call runs that names none and is for a server without credentials.
    pub(super) fn credential_free(&self, caller: &VerifiedCaller) -> Result<TenantGuard> {
        // The key outlives the request, and must not keep its token.
        let key = &caller.without_token();
        let known = self.credential_free.get(key).and_then(|handle| self.find_local(caller, &handle).ok());
        if let Some(session) = known {
            return Ok(session);
        }
        self.credential_free.invalidate(key);
        let label = Some("servers without credentials".to_owned());
        let open = || self.open(caller, label).map(|opened| opened.handle());
        let handle = self.credential_free.try_get_with_by_ref(key, open);
        self.find_local(caller, &handle.map_err(|error: Arc<Error>| Error::clone(&error))?)
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

    /// Closes a session of `principal` on this node, and returns whether there was one.
    pub(super) fn close_local(&self, principal: &Principal, handle: &SessionHandle) -> bool {
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
        if let Some(tools) = session.value().tools().filter(|tools| tools.get(&call.name).is_some()) {
            let own_calls = Arc::clone(&session.value().own_calls);
            let gateway = GatewayInner::new(tools.clone(), None, own_calls);
            return self.call_shared(session, &gateway, call, context).await;
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
        let served = tools.session().unwrap_or(session).clone();
        let host = self.listeners.host_builder(&*live.factory, &served);
        let host = host.process_quota(self.process_quota.clone()).change_counters(counters).start().await?;
        Ok(RunningTenant {
            session: served,
            gateway: GatewayInner::new(tools, Some(Arc::new(host)), Arc::clone(&session.value().own_calls)),
            generation: Mutex::new(live.generation),
        })
    }

    /// Closes every session, and waits until all servers have exited.
    pub(super) async fn stop(&self) {
        let tenants = self.registry.drain();
        let hosts = tenants.iter().filter_map(|tenant| tenant.running.get()?.gateway.host());
        join_all(hosts.map(|host| host.stop())).await;
        self.listeners.stop().await;
    }
}

/// Returns the error for a call for which no session is found.
pub(super) fn no_session() -> Error {
    Error::new(ErrorKind::NotConfigured, "the call names no credential session").with_next_step(
        "call `create_credential_session` and give its handle as `credential_session`, or let the client send the \
         handle in the header `Valetkey-Session`",
    )
}
