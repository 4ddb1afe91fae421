//! `McpHostBuilder`: describes a host, and starts it.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use valetkey_core::{Error, ErrorKind, Result, SessionContext, SessionPolicy};

use super::crews::{Crews, Limits};
use super::launch::Recipe;
use super::name::Prefixes;
use super::policies::ToolPolicies;
use super::server::{Patience, Server};
use super::{McpHost, lend};
use crate::child::{HostEnvironment, Launcher, SessionHome};
use crate::config::{ConfigFault, McpConfig};
use crate::endpoint::Leash;
use crate::{CredentialEndpoint, Redactor};

const START_PATIENCE: Duration = Duration::from_secs(60);
/// What a person waits for a list of tools.
const LIST_BUDGET: Duration = Duration::from_secs(5);
const LIST_PATIENCE: Duration = Duration::from_secs(30);
/// Tools that wait for a deployment take long; one that is never answered must not stay for ever.
const CALL_PATIENCE: Duration = Duration::from_secs(60 * 60);
/// Long enough for a model to think between two calls.
const NARROWED_IDLE: Duration = Duration::from_secs(10 * 60);
const NARROWED_LIMIT: usize = 16;

/// Describes a host; made by [`McpHost::builder`].
#[must_use]
pub struct McpHostBuilder {
    session: SessionContext,
    config: McpConfig,
    policies: ToolPolicies,
    environment: HostEnvironment,
    launcher: Option<Launcher>,
    endpoint: Option<CredentialEndpoint>,
    leash: Leash,
    start_patience: Duration,
    list_budget: Duration,
    patience: Patience,
    narrowed: Limits,
}

impl McpHostBuilder {
    pub(super) fn new(session: &SessionContext, config: McpConfig) -> Self {
        Self {
            session: session.clone(),
            config,
            policies: ToolPolicies::default(),
            environment: HostEnvironment::default(),
            launcher: None,
            endpoint: None,
            leash: Leash::default(),
            start_patience: START_PATIENCE,
            list_budget: LIST_BUDGET,
            patience: Patience { list: LIST_PATIENCE, call: CALL_PATIENCE },
            narrowed: Limits { most: NARROWED_LIMIT, idle: NARROWED_IDLE },
        }
    }

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

    /// Has calls of a server's tool run with what `policy` allows and no more: in a process of the server's own for
    /// that policy, whose credentials are the account's, narrowed. `tool` is the server's own name for it, or `*` for
    /// every tool of the server that is not named. A policy that was given for the same tool before is replaced.
    ///
    /// A call that cannot be narrowed is refused. It never runs with more.
    pub fn tool_policy(
        mut self,
        server: impl Into<String>,
        tool: impl Into<String>,
        policy: SessionPolicy,
    ) -> Self {
        self.policies.put(server.into(), tool.into(), policy);
        self
    }

    /// For how many narrowed sessions servers may run at once, each with processes of its own; 16 unless said. Beyond
    /// that, the one that was not called for longest makes room, and a call is refused while all of them are busy.
    pub fn narrowed_limit(mut self, sessions: usize) -> Self {
        self.narrowed.most = sessions;
        self
    }

    /// After how long without a call the servers of a narrowed session are stopped; ten minutes unless said.
    pub fn narrowed_idle(mut self, idle: Duration) -> Self {
        self.narrowed.idle = idle;
        self
    }

    /// How long a server may take to answer its first message; a minute unless said.
    pub fn start_patience(mut self, patience: Duration) -> Self {
        self.start_patience = patience;
        self
    }

    /// How long [`McpHost::all_tools`] waits for servers (default: 5 s). Servers that take longer go on
    /// starting, and [`McpHost::tools_changed`] announces their tools.
    pub fn list_budget(mut self, budget: Duration) -> Self {
        self.list_budget = budget;
        self
    }

    /// How long a server may take to list its tools (default: 30 s).
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
    /// `Invalid` when a tool policy is about a server that is not configured, or that is given no credentials; `Internal`
    /// when no port or folder can be had on this machine.
    pub async fn start(self) -> Result<McpHost> {
        self.policies.check(&self.config)?;
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
        let region = self.session.resolved_region(self.session.default_account());
        let home = SessionHome::create(Some(&region))
            .and_then(|home| home.with_configuration(&self.environment))
            .map_err(fault("the session's own folder cannot be made"))?;
        // In the background: what a killed process has left may be large.
        tokio::task::spawn_blocking(SessionHome::remove_abandoned);
        let redactor = Arc::new(Redactor::with_clock(self.session.clock()));
        self.session.observe(&redactor);
        self.environment.secrets().for_each(|secret| redactor.learn_secret(secret));
        let tools_changes = watch::Sender::new(0);
        let recipe = Arc::new(Recipe {
            session: self.session.id(),
            environment: self.environment,
            launcher: self.launcher,
            endpoint: endpoint.clone(),
            leash: self.leash,
            home,
            patience: self.start_patience,
            redactor: Arc::clone(&redactor),
            tools_changes: tools_changes.clone(),
        });
        let prefixes = Prefixes::new(self.config.servers.keys().map(String::as_str));
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
            session: self.session.id(),
            servers,
            crews: Arc::new(Crews::new(recipe, self.narrowed)),
            policies: self.policies,
            prefixes,
            config_faults,
            redactor,
            names: Mutex::default(),
            list_budget: self.list_budget,
            tools_changes,
            warmer: tokio::spawn(self.session.keep_warm()),
            endpoint: (!shared_endpoint).then_some(endpoint),
        })
    }
}
