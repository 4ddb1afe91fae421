//! `McpHost`: the servers of a session, started as its children, listed and called.

mod catalog;
mod launch;
mod name;
mod restarts;
mod server;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Map, Value};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use valetkey_core::{Alias, Error, ErrorKind, Result, SessionAccount, SessionContext};
use valetkey_tools::ToolOutput;

use crate::child::{HostEnvironment, Launcher, SessionHome};
use crate::config::{ConfigFault, McpConfig};
use crate::endpoint::Leash;
use crate::{CredentialEndpoint, Redactor};

pub use catalog::{Catalog, ProxiedTool, ServerFault};

use launch::Recipe;
use server::{Patience, Server, taken_back};

const START_PATIENCE: Duration = Duration::from_secs(60);
const LIST_PATIENCE: Duration = Duration::from_secs(30);
/// Tools that wait for a deployment take long; one that is never answered must not stay for ever.
const CALL_PATIENCE: Duration = Duration::from_secs(60 * 60);

/// The servers of one session.
///
/// A server is started when its tools are first listed or called, with or without credentials. Before each call the
/// session must have usable ones, or the call is refused: it never runs as the host. The host lends the session and
/// does not keep it alive; once the session ends, the servers are stopped. [`shutdown`](Self::shutdown) stops them and
/// waits until they are gone; dropping the host kills them.
pub struct McpHost {
    servers: Vec<Server>,
    config_faults: Vec<ConfigFault>,
    redactor: Arc<Redactor>,
    /// Which tool of which server was last listed under a name.
    names: Mutex<HashMap<String, Named>>,
    /// Refreshes the session ahead of need, so that the endpoint answers from memory.
    warmer: JoinHandle<()>,
    /// Ours unless it was handed in.
    endpoint: Option<CredentialEndpoint>,
}

#[derive(Clone)]
struct Named {
    server: usize,
    tool: String,
}

/// Describes a host; made by [`McpHost::builder`].
#[must_use]
pub struct McpHostBuilder {
    session: SessionContext,
    config: McpConfig,
    environment: HostEnvironment,
    launcher: Option<Launcher>,
    endpoint: Option<CredentialEndpoint>,
    leash: Leash,
    start_patience: Duration,
    patience: Patience,
}

impl McpHostBuilder {
    /// What children may inherit; nothing unless said.
    pub fn environment(mut self, environment: HostEnvironment) -> Self {
        self.environment = environment;
        self
    }

    /// Ties the life of the children to this process, also when it is killed.
    pub fn launcher(mut self, launcher: Launcher) -> Self {
        self.launcher = Some(launcher);
        self
    }

    /// An endpoint to share with other hosts; one of its own unless said.
    pub fn endpoint(mut self, endpoint: CredentialEndpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// How long children are told that credentials live.
    pub fn leash(mut self, leash: Leash) -> Self {
        self.leash = leash;
        self
    }

    /// How long a server may take to answer its first message; a minute unless said.
    pub fn start_patience(mut self, patience: Duration) -> Self {
        self.start_patience = patience;
        self
    }

    /// How long a server may take to list its tools; half a minute unless said. The others are listed without it.
    pub fn list_patience(mut self, patience: Duration) -> Self {
        self.patience.list = patience;
        self
    }

    /// How long a server may take to answer a call; an hour unless said. Then the call is taken back, and fails.
    pub fn call_patience(mut self, patience: Duration) -> Self {
        self.patience.call = patience;
        self
    }

    /// Starts the host: its endpoint and its supervisors, not yet the servers.
    ///
    /// # Errors
    /// `Internal` when no port or folder can be had on this machine.
    pub async fn start(self) -> Result<McpHost> {
        let fault = |what: &'static str| {
            move |error: io::Error| Error::new(ErrorKind::Internal, what).with_source(error)
        };
        let shared_endpoint = self.endpoint.is_some();
        let endpoint = match self.endpoint {
            Some(endpoint) => endpoint,
            None => {
                CredentialEndpoint::start().await.map_err(fault("the credential endpoint cannot listen"))?
            }
        };
        let region = self.session.region_for(self.session.default_account());
        let home =
            SessionHome::create(region.as_ref()).map_err(fault("the session's own folder cannot be made"))?;
        let redactor = Arc::new(Redactor::default());
        let recipe = Arc::new(Recipe {
            session: self.session.id(),
            environment: self.environment,
            launcher: self.launcher,
            endpoint: endpoint.clone(),
            leash: self.leash,
            home,
            patience: self.start_patience,
            redactor: Arc::clone(&redactor),
        });
        let mut config_faults = self.config.faults;
        let mut servers = Vec::new();
        for (name, config) in self.config.servers {
            match lend(&self.session, config.account.as_ref()) {
                Ok(account) => {
                    let recipe = Arc::clone(&recipe);
                    servers.push(Server::supervise(name, config, account, recipe, self.patience));
                }
                Err(error) => config_faults.push(ConfigFault { server: name, error }),
            }
        }
        Ok(McpHost {
            servers,
            config_faults,
            redactor,
            names: Mutex::default(),
            warmer: tokio::spawn(self.session.keep_warm()),
            endpoint: (!shared_endpoint).then_some(endpoint),
        })
    }
}

