//! Starts a server of a session: spawns the process or connects to the remote server, and performs the MCP handshake.
//!
//! A start has three results: a server that has completed the handshake, an error of the configuration that was found
//! before a process was started, or an error of the process with the end of its standard error, masked. In the second
//! case a retry is pointless, so no backoff is needed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use valetkey_core::audit::AuditEvent;
use valetkey_core::{Clock, Credentials, Error, ErrorKind, Region, Result, SessionAccount, SessionId};

use super::lists::ChangeCounters;
use super::process_quota::{ProcessOwner, ProcessSlot};
use crate::child::{
    ChildCommand, ChildEnvironment, ChildProcess, Delivery, HomeFolder, HostEnvironment, Launcher,
    SessionDir, Stdio,
};
use crate::client::ClientSlot;
use crate::config::ServerConfig;
use crate::connection::{Connection, ConnectionDriver, Handshake, HandshakeError, ServerInput, ServerOutput};
use crate::endpoint::{AdvertisedExpiry, Grant};
use crate::peer::ServerPeer;
use crate::remote::{RemoteLink, RemoteServer, RemoteSettings, RemoteStreams};
use crate::shared_proxy::{MaskedPlaceholder, SharedProxy};
use crate::{CredentialEndpoint, Redactor};

/// The configuration that all servers of a host are started with.
pub(crate) struct SpawnConfig {
    pub(crate) driver: SessionId,
    /// The session that the processes count for: that of the host, also for narrowed sessions.
    pub(crate) owner: ProcessOwner,
    pub(crate) environment: HostEnvironment,
    pub(crate) launcher: Option<Launcher>,
    pub(crate) endpoint: CredentialEndpoint,
    pub(crate) proxy: SharedProxy,
    /// The clock of the session.
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) advertised_expiry: AdvertisedExpiry,
    pub(crate) session_dir: SessionDir,
    /// The timeout of the handshake.
    pub(crate) start_timeout: Duration,
    /// Observes the sessions of the servers, so it knows all of their credentials.
    pub(crate) redactor: Arc<Redactor>,
    /// The clients of the servers that are started with this configuration.
    pub(crate) clients: Arc<ClientSlot>,
    /// Count changes of the lists that are not yet in a catalog.
    pub(crate) change_counters: Arc<ChangeCounters>,
}

/// A server to start.
#[derive(Clone, Copy)]
pub(super) struct StartTarget<'a> {
    pub(super) name: &'a str,
    pub(super) config: &'a ServerConfig,
    pub(super) account: &'a SessionAccount,
    /// Whether the process gets access to the credentials of the account, by the delivery of the configuration.
    pub(super) has_access: bool,
}

/// A started server that has completed the handshake.
pub(super) struct SpawnedServer {
    pub(super) slot: ProcessSlot,
    pub(super) peer: ServerPeer,
    pub(super) session: ConnectionDriver,
    pub(super) connection: Connection,
    pub(super) access: Access,
}

/// A server before its handshake.
struct StartedPeer {
    peer: ServerPeer,
    output: ServerOutput,
    input: ServerInput,
    access: Access,
}

/// The right of one process to act as its account, revoked on drop.
pub(super) enum Access {
    /// The process has no access, or has keys in its environment. The requests to a remote server are signed one by one.
    None,
    Endpoint(Grant),
    Proxy(MaskedPlaceholder),
}

impl Access {
    /// Returns the grant of a process that reads from the endpoint.
    pub(super) fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Endpoint(grant) => Some(grant),
            Self::None | Self::Proxy(_) => None,
        }
    }
}

impl SpawnConfig {
    /// Returns the same configuration for servers of another session or for other clients, which have their own folder.
    pub(crate) fn for_session(&self, session: SessionId, home: SessionDir, clients: ClientSlot) -> Self {
        Self {
            driver: session,
            owner: self.owner.clone(),
            session_dir: home,
            environment: self.environment.clone(),
            launcher: self.launcher.clone(),
            endpoint: self.endpoint.clone(),
            proxy: self.proxy.clone(),
            clock: Arc::clone(&self.clock),
            advertised_expiry: self.advertised_expiry,
            start_timeout: self.start_timeout,
            redactor: Arc::clone(&self.redactor),
            clients: Arc::new(clients),
            change_counters: Arc::clone(&self.change_counters),
        }
    }

