//! `SecretsManagerClient`: reads secrets with the credentials of a source, one at a time or many with few calls, and
//! transfers a payload again only if its version changed.

use std::fmt;
use std::iter::repeat_n;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_secretsmanager::Config;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use valetkey_core::{CredentialProvider, Credentials, Error, ErrorKind, Result};

use super::api::{CURRENT_STAGE, SECRET_ID_FIELD, SecretValue, SecretsManagerApi, VersionSelector};
use super::cache::{CacheSlot, CachedSecret, SecretCache, VersionKey};
use crate::validity;

/// The reads of one provider or resolver: their configuration, their source and their cache.
///
/// Each read makes an API client with the present credentials of the source, so that the source may rotate.
pub(super) struct SecretsManagerClient {
    pub(super) config: Config,
    pub(super) source: Arc<dyn CredentialProvider>,
    pub(super) version: VersionSelector,
    /// The age at which a session fetches the credentials again.
    pub(super) max_age: Option<Duration>,
    pub(super) cache: SecretCache,
}

impl SecretsManagerClient {
    /// Returns the credentials that the secret contains now. A cached payload is used after `DescribeSecret` has shown
    /// that its version is current. A permanent error evicts the payload.
    pub(super) async fn read(&self, secret_id: &str) -> Result<Credentials> {
        let source = validity::source_credentials(&*self.source).await?;
        let slot = self.cache.slot(secret_id, source.access_key_id());
        let result =
            self.read_cached(&slot, &SecretsManagerApi::with_credentials(&source, &self.config)).await;
        if result.as_ref().is_err_and(|error| !error.is_transient()) {
            slot.evict();
        }
        result.and_then(|credentials| self.ensure_unexpired(credentials))
    }

    /// Clears the payloads, and the cache of the source.
    pub(super) fn clear_cache(&self) {
        self.cache.clear();
        self.source.clear_cache();
    }

    /// Returns the credentials of a cached payload if its version is current, or else of a new one.
    ///
    /// A prefetched payload is used without a check. Without permission for `DescribeSecret`, each read fetches the
    /// payload, and the denial is cached, so that the next reads do not repeat the check.
    async fn read_cached(&self, slot: &CacheSlot<'_>, api: &SecretsManagerApi) -> Result<Credentials> {
        let (version, credentials) = match slot.lookup() {
            Some(CachedSecret::Prefetched(_, credentials)) => return Ok(credentials),
            Some(CachedSecret::Fetched(version, credentials)) => (version, credentials),
            Some(CachedSecret::DescribeDenied) => {
                return self.fetch(slot, api).await.map(|(_, credentials)| credentials);
            }
            None => return self.fetch_and_store(slot, api).await,
        };
        match api.describe_secret(slot.secret_id).await {
            Ok(secret) if secret.deleted_date.is_some() => Err(scheduled_for_deletion()),
            Ok(secret) if self.is_current(&secret, &version) => Ok(credentials),
            Ok(_) => self.fetch_and_store(slot, api).await,
            // Possibly only `DescribeSecret` is denied: the result of `GetSecretValue` decides.
            Err(error) if error.kind() == ErrorKind::Denied => {
                let (_, credentials) = self.fetch(slot, api).await?;
                slot.store(CachedSecret::DescribeDenied);
                Ok(credentials)
            }
            Err(error) => Err(error),
        }
    }

    /// Fetches the payload and caches it, if the response has a version.
    async fn fetch_and_store(&self, slot: &CacheSlot<'_>, api: &SecretsManagerApi) -> Result<Credentials> {
        let (version, credentials) = self.fetch(slot, api).await?;
        if let Some(version) = version {
            slot.store(CachedSecret::Fetched(version, credentials.clone()));
        }
        Ok(credentials)
    }

    /// Fetches the payload, without a change of the cache.
    async fn fetch(
        &self,
        slot: &CacheSlot<'_>,
        api: &SecretsManagerApi,
    ) -> Result<(Option<VersionKey>, Credentials)> {
        api.get_secret_value(slot.secret_id, &self.version).await?.into_credentials(self.max_age)
    }