fn lend(session: &SessionContext, account: Option<&Alias>) -> Result<SessionAccount> {
    session.account(account.unwrap_or_else(|| session.default_account()))
}

impl McpHost {
    /// Describes a host that runs the servers of `config` with the credentials of `session`.
    pub fn builder(session: &SessionContext, config: McpConfig) -> McpHostBuilder {
        McpHostBuilder {
            session: session.clone(),
            config,
            environment: HostEnvironment::default(),
            launcher: None,
            endpoint: None,
            leash: Leash::default(),
            start_patience: START_PATIENCE,
            patience: Patience { list: LIST_PATIENCE, call: CALL_PATIENCE },
        }
    }

    /// Every tool of every server, and what is wrong with the servers that could not be asked. Starts servers that do
    /// not run yet, all at once.
    pub async fn all_tools(&self) -> Catalog {
        let listed =
            join_all(self.servers.iter().map(|server| async { (server.name(), server.tools().await) })).await;
        let mut catalog = Catalog::gather(listed);
        self.remember_names(&catalog);
        let faults = self.config_faults.iter();
        catalog.faults.extend(
            faults.map(|fault| ServerFault { server: fault.server.clone(), error: fault.error.clone() }),
        );
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
        let found = tokio::select! {
            found = self.find(name) => found,
            () = cancelled.cancelled() => Err(taken_back()),
        };
        let result = match found {
            Ok(found) => {
                let Named { server, tool } = found?;
                self.servers.get(server)?.call(&tool, arguments, cancelled).await
            }
            Err(error) => Err(error),
        };
        let mut result = result.unwrap_or_else(|error| {
            tracing::debug!(tool = name, %error, "tool call failed");
            failure(&error)
        });
        self.redactor.mask_json(&mut result);
        Some(result)
    }

    /// The process ids of the servers that run now, by server name. With a launcher these are of the guardians, each of
    /// which leads its server's process group.
    pub fn pids(&self) -> impl Iterator<Item = (&str, u32)> {
        self.servers.iter().filter_map(|server| Some((server.name(), server.pid()?)))
    }

    /// Stops every server and waits until it is gone, with everything it started.
    pub async fn shutdown(self) {
        self.stop().await;
        self.redactor.forget();
    }

    /// The same, for an owner who can not give the host up yet: what is still to be told stays masked.
    pub(crate) async fn stop(&self) {
        self.warmer.abort();
        join_all(self.servers.iter().map(Server::stop)).await;
        if let Some(endpoint) = &self.endpoint {
            endpoint.stop().await;
        }
    }

    /// What is listed under `name`. Fails when the server that the name begins with is at fault.
    async fn find(&self, name: &str) -> Result<Option<Named>> {
        if let Some(known) = self.names().get(name) {
            return Ok(Some(known.clone()));
        }
        let listed = self.all_tools().await;
        if let Some(found) = self.names().get(name) {
            return Ok(Some(found.clone()));
        }
        let is_owner = |server: &str| name.strip_prefix(server).is_some_and(|rest| rest.starts_with("__"));
        let lists = |server: &str| listed.tools.iter().any(|tool| tool.server == server);
        match listed.faults.iter().find(|fault| is_owner(&fault.server) && !lists(&fault.server)) {
            Some(fault) => Err(fault.error.clone()),
            None => Ok(None),
        }
    }

    /// A server that could not be asked this time keeps the names it had.
    fn remember_names(&self, catalog: &Catalog) {
        let mut names = self.names();
        for (index, server) in self.servers.iter().enumerate() {
            let tools: Vec<_> = catalog.tools.iter().filter(|tool| tool.server == server.name()).collect();
            if !tools.is_empty() {
                names.retain(|_, named| named.server != index);
            }
            let named =
                |tool: &ProxiedTool| (tool.name.clone(), Named { server: index, tool: tool.tool.clone() });
            names.extend(tools.into_iter().map(named));
        }
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, Named>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for McpHost {
    fn drop(&mut self) {
        self.warmer.abort();
    }
}

/// A failure as an MCP result.
pub(crate) fn failure(error: &Error) -> Value {
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