    /// Removes the session's folder. Its servers must have exited.
    pub(crate) async fn remove_session_dir(&self) {
        if let Err(error) = self.session_dir.remove().await {
            tracing::warn!(%error, "the session's folder cannot be removed; the next start tries again");
        }
    }

    /// Starts a server, also if the account has no credentials, once the quota has room for its process. `handshake` is
    /// where the attempts begin, and is set to the handshake that succeeded, for the next start.
    pub(super) async fn start_server(
        &self,
        target: StartTarget<'_>,
        handshake: &mut Handshake,
    ) -> Result<SpawnedServer> {
        let StartTarget { name, config, account, .. } = target;
        config.check()?;
        let slot = self.owner.acquire().await?;
        let mut attempted = match *handshake {
            Handshake::Probe if self.clients.profile().is_legacy() => Handshake::Legacy,
            known => known,
        };
        loop {
            let StartedPeer { peer, output, input, access } = match &config.url {
                Some(_) => self.connect(name, config, account)?,
                None => self.start_process(target).await?,
            };
            let opened = Connection::open(output, input, attempted, &self.clients, &self.redactor);
            let failure = peer.failure_source();
            let what = match timeout(self.start_timeout, opened).await {
                Ok(Ok((connection, session, succeeded))) => {
                    *handshake = succeeded;
                    return Ok(SpawnedServer { slot, peer, session, connection, access });
                }
                Ok(Err(error)) => {
                    if let Some(reason) = failure.remote(&self.redactor) {
                        return Err(Error::new(ErrorKind::Unavailable, format!("the server {reason}"))
                            .with_next_step("check its `url` and `headers`"));
                    }
                    if let Some(next) = attempted.fallback_after(&error) {
                        tracing::debug!(server = name, ?attempted, ?next, "handshake failed; trying another");
                        attempted = next;
                        peer.stop_or_kill(&CancellationToken::new()).await;
                        continue;
                    }
                    match error {
                        HandshakeError::Refused(reason) => {
                            format!("refused the handshake: {}", self.redactor.mask(&reason))
                        }
                        HandshakeError::Failed => "could not be started".to_owned(),
                    }
                }
                Err(_elapsed) => "did not answer in time".to_owned(),
            };
            let clause = failure.quote(&self.redactor).await;
            return Err(Error::new(ErrorKind::Unavailable, format!("the server {what}{clause}")));
        }
    }

    fn connect(&self, name: &str, config: &ServerConfig, account: &SessionAccount) -> Result<StartedPeer> {
        let expand = |field: &str, text: &str| self.expand_vars(config, account, field, text);
        let (environment, clock) = (&self.environment, Arc::clone(&self.clock));
        let settings = RemoteSettings { name, config, account, environment, clock };
        let server = RemoteServer::new(settings, expand, &self.redactor)?;
        let (link, RemoteStreams { output, input }) = RemoteLink::open(server);
        Ok(StartedPeer { peer: ServerPeer::Remote(link), output, input, access: Access::None })
    }

    async fn start_process(&self, target: StartTarget<'_>) -> Result<StartedPeer> {
        let StartTarget { name, config, account, has_access } = target;
        let access = if has_access { self.grant_access(name, config, account).await? } else { Access::None };
        let credentials = match config.delivery {
            Delivery::Env => account.credentials().await.ok(),
            Delivery::Endpoint | Delivery::Proxy | Delivery::SigV4 | Delivery::None => None,
        };
        let environment = self.build_environment(config, account, &access, credentials.as_ref())?;
        let mut process = self.spawn_process(config, account, environment)?;
        if let Access::Proxy(masked) = &access {
            masked.started(process.pid());
        }
        if credentials.is_some() {
            account.audit(AuditEvent::Serve, name, None);
        }
        let (output, input) = process
            .take_streams()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the streams of the server are not connected"))?;
        let (output, input) = (Box::new(output), Box::new(input));
        Ok(StartedPeer { peer: ServerPeer::Process(process), output, input, access })
    }

