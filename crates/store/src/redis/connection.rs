//! `Connection`: two connections to one server, with a limit on the time of each operation.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use ::redis::{
    Client, Cmd, ConnectionInfo, FromRedisValue, IntoConnectionInfo, Pipeline, TlsCertificates, Value,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use secrecy::SecretString;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use valetkey_core::ExposeSecret;

use super::scripts::ScriptReply;
use crate::StoreError;

const MAX_RECONNECT_DELAY: Duration = Duration::from_millis(250);
/// The first version with flags of scripts and with the counter of added entries.
const MIN_VERSION: u32 = 7;

#[derive(Clone)]
pub(super) struct Connection {
    operations: ConnectionManager,
    /// Blocks while it waits for events, which holds up all other commands on the same connection.
    waits: ConnectionManager,
    timeout: Duration,
    min_replicas: u8,
    /// Set when the server was found to meet the requirements.
    is_checked: Arc<OnceCell<()>>,
}

impl Connection {
    pub(super) fn open(address: Address, timeout: Duration, min_replicas: u8) -> Result<Self, StoreError> {
        let client = address.into_client()?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_number_of_retries(1)
            .set_max_delay(MAX_RECONNECT_DELAY);
        // Each operation has its own limit of time.
        let config = config.set_response_timeout(None);
        let operations = ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?;
        let waits = ConnectionManager::new_lazy_with_config(client, config)?;
        Ok(Self { operations, waits, timeout, min_replicas, is_checked: Arc::default() })
    }

    /// Connects, and checks the server unless that has succeeded before.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        self.limited(async { Ok(()) }).await
    }

    /// Refuses a server that does not meet the requirements.
    async fn check_server(&self) -> Result<(), StoreError> {
        let mut connection = self.operations.clone();
        let (server, memory): (String, String) =
            info(["server", "memory"]).query_async(&mut connection).await?;
        let version = info_field(&server, "redis_version").and_then(|text| text.split('.').next());
        if version.and_then(|major| major.parse::<u32>().ok()).is_none_or(|major| major < MIN_VERSION) {
            return Err(StoreError::Misconfigured("it is older than Redis 7 or Valkey 8"));
        }
        let is_bounded = info_field(&memory, "maxmemory") != Some("0");
        if is_bounded && info_field(&memory, "maxmemory_policy") != Some("noeviction") {
            return Err(StoreError::Misconfigured("it evicts keys; set `maxmemory-policy noeviction`"));
        }
        Ok(())
    }

    /// Returns a text that is another one after the server was restarted, or another server took its place.
    pub(super) async fn epoch(&self) -> Result<String, StoreError> {
        let (server, replication): (String, String) =
            self.query_pipeline(&info(["server", "replication"])).await?;
        let field = |text, name| info_field(text, name).map(str::to_owned).ok_or(StoreError::Unexpected);
        Ok(format!("{}:{}", field(&server, "run_id")?, field(&replication, "master_replid")?))
    }

    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut connection = self.operations.clone();
        self.limited(command.query_async(&mut connection)).await
    }

    pub(super) async fn query_pipeline<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, StoreError> {
        let mut connection = self.operations.clone();
        self.limited(pipeline.query_async(&mut connection)).await
    }

    /// Runs a script that writes, and waits for the replicas that must confirm.
    ///
    /// Both commands are one pipeline: on a new connection, the second would wait for nothing.
    pub(super) async fn write(&self, script: &Cmd) -> Result<ScriptReply, StoreError> {
        if self.min_replicas == 0 {
            return self.query(script).await;
        }
        let limit = u64::try_from(self.timeout.as_millis() / 2).unwrap_or(u64::MAX).max(1);
        let mut pipeline = ::redis::pipe();
        pipeline.add_command(script.clone());
        pipeline.cmd("WAIT").arg(self.min_replicas).arg(limit);
        let (reply, confirmed): (ScriptReply, u64) = self.query_pipeline(&pipeline).await?;
        if confirmed < u64::from(self.min_replicas) {
            return Err(StoreError::Unavailable("too few replicas confirmed a write"));
        }
        Ok(reply)
    }

    /// Waits until one of the streams has an entry after the given one, for at most `wait`. Returns whether one has.
    pub(super) async fn wait_for_entry(
        &self,
        streams: &[String],
        after: &[String],
        wait: Duration,
    ) -> Result<bool, StoreError> {
        let mut command = ::redis::cmd("XREAD");
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        command.arg("COUNT").arg(1).arg("BLOCK").arg(millis).arg("STREAMS").arg(streams).arg(after);
        let mut connection = self.waits.clone();
        let waiting = timeout(wait + self.timeout, connection.req_packed_command(&command));
        let entries = waiting.await.map_err(|_elapsed| StoreError::TimedOut)?.map_err(StoreError::from)?;
        Ok(entries != Value::Nil)
    }

    async fn limited<T>(
        &self,
        operation: impl Future<Output = ::redis::RedisResult<T>>,
    ) -> Result<T, StoreError> {
        let checked = async {
            self.is_checked.get_or_try_init(|| self.check_server()).await?;
            operation.await.map_err(StoreError::from)
        };
        timeout(self.timeout, checked).await.map_err(|_elapsed| StoreError::TimedOut)?
    }
}

/// Where the server is, and how it is reached.
pub(super) struct Address {
    pub(super) url: SecretString,
    pub(super) username: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) root_certificates: Option<Vec<u8>>,
}

impl Address {
    pub(super) fn to_info(&self) -> Result<ConnectionInfo, StoreError> {
        let info = self.url.expose_secret().into_connection_info();
        let info = info.map_err(|_echo| StoreError::Misconfigured("its address is malformed"))?;
        let Some(password) = &self.password else { return Ok(info) };
        let settings = info.redis_settings().clone().set_password(password.expose_secret());
        let settings =
            self.username.iter().fold(settings, |settings, username| settings.set_username(username));
        Ok(info.set_redis_settings(settings))
    }

    fn into_client(self) -> Result<Client, StoreError> {
        let info = self.to_info()?;
        if !self.url.expose_secret().starts_with("rediss://") {
            return Ok(Client::open(info)?);
        }
        // The client library uses the provider of the process. Only the first call of a process has an effect.
        if CryptoProvider::get_default().is_none() {
            let _installed_meanwhile = aws_lc_rs::default_provider().install_default();
        }
        let certificates = TlsCertificates { client_tls: None, root_cert: self.root_certificates };
        Ok(Client::build_with_tls(info, certificates)?)
    }
}

/// Returns the commands that read two sections of the server's state.
fn info(sections: [&str; 2]) -> Pipeline {
    let mut pipeline = ::redis::pipe();
    for section in sections {
        pipeline.cmd("INFO").arg(section);
    }
    pipeline
}

/// Returns a field of the reply to `INFO`.
fn info_field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
}
