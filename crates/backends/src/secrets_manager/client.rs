//! `SecretsManagerClient`: reads secrets with what the source gives, and transfers a payload again only when its version moved.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_secretsmanager::Config;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use valetkey_core::{CredentialProvider, Credentials, Error, ErrorKind, Result};

use super::api::{SECRET_ID_FIELD, SecretsManagerApi, VersionSelector};
use super::cache::{CacheSlot, CachedSecret, SecretCache, VersionKey};
use crate::validity;

pub(super) struct SecretsManagerClient {
    pub(super) config: Config,
    pub(super) source: Arc<dyn CredentialProvider>,
    pub(super) version: VersionSelector,
    /// What the credentials are stamped with.
    pub(super) max_age: Option<Duration>,
    pub(super) cache: SecretCache,
}

impl SecretsManagerClient {
    /// The credentials that the secret holds now. What is kept of it counts when a `DescribeSecretInput` says that its
    /// version stayed; a failure that will not pass drops it.
    pub(super) async fn read(&self, secret_id: &str) -> Result<Credentials> {
        let source = validity::source_credentials(&*self.source).await?;
        let visit = self.cache.slot(secret_id, source.access_key_id());
        let answer =
            self.read_cached(&visit, &SecretsManagerApi::with_credentials(&source, &self.config)).await;
        if answer.as_ref().is_err_and(|error| !error.is_transient()) {
            visit.evict();
        }
        answer.and_then(|credentials| self.ensure_unexpired(credentials))
    }

    pub(super) fn clear_cache(&self) {
        self.cache.clear();
        self.source.clear_cache();
    }

    async fn read_cached(&self, visit: &CacheSlot<'_>, calls: &SecretsManagerApi) -> Result<Credentials> {
        let (stamp, credentials) = match visit.lookup() {
            Some(CachedSecret::Prefetched(_, credentials)) => return Ok(credentials),
            Some(CachedSecret::Fetched(stamp, credentials)) => (stamp, credentials),
            Some(CachedSecret::DescribeDenied) => return self.fetch(visit, calls).await.map(|(_, it)| it),
            None => return self.fetch_and_store(visit, calls).await,
        };
        match calls.describe_secret(visit.secret_id).await {
            Ok(secret) if secret.deleted_date.is_some() => Err(scheduled_for_deletion()),
            Ok(secret) if self.is_current(&secret, &stamp) => Ok(credentials),
            Ok(_) => self.fetch_and_store(visit, calls).await,
            // It may be this call alone that is denied. What the other one says counts.
            Err(error) if error.kind() == ErrorKind::Denied => {
                let (_, credentials) = self.fetch(visit, calls).await?;
                visit.store(CachedSecret::DescribeDenied);
                Ok(credentials)
            }
            Err(error) => Err(error),
        }
    }

    async fn fetch_and_store(&self, visit: &CacheSlot<'_>, calls: &SecretsManagerApi) -> Result<Credentials> {
        let (stamp, credentials) = self.fetch(visit, calls).await?;
        if let Some(stamp) = stamp {
            visit.store(CachedSecret::Fetched(stamp, credentials.clone()));
        }
        Ok(credentials)
    }

    async fn fetch(
        &self,
        visit: &CacheSlot<'_>,
        calls: &SecretsManagerApi,
    ) -> Result<(Option<VersionKey>, Credentials)> {
        calls.get_secret_value(visit.secret_id, &self.version).await?.into_credentials(self.max_age)
    }

    /// Whether what was asked for is still the version that is kept, of the same secret.
    fn is_current(&self, secret: &DescribeSecretOutput, kept: &VersionKey) -> bool {
        let stages = secret.version_ids_to_stages().and_then(|versions| versions.get(&kept.version_id));
        let stays = match &self.version {
            VersionSelector::Stage(stage) => stages.is_some_and(|stages| stages.contains(stage)),
            // A version never changes, and one without a stage is not listed.
            VersionSelector::Id(_) => true,
        };
        stays && secret.arn() == Some(&kept.arn)
    }

    pub(super) fn ensure_unexpired(&self, credentials: Credentials) -> Result<Credentials> {
        validity::ensure_unexpired(
            credentials,
            self.cache.clock(),
            "rotate the secret, or have its owner do so",
        )
    }
}

impl fmt::Debug for SecretsManagerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsManagerClient")
            .field("version", &self.version)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

fn scheduled_for_deletion() -> Error {
    Error::invalid(SECRET_ID_FIELD, "names a secret that is scheduled for deletion")
        .with_next_step("restore the secret, or name another")
}