    async fn grant_access(
        &self,
        name: &str,
        config: &ServerConfig,
        account: &SessionAccount,
    ) -> Result<Access> {
        Ok(match config.delivery {
            Delivery::Endpoint => {
                let endpoint = self.endpoint.with_redactor(&self.redactor);
                Access::Endpoint(endpoint.grant(account.clone(), name, self.advertised_expiry))
            }
            Delivery::Proxy => {
                let proxy = self.proxy.get(&self.environment, Arc::clone(&self.clock)).await?;
                let (account, rules) = (account.clone(), config.requests.clone());
                Access::Proxy(MaskedPlaceholder::new(proxy, account, name, rules, &self.redactor))
            }
            Delivery::Env | Delivery::SigV4 | Delivery::None => Access::None,
        })
    }

    /// Builds the environment of a server. The order matters: the configured variables come before the isolation, which
    /// removes those that would override credentials, and the credentials come last.
    fn build_environment(
        &self,
        config: &ServerConfig,
        account: &SessionAccount,
        access: &Access,
        credentials: Option<&Credentials>,
    ) -> Result<ChildEnvironment> {
        let expand = |field: &str, text: &str| self.expand_vars(config, account, field, text);
        let vars = config.env.iter();
        let vars = vars.map(|(key, value)| Ok((key.clone(), expand(&format!("env.{key}"), value)?)));
        let vars: Vec<(String, String)> = vars.collect::<Result<_>>()?;
        let pairs = || vars.iter().map(|(key, value)| (key, value));
        let environment = ChildEnvironment::new(&self.environment, pairs()).isolate(&self.session_dir);
        let environment = match config.home {
            HomeFolder::Session => environment.with_home(&self.session_dir),
            HomeFolder::User => environment.with_tmp_dir(&self.session_dir),
        };
        let mut environment = environment.with_region(Some(&server_region(account, &vars)));
        if config.delivery == Delivery::None {
            // Such a server has only the variables that its configuration names.
            environment = environment.with_vars(pairs());
        }
        environment = environment.with_gateway_marker(self.driver);
        environment = match access {
            Access::None => environment,
            Access::Endpoint(grant) => environment.with_endpoint(grant),
            Access::Proxy(masked) => environment.with_placeholder(masked.placeholder()),
        };
        if let Some(credentials) = credentials {
            environment = environment.with_static_credentials(credentials);
        }
        Ok(environment)
    }

    fn spawn_process(
        &self,
        config: &ServerConfig,
        account: &SessionAccount,
        environment: ChildEnvironment,
    ) -> Result<ChildProcess> {
        let expand = |field: &str, text: &str| self.expand_vars(config, account, field, text);
        let args = config.args.iter().map(|arg| Ok(expand("args", arg)?.into()));
        let directory = config.cwd.as_deref().map(|cwd| match cwd.to_str() {
            Some(text) => expand("cwd", text).map(PathBuf::from),
            None => Ok(cwd.to_owned()),
        });
        let command = ChildCommand {
            program: expand("command", &config.command)?.into(),
            args: args.collect::<Result<_>>()?,
            current_dir: directory.transpose()?,
            launcher: self.launcher.clone(),
        };
        command.check(&environment)?;
        ChildProcess::spawn(command, environment, Stdio::Piped).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the server could not be started").with_source(error)
        })
    }

    /// Expands the references in a text of the configuration: `${session:id}` and `${session:region}`, and the
    /// variables that were resolved when the file was read.
    fn expand_vars(
        &self,
        config: &ServerConfig,
        account: &SessionAccount,
        field: &str,
        text: &str,
    ) -> Result<String> {
        config.expand(field, text, |variable| match variable {
            "id" => Some(self.driver.to_string()),
            "region" => Some(account.resolved_region().to_string()),
            _ => None,
        })
    }
}

/// Returns the region set on the account, or else the one in the server's configuration, or else the default region.
fn server_region(account: &SessionAccount, vars: &[(String, String)]) -> Region {
    let configured = || {
        let names = ["AWS_REGION", "AWS_DEFAULT_REGION"];
        let values = names.iter().flat_map(|name| vars.iter().filter(move |(key, _)| key == name));
        values.filter_map(|(_, value)| value.parse().ok()).next()
    };
    account.region().or_else(configured).unwrap_or_else(|| account.resolved_region())
}