    /// Returns whether the cached version is the one to read, of the same secret.
    fn is_current(&self, secret: &DescribeSecretOutput, cached: &VersionKey) -> bool {
        let stages = secret.version_ids_to_stages().and_then(|versions| versions.get(&cached.version_id));
        let is_selected = match &self.version {
            VersionSelector::Stage(stage) => stages.is_some_and(|stages| stages.contains(stage)),
            // A version never changes, and one without a stage is not listed.
            VersionSelector::Id(_) => true,
        };
        is_selected && secret.arn() == Some(&cached.arn)
    }

    /// Rejects credentials of a secret that have expired: only a rotation of the secret helps.
    pub(super) fn ensure_unexpired(&self, credentials: Credentials) -> Result<Credentials> {
        validity::ensure_unexpired(
            credentials,
            self.cache.clock(),
            "rotate the secret, or have its owner do so",
        )
    }
}

fn scheduled_for_deletion() -> Error {
    Error::invalid(SECRET_ID_FIELD, "names a secret that is scheduled for deletion")
        .with_next_step("restore the secret, or name another")
}

impl fmt::Debug for SecretsManagerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsManagerClient")
            .field("version", &self.version)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// The limit of `BatchGetSecretValue`.
const MAX_BATCH_SIZE: usize = 20;

impl SecretsManagerClient {
    /// Reads all secrets and returns the result for each, in their order. Secrets that a batch does not return are read
    /// singly.
    pub(super) async fn prefetch(&self, secret_ids: &[String]) -> Vec<Result<()>> {
        let mut results = Vec::with_capacity(secret_ids.len());
        // A batch returns the current stage only.
        let mut uses_batches =
            matches!(&self.version, VersionSelector::Stage(stage) if stage == CURRENT_STAGE);
        for chunk in secret_ids.chunks(MAX_BATCH_SIZE) {
            let batch = if uses_batches { self.fetch_batch(chunk).await } else { Ok(Vec::new()) };
            match batch {
                Ok(found) => results.extend(self.read_remaining(chunk, found).await),
                Err(error) if error.is_transient() => results.extend(repeat_n(Err(error), chunk.len())),
                // The identity may have the permission to read single secrets only.
                Err(_) => {
                    uses_batches = false;
                    results.extend(self.read_remaining(chunk, Vec::new()).await);
                }
            }
        }
        results
    }

    /// Returns the result for each secret; `None` if the batch does not contain it.
    async fn fetch_batch(&self, secret_ids: &[String]) -> Result<Vec<Option<Result<()>>>> {
        let source = validity::source_credentials(&*self.source).await?;
        let slots = secret_ids.iter().map(|id| self.cache.slot(id, source.access_key_id()));
        let slots: Vec<_> = slots.collect();
        let mut values =
            SecretsManagerApi::with_credentials(&source, &self.config).batch_get_current(secret_ids).await?;
        let result = |slot: &CacheSlot<'_>| {
            let found = values.iter().position(|value| value.is_current_version_of(slot.secret_id))?;
            Some(self.store_prefetched(slot, values.swap_remove(found)))
        };
        Ok(slots.iter().map(result).collect())
    }

    fn store_prefetched(&self, slot: &CacheSlot<'_>, value: SecretValue) -> Result<()> {
        let (version, credentials) = value.into_credentials(self.max_age)?;
        let credentials = self.ensure_unexpired(credentials)?;
        if let Some(version) = version {
            slot.store(CachedSecret::Prefetched(version, credentials));
        }
        Ok(())
    }

    async fn read_remaining(&self, secret_ids: &[String], found: Vec<Option<Result<()>>>) -> Vec<Result<()>> {
        let mut results = Vec::with_capacity(secret_ids.len());
        let found = found.into_iter().chain(std::iter::repeat_with(|| None));
        for (secret_id, result) in secret_ids.iter().zip(found) {
            results.push(match result {
                Some(result) => result,
                None => self.read(secret_id).await.map(drop),
            });
        }
        results
    }
}
