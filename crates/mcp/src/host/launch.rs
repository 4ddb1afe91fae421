//! How a server of a session is started: the spawn recipe, and the first words of MCP.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use valetkey_core::audit::AuditEvent;
use valetkey_core::{Credentials, Error, ErrorKind, Region, Result, SessionAccount, SessionId};

use crate::child::{
    ChildCommand, ChildEnvironment, ChildProcess, Delivery, HomeFolder, HostEnvironment, Launcher,
    SessionHome, Stdio,
};
use crate::config::ServerConfig;
use crate::connection::{Connection, Era, HandshakeError, Session};
use crate::endpoint::{Grant, Leash};
use crate::{CredentialEndpoint, Redactor};

use super::server::quoted;

/// What every server of a host is started with.
pub(super) struct Recipe {
    pub(super) session: SessionId,
    pub(super) environment: HostEnvironment,
    pub(super) launcher: Option<Launcher>,
    pub(super) endpoint: CredentialEndpoint,
    pub(super) leash: Leash,
    pub(super) home: SessionHome,
    /// How long a server may take to answer its first message.
    pub(super) patience: Duration,
    pub(super) redactor: Arc<Redactor>,
    /// Counts changes of the tools that no catalog has.
    pub(super) tools_changes: watch::Sender<u64>,
}

/// A server that answers.
pub(super) struct Started {
    pub(super) process: ChildProcess,
    pub(super) session: Session,
    pub(super) connection: Connection,
    pub(super) grant: Option<Grant>,
}

impl Recipe {
    /// The same for servers of another session, which has a home of its own.
    pub(super) fn elsewhere(&self, session: SessionId, home: SessionHome) -> Self {
        Self {
            session,
            home,
            environment: self.environment.clone(),
            launcher: self.launcher.clone(),
            endpoint: self.endpoint.clone(),
            leash: self.leash,
            patience: self.patience,
            redactor: Arc::clone(&self.redactor),
            tools_changes: self.tools_changes.clone(),
        }
    }

    /// Removes the session's folder. Its servers must be gone.
    pub(super) async fn remove_home(&self) {
        if let Err(error) = self.home.remove().await {
            tracing::warn!(%error, "the session's folder cannot be removed; the next start tries again");
        }
    }

    /// Starts a server, with credentials or without. `era` is remembered for the next time.
    pub(super) async fn start(
        &self,
        name: &str,
        config: &ServerConfig,
        account: &SessionAccount,
        era: &mut Era,
    ) -> Result<Started> {
        let mut tried = *era;
        loop {
            let grant = (config.delivery == Delivery::Endpoint)
                .then(|| self.endpoint.masked_by(&self.redactor).grant(account.clone(), name, self.leash));
            let keys = match config.delivery {
                Delivery::Env => account.credentials().await.ok(),
                Delivery::Endpoint | Delivery::None => None,
            };
            let environment = self.surround(config, account, grant.as_ref(), keys.as_ref())?;
            let mut process = self.spawn(config, account, environment)?;
            if keys.is_some() {
                account.record(AuditEvent::Serve, name, None);
            }
            let what = match self.greet(&mut process, tried).await {
                Ok(Ok((connection, session, spoken))) => {
                    *era = spoken;
                    return Ok(Started { process, session, connection, grant });
                }
                Ok(Err(error)) => {
                    if let Some(next) = tried.next(&error) {
                        tracing::debug!(server = name, ?tried, ?next, "handshake failed; trying another");
                        tried = next;
                        process.stop().await;
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
            process.stderr().last_words().await;
            let said = quoted(process.stderr(), &self.redactor);
            return Err(Error::new(ErrorKind::Unavailable, format!("the server {what}{said}")));
        }
    }

    async fn greet(
        &self,
        process: &mut ChildProcess,
        era: Era,
    ) -> Result<std::result::Result<(Connection, Session, Era), HandshakeError>, Elapsed> {
        let Some((stdout, stdin)) = process.take_streams() else {
            return Ok(Err(HandshakeError::Failed));
        };
        timeout(self.patience, Connection::open(stdout, stdin, era)).await
    }

    fn surround(
        &self,
        config: &ServerConfig,
        account: &SessionAccount,
        grant: Option<&Grant>,
        keys: Option<&Credentials>,
    ) -> Result<ChildEnvironment> {
        let fill = |field: &str, text: &str| self.fill(config, account, field, text);
        let named = config.env.iter();
        let named = named.map(|(key, value)| Ok((key.clone(), fill(&format!("env.{key}"), value)?)));
        let named: Vec<(String, String)> = named.collect::<Result<_>>()?;
        let pairs = || named.iter().map(|(key, value)| (key, value));
        let environment = ChildEnvironment::new(&self.environment, pairs()).shut(&self.home);
        let environment = match config.home {
            HomeFolder::Session => environment.at_home(&self.home),
            HomeFolder::User => environment.in_tmp(&self.home),
        };
        let mut environment = environment.region(Some(&region(account, &named)));
        if config.delivery == Delivery::None {
            // What its configuration names is all that such a server has.
            environment = environment.named(pairs());
        }
        environment = environment.marked(self.session);
        if let Some(grant) = grant {
            environment = environment.endpoint(grant);
        }
        if let Some(keys) = keys {
            self.redactor.learn(keys);
            environment = environment.keys(keys);
        }
        Ok(environment)
    }

    fn spawn(
        &self,
        config: &ServerConfig,
        account: &SessionAccount,
        environment: ChildEnvironment,
    ) -> Result<ChildProcess> {
        let fill = |field: &str, text: &str| self.fill(config, account, field, text);
        let args = config.args.iter().map(|arg| Ok(fill("args", arg)?.into()));
        let directory = config.cwd.as_deref().map(|cwd| match cwd.to_str() {
            Some(text) => fill("cwd", text).map(PathBuf::from),
            None => Ok(cwd.to_owned()),
        });
        let command = ChildCommand {
            program: fill("command", &config.command)?.into(),
            args: args.collect::<Result<_>>()?,
            directory: directory.transpose()?,
            launcher: self.launcher.clone(),
        };
        command.check(&environment)?;
        ChildProcess::spawn(command, environment, Stdio::Piped).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the server could not be started").with_source(error)
        })
    }

    fn fill(
        &self,
        config: &ServerConfig,
        account: &SessionAccount,
        field: &str,
        text: &str,
    ) -> Result<String> {
        config.fill(field, text, |fact| match fact {
            "id" => Some(self.session.to_string()),
            "region" => Some(account.resolved_region().to_string()),
            _ => None,
        })
    }
}

/// What the session names for the account, else what the server's configuration names, else the default.
fn region(account: &SessionAccount, named: &[(String, String)]) -> Region {
    let configured = || {
        let names = ["AWS_REGION", "AWS_DEFAULT_REGION"];
        let values = names.iter().flat_map(|name| named.iter().filter(move |(key, _)| key == name));
        values.filter_map(|(_, value)| value.parse().ok()).next()
    };
    account.region().or_else(configured).unwrap_or_else(|| account.resolved_region())
}
