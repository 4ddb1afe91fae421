//! `McpHostBuilder`: configures a host and starts it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use valetkey_core::{Result, SessionContext, SessionPolicy};
use valetkey_signing::SigningProxy;

use super::authority::{SelectableAccounts, ToolPolicies};
use super::narrowed::{NarrowedLimits, NarrowedServerPool};
use super::table::ServerTable;
use super::{McpHost, internal_error};
use crate::child::{HostEnvironment, Launcher, SessionDir};
use crate::client::InterruptedCalls;
use crate::config::McpConfig;
use crate::endpoint::AdvertisedExpiry;
use crate::server::{ChangeCounters, ProcessOwner, ProcessQuota, SpawnConfig, Timeouts};
use crate::shared_proxy::SharedProxy;
use crate::tasks::TaskOwners;
use crate::{CredentialEndpoint, Redactor};

const DEFAULT_START_TIMEOUT: Duration = Duration::from_secs(60);
/// The time that a person is willing to wait for a list of tools.
const DEFAULT_LIST_BUDGET: Duration = Duration::from_secs(5);
const DEFAULT_LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// Tools that wait for a deployment take long, but a call that is never answered must not stay open for ever.
const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// Long enough for a model to think between two calls.
const DEFAULT_NARROWED_IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const DEFAULT_MAX_NARROWED_SESSIONS: usize = 16;

/// Configures and starts an [`McpHost`]. Created by [`McpHost::builder`].
///
/// | setting | meaning | default |
/// |---|---|---|
/// | [`environment`](Self::environment) | what child processes may inherit | nothing |
/// | [`launcher`](Self::launcher) | ends child processes when the host is killed | none |
/// | [`endpoint`](Self::endpoint) | the credential endpoint | one of its own |
/// | [`signing_proxy`](Self::signing_proxy) | the signing proxy of servers without keys | one of its own |
/// | [`advertised_expiry`](Self::advertised_expiry) | the expiry that child processes see | at most 4 min 30 s |
/// | [`tool_policy`](Self::tool_policy) | the most that a tool may do | no limit |
/// | [`max_narrowed_sessions`](Self::max_narrowed_sessions) | narrowed sessions with processes at once | 16 |
/// | [`narrowed_idle_timeout`](Self::narrowed_idle_timeout) | idle time of their processes | 10 min |
/// | [`idle_timeout`](Self::idle_timeout) | idle time of the other processes | none |
/// | [`process_quota`](Self::process_quota) | limits of processes at once | one of its own |
/// | [`start_timeout`](Self::start_timeout) | time to the first message of a server | 60 s |
/// | [`list_budget`](Self::list_budget) | how long a catalog waits for servers | 5 s |
/// | [`list_timeout`](Self::list_timeout) | time for a list of tools | 30 s |
/// | [`call_timeout`](Self::call_timeout) | time for a call | 1 h |
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
///
/// use valetkey_core::{SessionContext, SessionPolicy};
/// use valetkey_mcp::child::HostEnvironment;
/// use valetkey_mcp::{McpConfig, McpHost};
///
/// # async fn example(session: &SessionContext, config: McpConfig) -> valetkey_core::Result<()> {
/// let host = McpHost::builder(session, config)
///     .environment(HostEnvironment::from_process())
///     .tool_policy("aws-api", "*", SessionPolicy::read_only(["s3"])?)
///     .call_timeout(Duration::from_secs(120))
///     .start()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct McpHostBuilder {
    pub(super) session: SessionContext,
    pub(super) config: McpConfig,
    /// The session of the accounts that sign lists, in a host that only lists.
    pub(super) list_session: Option<SessionContext>,
    pub(super) policies: ToolPolicies,
    environment: HostEnvironment,
    launcher: Option<Launcher>,
    endpoint: Option<CredentialEndpoint>,
    proxy: Option<SharedProxy>,
    advertised_expiry: AdvertisedExpiry,
    change_counters: Arc<ChangeCounters>,
    start_timeout: Duration,
    list_budget: Duration,
    timeouts: Timeouts,
    process_quota: ProcessQuota,
    narrowed_limits: NarrowedLimits,
}

