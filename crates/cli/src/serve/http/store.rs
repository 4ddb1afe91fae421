//! The store of the sessions that several gateways serve, as the settings describe it.

#[cfg(feature = "kms")]
mod encrypted_ring;

use std::path::Path;
use std::time::Duration;

use valetkey::backends::AwsClientConfig;
use valetkey::mcp::http::SharedSessions;
use valetkey::store::{KeyRing, RecordLifetime, RedisStore, RedisStoreBuilder, SessionStore};
use valetkey::{Error, ExposeSecret, SecretString};

use crate::files::{self, AllowedWriters};
use crate::settings::{Diagnostic, Settings, StoreSettings};
#[cfg(feature = "kms")]
use encrypted_ring::EncryptedRing;

const DEFAULT_IDLE: Duration = Duration::from_secs(30 * 60);
const DEFAULT_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

const DEFAULT_NAMESPACE: &str = "valetkey";

/// A store that is not connected yet, and the keys of its records.
pub(crate) struct ConfiguredStore {
    builder: RedisStoreBuilder,
    ring: ConfiguredRing,
    lifetime: RecordLifetime,
}

/// The key ring, as the settings have it.
enum ConfiguredRing {
    Plain(KeyRing),
    #[cfg(feature = "kms")]
    Encrypted(EncryptedRing),
}

impl ConfiguredRing {
    /// Returns the ring. `base` is how KMS is called.
    #[cfg_attr(not(feature = "kms"), allow(unused_variables, reason = "only KMS is called"))]
    async fn read(self, base: &AwsClientConfig) -> Result<KeyRing, Error> {
        match self {
            Self::Plain(ring) => Ok(ring),
            #[cfg(feature = "kms")]
            Self::Encrypted(ring) => ring.decrypt(base).await,
        }
    }
}

impl ConfiguredStore {
    /// Reads what the settings name, or reports why it cannot be used. Nothing is connected.
    pub(crate) fn read(
        settings: &Settings,
        store: &StoreSettings,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let mut reader = StoreReader { settings, store, diagnostics };
        let ring = reader.read_ring();
        let lifetime = reader.read_lifetime();
        let builder = reader.read_builder();
        Some(Self { builder: builder?, ring: ring?, lifetime: lifetime? })
    }

    /// Decrypts the key ring if it is encrypted, connects, and checks the server. A store that is not reached is no error: the gateway starts without it, and
    /// serves shared sessions as soon as it is reached.
    ///
    /// # Errors
    /// Those of the key ring, and those of the store that do not pass by themselves, such as a wrong password.
    pub(crate) async fn connect(self, base: &AwsClientConfig) -> Result<SharedSessions, Error> {
        let ring = self.ring.read(base).await?;
        let store = self.builder.connect_lazily()?;
        match store.position().await {
            Err(error) if !error.is_transient() => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "starting without the session store"),
            Ok(_position) => {}
        }
        Ok(SharedSessions::new(store, ring).lifetime(self.lifetime))
    }
}

