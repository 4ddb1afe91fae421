//! `McpHost`: starts the servers of a session as child processes, lists what they offer and sends them requests.

mod authority;
mod builder;
mod calls;
mod narrowed;
mod requests;
mod table;

use std::fmt;
use std::io;
use std::sync::Arc;

use futures_util::future::join_all;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use valetkey_core::{AccountName, Error, ErrorKind, Result, SessionAccount, SessionContext, SessionId};

use crate::CredentialEndpoint;
use crate::catalog::{ItemCatalog, ServerError, ToolCatalog};
use crate::client::InterruptedCalls;
use crate::config::{ConfigError, McpConfig};
use crate::connection::ListKind;
use crate::server::{ListChanges, ServerHandle, SpawnConfig, Timeouts};
use crate::shared_proxy::SharedProxy;
use crate::tasks::TaskOwners;

pub(crate) use authority::add_account_argument;
pub use builder::McpHostBuilder;
pub(crate) use calls::{ToolCall, error_result};
#[cfg(feature = "http")]
pub(crate) use requests::unknown_task;
pub(crate) use requests::{ItemMethod, ItemRequest};

use authority::SelectableAccounts;
use calls::FinishedRequest;
use narrowed::NarrowedServerPool;
use table::ServerTable;

/// Runs the MCP servers of one session.
///
/// A server is started when its tools are first listed or called, with or without credentials. Before each call the
/// session must have usable credentials; otherwise the call is refused. A call never runs with the credentials of the
/// host process. The host does not keep the session alive; when the session ends, the servers are stopped.
/// [`shutdown`](Self::shutdown) stops the servers and waits until they have exited; dropping the host kills them.
///
/// A process has the credentials of one account. A call with other permissions therefore runs in a separate process of
/// the same server, with a separate home folder: a call of a tool that has a [policy](McpHostBuilder::tool_policy), a
/// call [for](Self::call_for) a narrowed session, and a call that selects another account of the session with the
/// argument `aws_account`. That process is started at the first such call, and stopped after it has been idle for a
/// while.
///
/// The argument `aws_account` is not forwarded to the server. A server with a fixed
/// [`account`](crate::config::ServerConfig::account) or without credentials does not have it, nor does a tool that
/// defines an argument of this name itself. A name that is not one of the session's accounts is an error.
///
/// # Examples
/// ```no_run
/// use valetkey_core::SessionContext;
/// use valetkey_mcp::config::VarLookup;
/// use valetkey_mcp::{McpConfig, McpHost};
///
/// # async fn example() -> valetkey_core::Result<()> {
/// let session = SessionContext::builder().build();
/// let text = r#"{"mcpServers": {"notes": {"command": "notes-server"}}}"#;
/// let config = McpConfig::parse(text, &VarLookup::new(|_| None))?;
/// let host = McpHost::builder(&session, config).start().await?;
/// for tool in host.all_tools().await.tools {
///     println!("{}", tool.name);
/// }
/// host.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct McpHost {
    session_id: SessionId,
    accounts: SelectableAccounts,
    /// Replaced as a whole by [`reconfigure`](Self::reconfigure). A call keeps the table that it began with.
    table: RwLock<Arc<ServerTable>>,
    /// Tasks that stop the servers of earlier tables after their calls have ended; `None` after the host was stopped.
    /// The lock is held while the table is replaced.
    retired: Mutex<Option<JoinSet<()>>>,
    stopping: CancellationToken,
    spawn_config: Arc<SpawnConfig>,
    timeouts: Timeouts,
    /// The servers that run tasks.
    tasks: TaskOwners<ServerHandle>,
    /// The calls that wait for input of their clients.
    interrupted: InterruptedCalls<FinishedRequest>,
    /// Processes of the same servers for narrowed sessions.
    narrowed_pool: Arc<NarrowedServerPool>,
    /// Refreshes the session's credentials before they are needed, so that the endpoint responds from memory.
    refresher: JoinHandle<()>,
    /// `None` when the caller supplied the endpoint, which then outlives the host.
    owned_endpoint: Option<CredentialEndpoint>,
    /// `None` when hosts share the proxy.
    owned_proxy: Option<SharedProxy>,
}

/// Returns a conversion of I/O errors into errors with this message.
fn internal_error(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::new(ErrorKind::Internal, what).with_source(error)
}

fn session_account(session: &SessionContext, account: Option<&AccountName>) -> Result<SessionAccount> {
    session.account(account.unwrap_or_else(|| session.default_account()))
}

impl McpHost {
    /// Returns a builder for a host that runs the servers of `config` with the credentials of `session`.
    pub fn builder(session: &SessionContext, config: McpConfig) -> McpHostBuilder {
        McpHostBuilder::new(session, config)
    }

