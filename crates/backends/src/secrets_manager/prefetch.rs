//! Prefetching: reads many secrets with few calls, for lookups that follow.

use std::iter::repeat_n;

use valetkey_core::Result;

use super::api::{CURRENT_STAGE, SecretValue, SecretsManagerApi, VersionSelector};
use super::cache::{CacheSlot, CachedSecret};
use super::client::SecretsManagerClient;
use crate::validity;

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
