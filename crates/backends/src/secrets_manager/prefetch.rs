//! Prefetching: many secrets in few calls, for reads that are about to come.

use std::iter::repeat_n;

use valetkey_core::Result;

use super::api::{CURRENT_STAGE, SecretValue, SecretsManagerApi, VersionSelector};
use super::cache::{CacheSlot, CachedSecret};
use super::client::SecretsManagerClient;
use crate::validity;

/// The most secrets that one call takes.
const MAX_BATCH_SIZE: usize = 20;

impl SecretsManagerClient {
    /// Reads them all, and says of each how it went. A batch is only ever a saving: what it does not answer is read
    /// singly, and fails as a single read fails.
    pub(super) async fn prefetch(&self, secret_ids: &[String]) -> Vec<Result<()>> {
        let mut outcomes = Vec::with_capacity(secret_ids.len());
        // No other stage can be had in a batch.
        let mut batches = matches!(&self.version, VersionSelector::Stage(stage) if stage == CURRENT_STAGE);
        for chunk in secret_ids.chunks(MAX_BATCH_SIZE) {
            let answered = if batches { self.fetch_batch(chunk).await } else { Ok(Vec::new()) };
            match answered {
                Ok(answered) => outcomes.extend(self.read_remaining(chunk, answered).await),
                Err(error) if error.is_transient() => outcomes.extend(repeat_n(Err(error), chunk.len())),
                // Whoever may not read in batches may read singly.
                Err(_) => {
                    batches = false;
                    outcomes.extend(self.read_remaining(chunk, Vec::new()).await);
                }
            }
        }
        outcomes
    }

    /// How it went with each, as far as the batch answers it.
    async fn fetch_batch(&self, secret_ids: &[String]) -> Result<Vec<Option<Result<()>>>> {
        let source = validity::source_credentials(&*self.source).await?;
        let visits = secret_ids.iter().map(|id| self.cache.slot(id, source.access_key_id()));
        let visits: Vec<_> = visits.collect();
        let mut values =
            SecretsManagerApi::with_credentials(&source, &self.config).batch_get_current(secret_ids).await?;
        let outcome = |visit: &CacheSlot<'_>| {
            let found = values.iter().position(|value| value.is_current_version_of(visit.secret_id))?;
            Some(self.store_prefetched(visit, values.swap_remove(found)))
        };
        Ok(visits.iter().map(outcome).collect())
    }

    fn store_prefetched(&self, visit: &CacheSlot<'_>, value: SecretValue) -> Result<()> {
        let (stamp, credentials) = value.into_credentials(self.max_age)?;
        let credentials = self.ensure_unexpired(credentials)?;
        if let Some(stamp) = stamp {
            visit.store(CachedSecret::Prefetched(stamp, credentials));
        }
        Ok(())
    }

    async fn read_remaining(
        &self,
        secret_ids: &[String],
        answered: Vec<Option<Result<()>>>,
    ) -> Vec<Result<()>> {
        let mut outcomes = Vec::with_capacity(secret_ids.len());
        let answered = answered.into_iter().chain(std::iter::repeat_with(|| None));
        for (secret_id, answer) in secret_ids.iter().zip(answered) {
            outcomes.push(match answer {
                Some(outcome) => outcome,
                None => self.read(secret_id).await.map(drop),
            });
        }
        outcomes
    }
}
