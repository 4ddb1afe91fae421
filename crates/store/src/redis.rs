//! `RedisStore`: sealed records in Redis or Valkey.

mod connection;
mod events;
mod keys;
mod replies;
mod scripts;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use valetkey_core::Error;

use connection::{Address, Connection};
use keys::Keys;
use scripts::ScriptReply;

use crate::sealing::MAX_FRAME;
use crate::{
    Change, EventBatch, Lease, LeaseOutcome, NodeId, RecordGeneration, RecordId, RecordLifetime,
    RecordVersion, SealedRecord, SessionStore, StoreError, StorePosition,
};

/// Keeps records in Redis (7 or newer) or Valkey (8 or newer). A clone refers to the same connections.
///
/// # Data
/// All keys begin with `{<namespace>:<shard>}:`. A record is a hash, the events of a shard are a stream that is bounded
/// in length. A record and the stream that its changes are reported on have one hash slot, so that both change in one
/// script, and a change is never stored without its event.
///
/// # What the server has to be
/// - The server must not evict keys: `maxmemory-policy` is `noeviction` if `maxmemory` is set. An evicted record reads
///   as a session that has ended.
/// - A write that the server confirmed is lost when the server fails before it is on disk or on a replica. Use
///   `appendonly yes`, and [`min_replicas`](RedisStoreBuilder::min_replicas) with a failover.
/// - The user needs the commands `eval`, `hmget`, `hget`, `hset`, `hdel`, `hstrlen`, `exists`, `del`, `pexpire`, `pttl`,
///   `time`, `xadd`, `xrange`, `xrevrange`, `xread`, `xinfo|stream`, `info`, `wait` and `ping` on the keys
///   `{<namespace>:*`.
///
/// # Tasks
/// The client library drives its two connections with tasks, which end with the last clone.
///
/// # Examples
/// ```no_run
/// use valetkey_core::SecretString;
/// use valetkey_store::RedisStore;
///
/// # async fn example() -> Result<(), valetkey_core::Error> {
/// let url = SecretString::from("rediss://valetkey:password@redis.internal:6379/");
/// let store = RedisStore::builder(url).namespace("production")?.min_replicas(1).connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    connection: Connection,
    keys: Keys,
    max_events: usize,
}

/// Configures a [`RedisStore`]. Created by [`RedisStore::builder`].
#[must_use]
pub struct RedisStoreBuilder {
    address: Address,
    namespace: String,
    shards: u8,
    max_events: usize,
    timeout: Duration,
    min_replicas: u8,
}

impl RedisStore {
    /// Returns a builder.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SecretString;
    /// # use valetkey_store::RedisStore;
    /// let builder = RedisStore::builder(SecretString::from("redis://:password@127.0.0.1/"));
    /// assert!(!format!("{builder:?}").contains("password"));
    /// ```
    ///
    /// The URL is `redis://` or, with TLS, `rediss://`, with an optional user and password. Without
    /// TLS, the sealed records and the password of the store cross the network in the open.
    pub fn builder(url: SecretString) -> RedisStoreBuilder {
        RedisStoreBuilder {
            address: Address { url, username: None, password: None, root_certificates: None },
            namespace: "valetkey".to_owned(),
            shards: 16,
            max_events: 10_000,
            timeout: Duration::from_secs(2),
            min_replicas: 0,
        }
    }
}

impl RedisStoreBuilder {
    /// Sets the namespace (default: `valetkey`). Two fleets on one server have different ones.
    ///
    /// # Errors
    /// `Invalid` unless it is 1 to 64 of `a-z 0-9 _ -`.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SecretString;
    /// # use valetkey_store::RedisStore;
    /// let builder = RedisStore::builder(SecretString::from("redis://127.0.0.1/"));
    /// assert!(builder.namespace("a:b").is_err());
    /// ```
    pub fn namespace(mut self, namespace: &str) -> Result<Self, Error> {
        let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if !(1..=64).contains(&namespace.len()) || !namespace.bytes().all(is_allowed) {
            return Err(Error::invalid("namespace", "must be 1 to 64 of `a-z 0-9 _ -`"));
        }
        namespace.clone_into(&mut self.namespace);
        Ok(self)
    }

    /// Sets into how many shards the records are divided (default: 16; at least 1). Every node of a fleet must have the
    /// same number.
    pub fn shards(mut self, shards: u8) -> Self {
        self.shards = shards.max(1);
        self
    }

    /// Sets how many events each shard keeps (default: 10,000). A node that missed more compares versions instead.
    pub fn max_events(mut self, max_events: usize) -> Self {
        self.max_events = max_events.max(1);
        self
    }

    /// Sets the time that an operation takes at most, including a new connection (default: 2 s).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many replicas must confirm a write before it succeeds (default: 0). With 1 or more, a failover to a
    /// replica that has confirmed loses no session and no clear. A write that too few replicas confirm fails with a
    /// transient error, and may have taken place.
    pub fn min_replicas(mut self, replicas: u8) -> Self {
        self.min_replicas = replicas;
        self
    }