impl McpHostBuilder {
    pub(super) fn new(session: &SessionContext, config: McpConfig) -> Self {
        Self {
            session: session.clone(),
            config,
            list_session: None,
            policies: ToolPolicies::default(),
            environment: HostEnvironment::default(),
            launcher: None,
            endpoint: None,
            proxy: None,
            advertised_expiry: AdvertisedExpiry::default(),
            change_counters: Arc::default(),
            start_timeout: DEFAULT_START_TIMEOUT,
            list_budget: DEFAULT_LIST_BUDGET,
            timeouts: Timeouts { list: DEFAULT_LIST_TIMEOUT, call: DEFAULT_CALL_TIMEOUT, idle: None },
            process_quota: ProcessQuota::default(),
            narrowed_limits: NarrowedLimits {
                max_sessions: DEFAULT_MAX_NARROWED_SESSIONS,
                idle_timeout: DEFAULT_NARROWED_IDLE_TIMEOUT,
            },
        }
    }

    /// Uses the accounts of another session for the servers that have a
    /// [`list_account`](crate::config::ServerConfig::list_account).
    #[cfg(feature = "http")]
    pub(crate) fn list_session(mut self, session: Option<SessionContext>) -> Self {
        self.list_session = session;
        self
    }

    /// Sets the environment that child processes may inherit (default: empty).
    ///
    /// Child processes get nothing else of this process's environment. Without `PATH`, only programs with a whole path
    /// start.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::child::HostEnvironment;
    /// use valetkey_mcp::McpHostBuilder;
    ///
    /// fn with_path_only(builder: McpHostBuilder) -> McpHostBuilder {
    ///     builder.environment(HostEnvironment::new([("PATH".into(), "/usr/bin:/bin".into())]))
    /// }
    /// ```
    pub fn environment(mut self, environment: HostEnvironment) -> Self {
        self.environment = environment;
        self
    }

    /// Runs child processes under `launcher`, which ends them when this process ends, even when it is killed.
    ///
    /// Without a launcher, child processes end when the host is dropped, but outlive a host that is killed.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::child::Launcher;
    /// use valetkey_mcp::McpHostBuilder;
    ///
    /// fn with_launcher(builder: McpHostBuilder) -> McpHostBuilder {
    ///     builder.launcher(Launcher::new("/usr/bin/valetkey", ["launch"]))
    /// }
    /// ```
    pub fn launcher(mut self, launcher: Launcher) -> Self {
        self.launcher = Some(launcher);
        self
    }