    /// Lists every tool of every server, and the errors of servers that have not listed theirs.
    ///
    /// Starts all servers that are not running yet, concurrently, and waits for them within the
    /// [budget](McpHostBuilder::list_budget). The tools that a slow or failing server listed earlier stay in the
    /// catalog. Slow servers continue to start, and [`tools_changed`](Self::tools_changed) announces the tools they
    /// list.
    ///
    /// # Examples
    /// A server that cannot be started is an error in the catalog, and the host continues with the others:
    /// ```
    /// use valetkey_core::{ErrorKind, SessionContext};
    /// use valetkey_mcp::config::VarLookup;
    /// use valetkey_mcp::{McpConfig, McpHost};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let session = SessionContext::builder().build();
    /// let text = r#"{"mcpServers": {"notes": {"command": "/no/such/program"}}}"#;
    /// let config = McpConfig::parse(text, &VarLookup::new(|_| None))?;
    /// let host = McpHost::builder(&session, config).start().await?;
    /// let catalog = host.all_tools().await;
    /// assert_eq!(catalog.errors[0].server, "notes");
    /// assert_eq!(catalog.errors[0].error.kind(), ErrorKind::Invalid);
    /// host.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Cancel safe. Servers continue to start and to list their tools.
    pub async fn all_tools(&self) -> ToolCatalog {
        let (catalog, errors) = self.list_tools().await;
        ToolCatalog::new(&catalog, errors)
    }

    /// Returns the tools of all servers, with every error of [`all_tools`](Self::all_tools) that is not about a
    /// definition.
    pub(crate) async fn list_tools(&self) -> (Arc<ItemCatalog>, Vec<ServerError>) {
        let table = self.table();
        let (catalog, mut errors) = table.list(ListKind::Tools).await;
        let config_error =
            |config: &ConfigError| ServerError { server: config.server.clone(), error: config.error.clone() };
        errors.extend(table.config_errors.iter().map(config_error));
        errors.extend(table.policies.unlisted(catalog.items()));
        (catalog, errors)
    }

    /// Returns one list of all servers, and the errors of servers that have not listed theirs. See
    /// [`all_tools`](Self::all_tools).
    pub(crate) async fn list(&self, kind: ListKind) -> (Arc<ItemCatalog>, Vec<ServerError>) {
        self.table().list(kind).await
    }

    /// Returns the tools that were listed last.
    pub(crate) fn tool_catalog(&self) -> Arc<ItemCatalog> {
        self.table().catalog(ListKind::Tools)
    }

    /// Whether a server that has started supports tasks.
    pub(crate) fn has_tasks(&self) -> bool {
        self.table().servers.iter().any(|server| server.supports_tasks())
    }

    /// Whether the host has a server.
    pub(crate) fn has_servers(&self) -> bool {
        !self.table().servers.is_empty()
    }

    /// Returns the accounts of the session for a list of tools, and remembers them as listed.
    pub(crate) fn list_accounts(&self) -> Vec<AccountName> {
        self.accounts.list()
    }

    /// Announces a change of the tools if the session has other accounts than were listed last.
    pub(crate) fn announce_accounts(&self) {
        if self.accounts.have_changed() {
            self.spawn_config.change_counters.get(ListKind::Tools).send_modify(|count| *count += 1);
        }
    }

    /// Returns the process ids of the running servers, by server name. With a launcher, they are the ids of the
    /// guardian processes, each of which leads the process group of its server.
    ///
    /// # Examples
    /// ```
    /// # fn example(host: &valetkey_mcp::McpHost) {
    /// for (server, pid) in host.pids() {
    ///     println!("{server} runs as process {pid}");
    /// }
    /// # }
    /// ```
    pub fn pids(&self) -> impl Iterator<Item = (String, u32)> {
        let pids = self.table().servers.clone().into_iter();
        pids.filter_map(|server| Some((server.name().to_owned(), server.pid()?)))
    }

    /// Like [`pids`](Self::pids), for the processes that run for narrowed sessions. A server may have several of them.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::SessionContext;
    /// use valetkey_mcp::{McpConfig, McpHost};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let session = SessionContext::builder().build();
    /// let host = McpHost::builder(&session, McpConfig::default()).start().await?;
    /// assert_eq!(host.narrowed_pids().count(), 0, "a process is started at the first call of a narrowed session");
    /// # Ok(())
    /// # }
    /// ```
    pub fn narrowed_pids(&self) -> impl Iterator<Item = (String, u32)> {
        let servers = self.narrowed_pool.servers().into_iter();
        servers.filter_map(|server| Some((server.name().to_owned(), server.pid()?)))
    }

    /// Stops every server, and waits until its whole process tree has exited.
    ///
    /// A server gets two seconds to exit after its input is closed, and two more after SIGTERM; then it is killed. All
    /// servers are stopped at the same time.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::SessionContext;
    /// use valetkey_mcp::{McpConfig, McpHost};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let session = SessionContext::builder().build();
    /// let host = McpHost::builder(&session, McpConfig::default()).start().await?;
    /// let mut changes = host.tools_changed();
    /// host.shutdown().await;
    /// assert!(changes.changed().await.is_err(), "the host is gone");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future still ends the servers, but does not wait for them.
    pub async fn shutdown(self) {
        self.stop().await;
        self.spawn_config.redactor.clear();
    }

