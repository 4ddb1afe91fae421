//! `McpHost`: the servers of a session, started as its children, listed and called.

mod builder;
mod catalog;
mod crew;
mod crews;
mod definition;
mod launch;
mod name;
mod policies;
mod restarts;
mod server;

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use valetkey_core::{AccountName, Error, ErrorKind, Result, SessionAccount, SessionContext, SessionId};
use valetkey_tools::ToolOutput;

use crate::child::Delivery;
use crate::config::{ConfigError, McpConfig};
use crate::json::round_numbers;
use crate::{CredentialEndpoint, Redactor};

pub use builder::McpHostBuilder;
pub use catalog::{ProxiedTool, ServerFault, ToolCatalog};

use crew::ServerLease;
use crews::NarrowedServerPool;
use name::NamePrefixes;
use policies::ToolPolicies;
use server::{Server, ToolList, cancelled_error};

/// The servers of one session.
///
/// A server is started when its tools are first listed or called, with or without credentials. Before each call the
/// session must have usable ones, or the call is refused: it never runs as the host. The host lends the session and
/// does not keep it alive; once the session ends, the servers are stopped. [`shutdown`](Self::shutdown) stops them and
/// waits until they are gone; dropping the host kills them.
///
/// A process has one set of credentials. So what runs with less, a tool that has a
/// [policy](McpHostBuilder::tool_policy) or a call [for](Self::call_for) a narrowed session, runs in processes of its
/// own of the same server, with a home of their own: started at the first such call, stopped when there was none for a
/// while.
pub struct McpHost {
    session_id: SessionId,
    servers: Vec<Server>,
    /// The same servers for narrowed sessions.
    narrowed_pool: Arc<NarrowedServerPool>,
    policies: ToolPolicies,
    prefixes: NamePrefixes,
    config_faults: Vec<ConfigError>,
    redactor: Arc<Redactor>,
    /// Which tool of which server was last listed under a name.
    routes: Mutex<HashMap<String, ToolRoute>>,
    list_budget: Duration,
    change_counter: watch::Sender<u64>,
    /// Refreshes the session ahead of need, so that the endpoint answers from memory.
    refresher: JoinHandle<()>,
    /// Ours unless it was handed in.
    owned_endpoint: Option<CredentialEndpoint>,
}

#[derive(Clone)]
struct ToolRoute {
    server: usize,
    tool: String,
}

/// A server for one call.
enum CallTarget<'a> {
    Shared(&'a Server),
    Narrowed(ServerLease),
}

impl Deref for CallTarget<'_> {
    type Target = Server;

    fn deref(&self) -> &Server {
        match self {
            Self::Shared(server) => server,
            Self::Narrowed(server) => server,
        }
    }
}

fn session_account(session: &SessionContext, account: Option<&AccountName>) -> Result<SessionAccount> {
    session.account(account.unwrap_or_else(|| session.default_account()))
}

impl McpHost {
    /// Describes a host that runs the servers of `config` with the credentials of `session`.
    pub fn builder(session: &SessionContext, config: McpConfig) -> McpHostBuilder {
        McpHostBuilder::new(session, config)
    }

    /// Every tool of every server, and what is wrong with servers that have not listed theirs.
    ///
    /// Starts servers that do not run yet, all at once, and waits for them within the
    /// [budget](McpHostBuilder::list_budget). What a slow or failing server listed before stays in the catalog. Slow
    /// servers go on starting, and [`tools_changed`](Self::tools_changed) announces what they list.
    pub async fn all_tools(&self) -> ToolCatalog {
        let list = async |server: &Server| server.list_tools_within(self.list_budget).await;
        let listed = join_all(self.servers.iter().map(list)).await;
        let mut catalog = self.collect(self.servers.iter().map(Server::name).zip(listed));
        let faults = self.config_faults.iter();
        catalog.faults.extend(
            faults.map(|fault| ServerFault { server: fault.server.clone(), error: fault.error.clone() }),
        );
        catalog.faults.extend(self.policies.unlisted(&catalog));
        catalog
    }

    /// Calls a tool by the name under which [`all_tools`](Self::all_tools) lists it, and gives back the MCP result as
    /// JSON, with the session's secrets masked. Failures of any kind are results with `isError`. `None` when there is
    /// no such tool. The server is told when `cancelled` fires.
    pub async fn call(
        &self,
        name: &str,
        arguments: Option<Map<String, Value>>,
        cancelled: &CancellationToken,
    ) -> Option<Value> {
        self.call_with_session(None, name, arguments, cancelled).await.map(round_result)
    }

    /// As [`call`](Self::call_tool), with the credentials of `session`, which is the host's or one that was narrowed from it,
    /// and in no process that has others. A server that is given no credentials has one process for everyone.
    pub async fn call_for(
        &self,
        session: &SessionContext,
        name: &str,
        arguments: Option<Map<String, Value>>,
        cancelled: &CancellationToken,
    ) -> Option<Value> {
        let narrowed = (session.id() != self.session_id).then_some(session);
        self.call_with_session(narrowed, name, arguments, cancelled).await.map(round_result)
    }