    /// Sets a credential endpoint to share with other hosts (default: the host starts an endpoint of its own).
    ///
    /// Each server has a token of its own, so sharing an endpoint shares a port and no credentials. The host does not
    /// stop a shared endpoint.
    ///
    /// # Examples
    /// ```no_run
    /// use valetkey_core::SessionContext;
    /// use valetkey_mcp::{CredentialEndpoint, McpConfig, McpHost};
    ///
    /// # async fn example(sessions: [SessionContext; 2], config: McpConfig) -> Result<(), Box<dyn std::error::Error>> {
    /// let endpoint = CredentialEndpoint::start().await?;
    /// for session in &sessions {
    ///     let host = McpHost::builder(session, config.clone()).endpoint(endpoint.clone()).start().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn endpoint(mut self, endpoint: CredentialEndpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Sets a signing proxy to share with other hosts (default: the host starts one with the first server that needs it,
    /// which sends requests where the host's [environment](Self::environment) sends them).
    ///
    /// Each process has a placeholder of its own, so sharing a proxy shares a port and no credentials. The host does not
    /// stop a shared proxy.
    ///
    /// # Examples
    /// ```no_run
    /// use valetkey_core::SessionContext;
    /// use valetkey_mcp::signing::{ProxySettings, SigningProxy};
    /// use valetkey_mcp::{McpConfig, McpHost};
    ///
    /// # async fn example(session: &SessionContext, config: McpConfig) -> valetkey_core::Result<()> {
    /// let settings = ProxySettings::default().service_endpoint("s3", "http://127.0.0.1:9000")?;
    /// let proxy = SigningProxy::start_with(settings).await?;
    /// let host = McpHost::builder(session, config).signing_proxy(proxy).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn signing_proxy(self, proxy: SigningProxy) -> Self {
        self.shared_proxy(proxy.into())
    }

    /// Sets a signing proxy that is started by the first host that needs it.
    pub(crate) fn shared_proxy(mut self, proxy: SharedProxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Counts the changes of lists together with other hosts.
    #[cfg(feature = "http")]
    pub(crate) fn change_counters(mut self, change_counters: Arc<ChangeCounters>) -> Self {
        self.change_counters = change_counters;
        self
    }

    /// Sets the credential lifetime that child processes see (default: at most 4 min 30 s).
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::McpHostBuilder;
    /// use valetkey_mcp::endpoint::AdvertisedExpiry;
    ///
    /// /// Causes fewer requests. A cleared session stays usable in clients that have cached its credentials.
    /// fn with_real_expiry(builder: McpHostBuilder) -> McpHostBuilder {
    ///     builder.advertised_expiry(AdvertisedExpiry::Actual)
    /// }
    /// ```
    pub fn advertised_expiry(mut self, advertised_expiry: AdvertisedExpiry) -> Self {
        self.advertised_expiry = advertised_expiry;
        self
    }

    /// Limits calls of a server's tool to what `policy` allows.
    ///
    /// The calls run in a separate process of the server for that policy, with the account's credentials scoped down to
    /// the policy. `tool` is the server's own name for the tool, or `*` for every tool of the server that has no policy
    /// of its own. A later policy for the same tool replaces the earlier one.
    ///
    /// A call whose credentials cannot be narrowed is refused; it never runs with broader permissions.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::{Result, SessionPolicy};
    /// use valetkey_mcp::McpHostBuilder;
    ///
    /// fn with_policies(builder: McpHostBuilder) -> Result<McpHostBuilder> {
    ///     let reading = SessionPolicy::read_only(["s3", "logs"])?;
    ///     let deploying: SessionPolicy = r#"{
    ///         "Version": "2012-10-17",
    ///         "Statement": [{"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}]
    ///     }"#
    ///     .parse()?;
    ///     // `deploy` has a policy of its own; every other tool of the server may only read.
    ///     Ok(builder.tool_policy("aws-api", "*", reading).tool_policy("aws-api", "deploy", deploying))
    /// }
    /// ```
    pub fn tool_policy(
        mut self,
        server: impl Into<String>,
        tool: impl Into<String>,
        policy: SessionPolicy,
    ) -> Self {
        self.policies.insert(server.into(), tool.into(), policy);
        self
    }

    /// Sets the maximum number of narrowed sessions that servers run for at once, each with processes of its own
    /// (default: 16). Beyond the maximum, the least recently called session that is idle is evicted; while all are
    /// busy, a call is refused.
    ///
    /// Calls with a tool [policy](Self::tool_policy) count as a narrowed session too; calls with the same policy in the
    /// same account share it. The limit bounds the memory that a model can occupy by narrowing a session repeatedly.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use valetkey_mcp::McpHostBuilder;
    ///
    /// /// For an agent that delegates to many sub-agents, each for a short time.
    /// fn for_sub_agents(builder: McpHostBuilder) -> McpHostBuilder {
    ///     builder.max_narrowed_sessions(64).narrowed_idle_timeout(Duration::from_secs(60))
    /// }
    /// ```
    pub fn max_narrowed_sessions(mut self, sessions: usize) -> Self {
        self.narrowed_limits.max_sessions = sessions;
        self
    }

    /// Sets the idle time after which the servers of a narrowed session are stopped (default: 10 min).
    ///
    /// The time begins when the last call in progress ends. The default is long enough for a model to think between two
    /// calls.
    pub fn narrowed_idle_timeout(mut self, timeout: Duration) -> Self {
        self.narrowed_limits.idle_timeout = timeout;
        self
    }

    /// Stops the process of a server that had no call for `timeout`, until its next call (default: processes stay). Zero:
    /// never.
    ///
    /// A call in progress defers the stop. A server that keeps state in memory loses it. A server's own
    /// [`idle_timeout`](crate::config::ServerConfig::idle_timeout) takes precedence.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.idle = Some(timeout);
        self
    }

    /// Sets the limits of processes at once, which hosts may share (default: a quota of the host's own, with the limits
    /// of [`ProcessLimits`](crate::ProcessLimits)).
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::{McpHostBuilder, ProcessQuota};
    ///
    /// fn with_shared_quota(builder: McpHostBuilder, quota: &ProcessQuota) -> McpHostBuilder {
    ///     builder.process_quota(quota.clone())
    /// }
    /// ```
    pub fn process_quota(mut self, quota: ProcessQuota) -> Self {
        self.process_quota = quota;
        self
    }

    /// Sets the time a server may take to respond to its first message (default: 60 s).
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout;
        self
    }

    /// Sets the time that [`McpHost::all_tools`] waits for servers (default: 5 s). Slower servers continue to start,
    /// and [`McpHost::tools_changed`] announces their tools.
    ///
    /// The default is the time that a person is willing to wait for a list of tools. A client that does not follow
    /// changes of the list needs a longer one:
    /// ```
    /// use std::time::Duration;
    /// use valetkey_mcp::McpHostBuilder;
    ///
    /// fn for_client_without_notifications(builder: McpHostBuilder) -> McpHostBuilder {
    ///     builder.list_budget(Duration::from_secs(60))
    /// }
    /// ```
    pub fn list_budget(mut self, budget: Duration) -> Self {
        self.list_budget = budget;
        self
    }

    /// Sets the time a server may take to list its tools (default: 30 s).
    pub fn list_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.list = timeout;
        self
    }

    /// Sets the time a server may take to respond to a call (default: 1 h). The call is then cancelled and fails.
    ///
    /// A server's own [`call_timeout`](crate::config::ServerConfig::call_timeout) takes precedence. The default allows
    /// for tools that wait for a deployment; without a limit, a call without a response would never end.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.call = timeout;
        self
    }

    /// Starts the host with its endpoint and supervisors. The servers themselves are started on first use.
    ///
    /// Spawns tasks on the current tokio runtime: one for each server, one that refreshes the session, and one for the
    /// endpoint unless it is shared. They end with the host.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::{ErrorKind, SessionContext, SessionPolicy};
    /// use valetkey_mcp::{McpConfig, McpHost};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let session = SessionContext::builder().build();
    /// // A policy for a server that does not exist would never apply.
    /// let reading = SessionPolicy::read_only(["s3"])?;
    /// let builder = McpHost::builder(&session, McpConfig::default()).tool_policy("aws-api", "*", reading);
    /// assert_eq!(builder.start().await.unwrap_err().kind(), ErrorKind::Invalid);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Invalid` when a tool policy names a server that is not configured or that is given no credentials; `Internal`
    /// when no port can be bound or no folder created on this machine.
    pub async fn start(self) -> Result<McpHost> {
        self.policies.validate(&self.config)?;
        let shared_endpoint = self.endpoint.is_some();
        let endpoint = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => CredentialEndpoint::start()
                .await
                .map_err(internal_error("the credential endpoint cannot listen"))?,
        };
        let shared_proxy = self.proxy.is_some();
        let proxy = self.proxy.clone().unwrap_or_default();
        let region = self.session.resolved_region();
        let session_dir = SessionDir::create(Some(&region))
            .and_then(|home| home.with_configuration(&self.environment))
            .map_err(internal_error("the session's own folder cannot be made"))?;
        // In the background, because the folders left behind by a killed process may be large.
        tokio::task::spawn_blocking(SessionDir::remove_abandoned);
        let redactor = Arc::new(Redactor::with_clock(self.session.clock()));
        self.session.observe(&redactor);
        self.environment.secrets().for_each(|secret| redactor.add_secret(secret));
        let spawn_config = Arc::new(SpawnConfig {
            driver: self.session.id(),
            owner: ProcessOwner {
                quota: self.process_quota.clone(),
                session: self.session.id(),
                principal: self.session.principal().cloned(),
            },
            environment: self.environment.clone(),
            launcher: self.launcher.clone(),
            endpoint: endpoint.clone(),
            proxy: proxy.clone(),
            clock: self.session.clock(),
            advertised_expiry: self.advertised_expiry,
            session_dir,
            start_timeout: self.start_timeout,
            redactor,
            clients: Arc::default(),
            change_counters: Arc::clone(&self.change_counters),
        });
        let (session, timeouts) = (self.session.clone(), self.timeouts);
        let (list_budget, narrowed_limits) = (self.list_budget, self.narrowed_limits);
        let table = ServerTable::build(self, &[], &spawn_config, timeouts, list_budget);
        Ok(McpHost {
            session_id: session.id(),
            accounts: SelectableAccounts::new(&session),
            table: RwLock::new(Arc::new(table)),
            retired: Mutex::new(Some(JoinSet::new())),
            stopping: CancellationToken::new(),
            tasks: TaskOwners::new(),
            interrupted: InterruptedCalls::default(),
            narrowed_pool: Arc::new(NarrowedServerPool::new(Arc::clone(&spawn_config), narrowed_limits)),
            spawn_config,
            timeouts,
            refresher: tokio::spawn(session.keep_warm()),
            owned_endpoint: (!shared_endpoint).then_some(endpoint),
            owned_proxy: (!shared_proxy).then_some(proxy),
        })
    }
}