/// Reads the keys of `[store]`, and reports each error at its key.
struct StoreReader<'a> {
    settings: &'a Settings,
    store: &'a StoreSettings,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl StoreReader<'_> {
    fn read_builder(&mut self) -> Option<RedisStoreBuilder> {
        let store = self.store;
        if !self.is_usable_url(&store.url) {
            return None;
        }
        let builder = RedisStore::builder(SecretString::from(store.url.as_str()));
        if builder.check().is_err() {
            return self.report("url", "is malformed; write `rediss://HOST:PORT/`");
        }
        let builder = match builder.namespace(self.namespace()) {
            Ok(builder) => builder,
            Err(_) => return self.report("namespace", "must be 1 to 64 of `a-z 0-9 _ -`"),
        };
        let timeout = store.timeout_seconds.map(|seconds| Duration::from_secs(seconds.get()));
        let builder = timeout.into_iter().fold(builder, RedisStoreBuilder::timeout);
        let builder = store.min_replicas.into_iter().fold(builder, RedisStoreBuilder::min_replicas);
        let builder = match &store.root_certificates {
            Some(path) => builder.root_certificates(self.read_file("root_certificates", path)?),
            None => builder,
        };
        let variable = ("password_env", store.password_env.as_deref());
        match self.read_secret(variable, ("password_file", store.password_file.as_deref()))? {
            Some(password) => Some(builder.authentication(store.username.clone(), password)),
            None if store.username.is_some() => {
                self.report("username", "needs `password_env` or `password_file`")
            }
            None => Some(builder),
        }
    }

    /// The URL is shown in diagnostics and logs of other programs, so it may contain no password.
    fn is_usable_url(&mut self, url: &str) -> bool {
        let rest = url.strip_prefix("redis://").or_else(|| url.strip_prefix("rediss://"));
        let what = match rest {
            None => "must begin with `redis://` or, with TLS, `rediss://`",
            Some(rest) if rest.contains('@') => {
                "must contain no user and no password; set `username`, and `password_env` or `password_file`"
            }
            Some(_) => return true,
        };
        self.report::<()>("url", what);
        false
    }

    fn namespace(&self) -> &str {
        self.store.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE)
    }

    fn read_ring(&mut self) -> Option<ConfiguredRing> {
        let store = self.store;
        let variable = ("key_ring_env", store.key_ring_env.as_deref());
        let Some(document) = self.read_secret(variable, ("key_ring_file", store.key_ring_file.as_deref()))?
        else {
            return self
                .report("url", "needs `key_ring_file` or `key_ring_env`, the keys that seal the sessions");
        };
        let key = if store.key_ring_env.is_some() { "key_ring_env" } else { "key_ring_file" };
        if let Some(key_arn) = &store.key_ring_kms_key {
            return self.read_encrypted_ring(key, &document, key_arn);
        }
        match KeyRing::parse(&document) {
            Ok(ring) => Some(ConfiguredRing::Plain(ring)),
            Err(error) => {
                self.report(key, &format!("names a key ring that cannot be used: {}", error.message()))
            }
        }
    }

    #[cfg(feature = "kms")]
    fn read_encrypted_ring(
        &mut self,
        key: &str,
        document: &SecretString,
        key_arn: &str,
    ) -> Option<ConfiguredRing> {
        match EncryptedRing::parse(document, key_arn, self.namespace()) {
            Ok(ring) => Some(ConfiguredRing::Encrypted(ring)),
            Err(what) => self.report(key, what),
        }
    }

    #[cfg(not(feature = "kms"))]
    fn read_encrypted_ring(&mut self, _: &str, _: &SecretString, _: &str) -> Option<ConfiguredRing> {
        self.report("key_ring_kms_key", "needs a build with the feature `kms`")
    }

    fn read_lifetime(&mut self) -> Option<RecordLifetime> {
        let store = self.store;
        let idle = store.idle_seconds.map_or(DEFAULT_IDLE, |seconds| Duration::from_secs(seconds.get()));
        let total =
            store.lifetime_seconds.map_or(DEFAULT_LIFETIME, |seconds| Duration::from_secs(seconds.get()));
        if idle > total {
            return self.report("idle_seconds", "must not be longer than `lifetime_seconds`");
        }
        Some(RecordLifetime { idle, total })
    }

    /// Returns a secret from the variable or the file, `Some(None)` if neither is named, and `None` after an error.
    fn read_secret(
        &mut self,
        (variable_key, variable): (&str, Option<&str>),
        (file_key, file): (&str, Option<&Path>),
    ) -> Option<Option<SecretString>> {
        let secret = match (variable, file) {
            (None, None) => return Some(None),
            (Some(_), Some(_)) => return self.report(variable_key, &format!("excludes `{file_key}`")),
            (Some(name), None) => match std::env::var(name) {
                Ok(value) if !value.is_empty() => SecretString::from(value),
                _ => return self.report(variable_key, "names an environment variable that is not set"),
            },
            (None, Some(path)) => SecretString::from(self.read_file(file_key, path)?),
        };
        Some(Some(SecretString::from(secret.expose_secret().trim_end_matches(['\r', '\n']))))
    }

    fn read_file(&mut self, key: &str, path: &Path) -> Option<String> {
        match files::read_text(path, AllowedWriters::OwnerAndGroup) {
            Ok(text) => Some(text),
            Err(what) => self.report(key, &format!("names a file that {what}")),
        }
    }

    fn report<T>(&mut self, key: &str, what: &str) -> Option<T> {
        self.diagnostics.push(self.settings.diagnostic(&["store", key], what));
        None
    }
}