    /// Sets the certificates, in PEM, that the server's certificate must descend from (default: those of the operating
    /// system). For `rediss://` only.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.address.root_certificates = Some(pem.into());
        self
    }

    /// Sets the user and the password, in place of those in the URL.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SecretString;
    /// # use valetkey_store::RedisStore;
    /// let builder = RedisStore::builder("rediss://redis.internal/".into());
    /// let builder = builder.authentication(Some("valetkey".to_owned()), SecretString::from("password"));
    /// ```
    pub fn authentication(mut self, username: Option<String>, password: SecretString) -> Self {
        (self.address.username, self.address.password) = (username, Some(password));
        self
    }

    /// Checks the URL without connecting.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] for a malformed URL.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_store::RedisStore;
    /// assert!(RedisStore::builder("http://redis.internal/".into()).check().is_err());
    /// ```
    pub fn check(&self) -> Result<(), StoreError> {
        self.address.to_info().map(drop)
    }

    /// Connects, and checks the server. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] for a malformed URL, for a server that is too old, and for one that evicts keys;
    /// [`StoreError::Denied`] for a wrong password; those of a failing store.
    pub async fn connect(self) -> Result<RedisStore, StoreError> {
        let store = self.connect_lazily()?;
        store.connection.check().await?;
        Ok(store)
    }

    /// Returns the store without connecting: the first operation connects, and checks the server. While the server is not
    /// reached, operations fail, and connect again.
    ///
    /// Call it within a tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] for a malformed URL or certificate. Each operation has the errors of
    /// [`connect`](Self::connect) until the server was checked.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SecretString;
    /// # use valetkey_store::{RedisStore, SessionStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), valetkey_store::StoreError> {
    /// let url = SecretString::from("redis://127.0.0.1:1/");
    /// let store = RedisStore::builder(url).connect_lazily()?;
    /// assert!(store.position().await.is_err_and(|error| error.is_transient()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_lazily(self) -> Result<RedisStore, StoreError> {
        let keys = Keys::new(&self.namespace, self.shards);
        let connection = Connection::open(self.address, self.timeout, self.min_replicas)?;
        Ok(RedisStore { connection, keys, max_events: self.max_events })
    }
}

impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("keys", &self.keys).finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn create(
        &self,
        id: RecordId,
        record: &SealedRecord,
        lifetime: RecordLifetime,
    ) -> Result<(), StoreError> {
        let mut command = scripts::CREATE.on(&[self.keys.record(id)]);
        command.arg(record.generation().number()).arg(record.frame());
        command.arg(to_millis(lifetime.idle)).arg(to_millis(lifetime.total));
        self.connection.write(&command).await?.into_done()
    }

    async fn load(&self, id: RecordId) -> Result<SealedRecord, StoreError> {
        let mut command = scripts::LOAD.on(&[self.keys.record(id)]);
        command.arg(MAX_FRAME);
        self.connection.query::<ScriptReply>(&command).await?.into_record()
    }

    async fn save(
        &self,
        id: RecordId,
        expected: RecordGeneration,
        record: &SealedRecord,
        change: Change,
    ) -> Result<(), StoreError> {
        let script = match change {
            Change::Rotated => scripts::SAVE,
            Change::Cleared => scripts::SAVE_CLEARED,
        };
        let mut command = script.on(&[self.keys.record(id), self.keys.events(id)]);
        // An expectation that no record meets, if the new generation is not a later one.
        let expected =
            if record.generation() > expected { expected.number().to_string() } else { String::new() };
        command.arg(expected).arg(record.generation().number()).arg(record.frame());
        command.arg(self.max_events).arg(id.to_string()).arg(events::change_code(change));
        self.connection.write(&command).await?.into_done()
    }

    async fn touch(&self, id: RecordId) -> Result<(), StoreError> {
        let command = scripts::TOUCH.on(&[self.keys.record(id)]);
        self.connection.query::<ScriptReply>(&command).await?.into_done()
    }

    async fn close(&self, id: RecordId) -> Result<(), StoreError> {
        let mut command = scripts::CLOSE.on(&[self.keys.record(id), self.keys.events(id)]);
        command.arg(self.max_events).arg(id.to_string());
        self.connection.write(&command).await?.into_done()
    }

    async fn versions(&self, ids: &[RecordId]) -> Result<Vec<Option<RecordVersion>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = ::redis::pipe();
        for id in ids {
            pipeline.cmd("HMGET").arg(self.keys.record(*id)).arg("g").arg("c");
        }
        let numbers: Vec<(Option<u64>, Option<u64>)> = self.connection.query_pipeline(&pipeline).await?;
        let version = |(generation, cleared): (Option<u64>, Option<u64>)| {
            let generation = generation.map(RecordGeneration::new)?;
            Some(RecordVersion { generation, cleared: cleared.map(RecordGeneration::new) })
        };
        Ok(numbers.into_iter().map(version).collect())
    }

    async fn lease(
        &self,
        id: RecordId,
        expected: RecordGeneration,
        node: NodeId,
        lifetime: Duration,
    ) -> Result<LeaseOutcome, StoreError> {
        let mut command = scripts::LEASE.on(&[self.keys.record(id)]);
        command.arg(expected.number()).arg(node.to_string()).arg(to_millis(lifetime));
        let reply = self.connection.query::<ScriptReply>(&command).await?;
        reply.into_lease(Lease { id, generation: expected, node })
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut command = scripts::RELEASE.on(&[self.keys.record(lease.id)]);
        command.arg(lease.generation.number()).arg(lease.node.to_string());
        self.connection.query::<ScriptReply>(&command).await?.into_done()
    }

    async fn position(&self) -> Result<StorePosition, StoreError> {
        events::position(&self.connection, &self.keys).await
    }

    async fn events_since(&self, position: &StorePosition, wait: Duration) -> Result<EventBatch, StoreError> {
        events::events_since(&self.connection, &self.keys, position, wait).await
    }
}

/// Whole milliseconds, rounded up, since zero would end a record at once.
fn to_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX).min(MAX_MILLIS)
}

/// A hundred years: the server adds it to the time.
const MAX_MILLIS: u64 = 100 * 366 * 24 * 3_600 * 1_000;