    /// The same, for a session or the host's own; the result is to be written with
    /// [`write_exact`](crate::to_json::write_exact).
    pub(crate) async fn call_with_session(
        &self,
        narrowed: Option<&SessionContext>,
        name: &str,
        arguments: Option<Map<String, Value>>,
        cancelled: &CancellationToken,
    ) -> Option<Value> {
        let found = tokio::select! {
            found = self.find_route(name) => found,
            () = cancelled.cancelled() => Err(cancelled_error()),
        };
        let result = match found {
            Ok(found) => {
                let ToolRoute { server, tool } = found?;
                match self.call_target(self.servers.get(server)?, &tool, narrowed) {
                    Ok(server) => server.call(&tool, arguments, cancelled).await,
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        let result = result.unwrap_or_else(|error| {
            tracing::debug!(tool = name, %error, "tool call failed");
            error_result(&error)
        });
        let masking_failed =
            || error_result(&Error::new(ErrorKind::Internal, "the result could not be masked"));
        Some(self.redactor.mask_json_async(result).await.unwrap_or_else(masking_failed))
    }

    /// The process of `server` that a call of `tool` may run in.
    fn call_target<'a>(
        &self,
        server: &'a Server,
        tool: &str,
        narrowed: Option<&SessionContext>,
    ) -> Result<CallTarget<'a>> {
        let config = server.config();
        let account = match narrowed {
            Some(session) => &session_account(session, config.account.as_ref())?,
            None => server.account(),
        };
        let policy = self.policies.get(server.name(), tool);
        if config.delivery == Delivery::None || (narrowed.is_none() && policy.is_none()) {
            return Ok(CallTarget::Shared(server));
        }
        self.narrowed_pool.lease_server(server, account, policy).map(CallTarget::Narrowed)
    }

    /// The process ids of the servers that run now, by server name. With a launcher these are of the guardians, each of
    /// which leads its server's process group.
    pub fn pids(&self) -> impl Iterator<Item = (&str, u32)> {
        self.servers.iter().filter_map(|server| Some((server.name(), server.pid()?)))
    }

    /// The same of the processes that run for narrowed sessions; several of a server may.
    pub fn narrowed_pids(&self) -> impl Iterator<Item = (String, u32)> {
        let servers = self.narrowed_pool.servers().into_iter();
        servers.filter_map(|server| Some((server.name().to_owned(), server.pid()?)))
    }

    /// Stops every server and waits until it is gone, with everything it started.
    pub async fn shutdown(self) {
        self.stop().await;
        self.redactor.clear();
    }

    /// The same, for an owner who can not give the host up yet: what is still to be told stays masked.
    pub(crate) async fn stop(&self) {
        self.refresher.abort();
        tokio::join!(join_all(self.servers.iter().map(Server::stop)), self.narrowed_pool.stop());
        // Not left to dropping: requests that are never read hold what they share with the host.
        self.narrowed_pool.remove_session_dir().await;
        if let Some(endpoint) = &self.owned_endpoint {
            endpoint.stop().await;
        }
    }

    /// Counts changes of the tools after the last catalog: a slow server has listed its tools, or a server changed them.
    /// [`all_tools`](Self::all_tools) then returns them.
    #[must_use]
    pub fn tools_changed(&self) -> watch::Receiver<u64> {
        self.change_counter.subscribe()
    }

    /// What is listed under `name`; only the servers that the name may belong to are waited for. Fails when the server
    /// that the name begins with is at fault.
    async fn find_route(&self, name: &str) -> Result<Option<ToolRoute>> {
        if let Some(route) = self.route(name) {
            return Ok(Some(route));
        }
        let is_owner = |server: &&Server| self.prefixes.may_own(server.name(), name);
        let owners: Vec<_> = self.servers.iter().filter(is_owner).collect();
        let mut listed = pin!(join_all(owners.iter().map(|server| server.list_tools())));
        if timeout(self.list_budget, &mut listed).await.is_err() {
            // Another server's name may begin alike, and that server may hang.
            self.refresh_routes();
            if self.route(name).is_none() {
                listed.await;
            }
        }
        if owners.is_empty() {
            // A name with a hash may begin otherwise.
            let everything = join_all(self.servers.iter().map(Server::list_tools));
            let _elapsed = timeout(self.list_budget, everything).await;
        }
        self.refresh_routes();
        if let Some(found) = self.route(name) {
            return Ok(Some(found));
        }
        match owners.iter().find_map(|server| server.cached_tools().err()) {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    /// Learns the names of all tools that are known now.
    fn refresh_routes(&self) {
        self.collect(self.servers.iter().map(|server| (server.name(), server.cached_tools())));
    }

    fn collect<'a>(&self, listed: impl IntoIterator<Item = (&'a str, Result<ToolList>)>) -> ToolCatalog {
        let catalog = ToolCatalog::collect(&self.prefixes, listed);
        let route = |tool: &ProxiedTool| {
            let server = self.servers.iter().position(|server| server.name() == tool.server)?;
            Some((tool.name.clone(), ToolRoute { server, tool: tool.tool.clone() }))
        };
        *self.lock_routes() = catalog.tools.iter().filter_map(route).collect();
        catalog
    }

    fn route(&self, name: &str) -> Option<ToolRoute> {
        self.lock_routes().get(name).cloned()
    }

    fn lock_routes(&self) -> MutexGuard<'_, HashMap<String, ToolRoute>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for McpHost {
    fn drop(&mut self) {
        self.refresher.abort();
    }
}

/// A result for callers that read values.
fn round_result(mut result: Value) -> Value {
    round_numbers(&mut result);
    result
}

/// A failure as an MCP result.
pub(crate) fn error_result(error: &Error) -> Value {
    let output = ToolOutput::error(error);
    serde_json::json!({
        "content": [{"type": "text", "text": output.text}],
        "structuredContent": output.structured,
        "isError": true,
    })
}

impl fmt::Debug for McpHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.servers.iter().map(Server::name).collect();
        f.debug_struct("McpHost").field("servers", &names).finish_non_exhaustive()
    }
}
