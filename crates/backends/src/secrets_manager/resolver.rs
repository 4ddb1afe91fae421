//! `SecretsManagerResolver`: from a credential id to the credentials kept under a prefix.

use std::borrow::Cow;

use async_trait::async_trait;
use valetkey_core::{CredentialId, CredentialResolver, Credentials, Error, IntoProvider, Result};

use super::SecretsManagerBuilder;
use super::api::{NAME, SECRET_ID_FIELD};
use super::client::SecretsManagerClient;

/// Reads the secret named `prefix` + id. What a session may look up is what the source may read under that prefix:
/// give each tenant a prefix, or a source, of its own.
///
/// What a secret held is kept as [`SecretsManagerProvider`](super::SecretsManagerProvider) keeps it, for 1,000 ids at
/// most: resolving an id again costs a `DescribeSecretInput`, and never gives keys that were rotated meanwhile.
#[derive(Debug)]
pub struct SecretsManagerResolver {
    client: SecretsManagerClient,
    prefix: String,
}

impl SecretsManagerResolver {
    /// Describes a resolver for the secrets whose names begin with `prefix`, read with the credentials of `source`.
    pub fn builder(prefix: impl Into<String>, source: impl IntoProvider) -> SecretsManagerBuilder<Self> {
        SecretsManagerBuilder::new(prefix.into(), source.into_provider())
    }

    pub(super) fn new(client: SecretsManagerClient, prefix: String) -> Self {
        Self { client, prefix }
    }

    /// Reads many secrets at once, 20 a call, and says which could not be read, and why. What such a call answered is
    /// good for the next `resolve` of its id within a minute, without another call. Whatever it leaves out, or the
    /// source may not read so (`secretsmanager:BatchGetSecretValue`), is read singly, one after another, as is any
    /// version but the current one. Dropped on the way, it keeps what was read so far.
    ///
    /// # Errors
    /// For each id those of `resolve`; one that will pass stands for the whole call of 20.
    pub async fn prefetch(&self, ids: &[CredentialId]) -> Vec<(CredentialId, Error)> {
        let mut faults = Vec::new();
        let (mut known, mut secret_ids) = (Vec::new(), Vec::new());
        for id in ids {
            match self.secret_id(id) {
                Ok(secret_id) => {
                    known.push(id);
                    secret_ids.push(secret_id);
                }
                Err(error) => faults.push((id.clone(), map_error(error))),
            }
        }
        let outcomes = self.client.prefetch(&secret_ids).await;
        let failed = known
            .into_iter()
            .zip(outcomes)
            .filter_map(|(id, outcome)| Some((id.clone(), map_error(outcome.err()?))));
        faults.extend(failed);
        faults
    }

    fn secret_id(&self, id: &CredentialId) -> Result<String> {
        // No name holds a colon, every ARN does.
        if id.as_str().contains(':') {
            return Err(id_with_colon());
        }
        Ok(format!("{}{id}", self.prefix))
    }

    async fn read(&self, id: &CredentialId) -> Result<Credentials> {
        self.client.read(&self.secret_id(id)?).await
    }
}

/// A failure of the secret, in the words of whoever gave an id.
fn map_error(error: Error) -> Error {
    let unknown = error.field() == Some(SECRET_ID_FIELD);
    let error = if unknown { error.with_field("provider_credential_id") } else { error };
    error.with_provider(NAME)
}

#[async_trait]
impl CredentialResolver for SecretsManagerResolver {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// As [`SecretsManagerProvider`](super::SecretsManagerProvider)'s `provide`; with the field
    /// `provider_credential_id` when the id holds a colon or no such secret is there.
    async fn resolve(&self, id: &CredentialId) -> Result<Credentials> {
        self.read(id).await.map_err(map_error)
    }

    fn clear_cache(&self) {
        self.client.clear_cache();
    }
}

fn id_with_colon() -> Error {
    Error::invalid("provider_credential_id", "must not hold a colon here: it would name a secret of its own")
        .with_next_step("check the id of the stack job")
}
