//! `McpHostBuilder`: describes a host, and starts it.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use valetkey_core::{Error, ErrorKind, Result, SessionContext, SessionPolicy};

use super::crews::{NarrowedLimits, NarrowedServerPool};
use super::launch::SpawnConfig;
use super::name::NamePrefixes;
use super::policies::ToolPolicies;
use super::server::{Server, Timeouts};
use super::{McpHost, session_account};
use crate::child::{HostEnvironment, Launcher, SessionDir};
use crate::config::{ConfigError, McpConfig};
use crate::endpoint::AdvertisedExpiry;
use crate::{CredentialEndpoint, Redactor};

const DEFAULT_START_TIMEOUT: Duration = Duration::from_secs(60);
/// What a person waits for a list of tools.
const DEFAULT_LIST_BUDGET: Duration = Duration::from_secs(5);
const DEFAULT_LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// Tools that wait for a deployment take long; one that is never answered must not stay for ever.
const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// Long enough for a model to think between two calls.
const DEFAULT_NARROWED_IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const DEFAULT_MAX_NARROWED_SESSIONS: usize = 16;

/// Describes a host; made by [`McpHost::builder`].
#[must_use]
pub struct McpHostBuilder {
    session: SessionContext,
    config: McpConfig,
    policies: ToolPolicies,
    environment: HostEnvironment,
    launcher: Option<Launcher>,
    endpoint: Option<CredentialEndpoint>,
    leash: AdvertisedExpiry,
    start_timeout: Duration,
    list_budget: Duration,
    timeouts: Timeouts,
    narrowed_limits: NarrowedLimits,
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
            leash: AdvertisedExpiry::default(),
            start_timeout: DEFAULT_START_TIMEOUT,
            list_budget: DEFAULT_LIST_BUDGET,
            timeouts: Timeouts { list: DEFAULT_LIST_TIMEOUT, call: DEFAULT_CALL_TIMEOUT },
            narrowed_limits: NarrowedLimits {
                max_sessions: DEFAULT_MAX_NARROWED_SESSIONS,
                idle_timeout: DEFAULT_NARROWED_IDLE_TIMEOUT,
            },
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
    pub fn advertised_expiry(mut self, advertised_expiry: AdvertisedExpiry) -> Self {
        self.leash = advertised_expiry;
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
        self.policies.insert(server.into(), tool.into(), policy);
        self
    }

    /// For how many narrowed sessions servers may run at once, each with processes of its own; 16 unless said. Beyond
    /// that, the one that was not called for longest makes room, and a call is refused while all of them are busy.
    pub fn max_narrowed_sessions(mut self, sessions: usize) -> Self {
        self.narrowed_limits.max_sessions = sessions;
        self
    }

    /// After how long without a call the servers of a narrowed session are stopped; ten minutes unless said.
    pub fn narrowed_idle_timeout(mut self, timeout: Duration) -> Self {
        self.narrowed_limits.idle_timeout = timeout;
        self
    }

    /// How long a server may take to answer its first message; a minute unless said.
    pub fn start_timeout(mut self, patience: Duration) -> Self {
        self.start_timeout = patience;
        self
    }

    /// How long [`McpHost::all_tools`] waits for servers (default: 5 s). Servers that take longer go on
    /// starting, and [`McpHost::tools_changed`] announces their tools.
    pub fn list_budget(mut self, budget: Duration) -> Self {
        self.list_budget = budget;
        self
    }

    /// How long a server may take to list its tools (default: 30 s).
    pub fn list_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.list = timeout;
        self
    }

    /// How long a server may take to answer a call; an hour unless said. Then the call is taken back, and fails.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.call = timeout;
        self
    }

    /// Starts the host: its endpoint and its supervisors, not yet the servers.
    ///
    /// # Errors
    /// `Invalid` when a tool policy is about a server that is not configured, or that is given no credentials; `Internal`
    /// when no port or folder can be had on this machine.
    pub async fn start(self) -> Result<McpHost> {
        self.policies.validate(&self.config)?;
        let internal_error = |what: &'static str| {
            move |error: io::Error| Error::new(ErrorKind::Internal, what).with_source(error)
        };
        let shared_endpoint = self.endpoint.is_some();
        let endpoint = match self.endpoint {
            Some(endpoint) => endpoint,
            None => CredentialEndpoint::start()
                .await
                .map_err(internal_error("the credential endpoint cannot listen"))?,
        };
        let region = self.session.resolved_region(self.session.default_account());
        let session_dir = SessionDir::create(Some(&region))
            .and_then(|home| home.with_configuration(&self.environment))
            .map_err(internal_error("the session's own folder cannot be made"))?;
        // In the background: what a killed process has left may be large.
        tokio::task::spawn_blocking(SessionDir::remove_abandoned);
        let redactor = Arc::new(Redactor::with_clock(self.session.clock()));
        self.session.observe(&redactor);
        self.environment.secrets().for_each(|secret| redactor.add_secret(secret));
        let change_counter = watch::Sender::new(0);
        let spawn_config = Arc::new(SpawnConfig {
            driver: self.session.id(),
            environment: self.environment,
            launcher: self.launcher,
            endpoint: endpoint.clone(),
            advertised_expiry: self.leash,
            session_dir,
            start_timeout: self.start_timeout,
            redactor: Arc::clone(&redactor),
            change_counter: change_counter.clone(),
        });
        let prefixes = NamePrefixes::new(self.config.servers.keys().map(String::as_str));
        let mut config_errors = self.config.faults;
        let mut servers = Vec::new();
        for (name, config) in self.config.servers {
            match session_account(&self.session, config.account.as_ref()) {
                Ok(account) => {
                    let spawn_config = Arc::clone(&spawn_config);
                    servers.push(Server::supervise(name, config, account, spawn_config, self.timeouts));
                }
                Err(error) => config_errors.push(ConfigError { server: name, error }),
            }
        }
        Ok(McpHost {
            session_id: self.session.id(),
            servers,
            narrowed_pool: Arc::new(NarrowedServerPool::new(spawn_config, self.narrowed_limits)),
            policies: self.policies,
            prefixes,
            config_faults: config_errors,
            redactor,
            routes: Mutex::default(),
            list_budget: self.list_budget,
            change_counter,
            refresher: tokio::spawn(self.session.keep_warm()),
            owned_endpoint: (!shared_endpoint).then_some(endpoint),
        })
    }
}