    /// Like [`shutdown`](Self::shutdown), for an owner that cannot give the host up yet. The secrets stay registered,
    /// so that results still being sent remain masked.
    pub(crate) async fn stop(&self) {
        self.refresher.abort();
        self.stopping.cancel();
        // After this, the table is not replaced.
        let mut retired = self.retired.lock().take().unwrap_or_default();
        let drained = async { while retired.join_next().await.is_some() {} };
        let table = self.table();
        let servers = join_all(table.servers.iter().map(|server| server.stop()));
        tokio::join!(servers, drained, self.narrowed_pool.stop());
        // Removed explicitly: requests that are never polled to completion keep the shared state, and thereby the
        // folder, alive.
        self.spawn_config.remove_session_dir().await;
        if let Some(endpoint) = &self.owned_endpoint {
            endpoint.stop().await;
        }
        if let Some(proxy) = &self.owned_proxy {
            proxy.stop().await;
        }
    }

    /// Takes the servers and the tool policies of `builder`, and nothing else of it.
    ///
    /// | server | effect |
    /// |---|---|
    /// | added | is started at the next list or call, and [`tools_changed`](Self::tools_changed) announces it |
    /// | removed | gets no new call, and is stopped when its calls in progress have ended, after 15 minutes at the latest |
    /// | changed | is replaced: as one removed and one added |
    /// | unchanged | keeps its process |
    ///
    /// The same applies to the processes of narrowed sessions. A policy applies from the next call on.
    ///
    /// # Errors
    /// `Invalid` when a tool policy names a server that is not configured or that is given no credentials, or when
    /// `builder` is for another session. `Closed` when the host was stopped. The host then keeps its servers.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::SessionContext;
    /// use valetkey_mcp::config::ServerConfig;
    /// use valetkey_mcp::{McpConfig, McpHost};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> valetkey_core::Result<()> {
    /// let session = SessionContext::builder().build();
    /// let host = McpHost::builder(&session, McpConfig::default()).start().await?;
    /// let mut config = McpConfig::default();
    /// config.servers.insert("notes".to_owned(), ServerConfig::new("/no/such/program"));
    /// host.reconfigure(McpHost::builder(&session, config))?;
    /// assert_eq!(host.all_tools().await.errors[0].server, "notes");
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconfigure(&self, builder: McpHostBuilder) -> Result<()> {
        if builder.session.id() != self.session_id {
            return Err(Error::invalid("session", "must be the session of the host"));
        }
        builder.policies.validate(&builder.config)?;
        let mut retired = self.retired.lock();
        let retired =
            retired.as_mut().ok_or_else(|| Error::new(ErrorKind::Closed, "the host was stopped"))?;
        let before = self.table();
        let servers = &before.servers;
        let table =
            ServerTable::build(builder, servers, &self.spawn_config, self.timeouts, before.list_budget);
        let table = Arc::new(table);
        *self.table.write() = Arc::clone(&table);
        let narrowed = self.narrowed_pool.remove_outdated(&table.servers);
        let is_current =
            |server: &Arc<ServerHandle>| table.servers.iter().any(|kept| Arc::ptr_eq(kept, server));
        let removed = before.servers.iter().filter(|server| !is_current(server)).cloned();
        while retired.try_join_next().is_some() {}
        for server in removed.chain(narrowed) {
            retired.spawn(server.drain(self.stopping.clone()));
        }
        self.spawn_config.change_counters.count_all();
        Ok(())
    }

    /// Returns a counter of tool changes since the last catalog: a slow server listed its tools, or a server changed
    /// them. [`all_tools`](Self::all_tools) then returns the current tools.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(host: &valetkey_mcp::McpHost) {
    /// let mut changes = host.tools_changed();
    /// while changes.changed().await.is_ok() {
    ///     println!("{} tools", host.all_tools().await.tools.len());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn tools_changed(&self) -> watch::Receiver<u64> {
        self.spawn_config.change_counters.get(ListKind::Tools).subscribe()
    }

    /// Returns the changes of all lists from now on.
    pub(crate) fn list_changes(&self) -> ListChanges {
        self.spawn_config.change_counters.subscribe()
    }

    fn table(&self) -> Arc<ServerTable> {
        Arc::clone(&self.table.read())
    }
}

impl Drop for McpHost {
    fn drop(&mut self) {
        self.refresher.abort();
    }
}

impl fmt::Debug for McpHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table();
        let names: Vec<_> = table.servers.iter().map(|server| server.name()).collect();
        f.debug_struct("McpHost").field("servers", &names).finish_non_exhaustive()
    }
}
