//! `SecretsManagerResolver`: from a credential id to the credentials kept under a prefix.

use std::borrow::Cow;

use async_trait::async_trait;
use valetkey_core::{CredentialId, CredentialResolver, Credentials, Error, IntoProvider, Result};

use super::SecretsManagerBuilder;
use super::api::{NAME, SECRET_ID_FIELD};
use super::client::SecretsManagerClient;

/// Resolves a credential id to the credentials in the secret named `prefix` + id.
///
/// A session can look up every secret under the prefix that the source may read, so give each tenant a prefix or a source
/// of its own.
///
/// Payloads are cached as by [`SecretsManagerProvider`](super::SecretsManagerProvider), for at most 1,000 ids. Resolving
/// an id again costs one `DescribeSecret`, and never returns keys that were rotated in the meantime.
///
/// # Examples
///
/// ```
/// use valetkey_backends::{AwsClientConfig, EnvProvider, SecretsManagerResolver};
/// use valetkey_core::SessionContext;
///
/// # fn main() -> valetkey_core::Result<()> {
/// let client_config = AwsClientConfig::new().region(&"eu-central-1".parse()?);
/// let resolver = SecretsManagerResolver::builder("tenants/a/", EnvProvider::from_process())
///     .client_config(&client_config)
///     .build()?;
/// let session = SessionContext::builder().resolver(resolver).build();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SecretsManagerResolver {
    client: SecretsManagerClient,
    prefix: String,
}

impl SecretsManagerResolver {
    /// Starts the description of a resolver for the secrets whose names begin with `prefix`, read with the credentials of
    /// `source`.
    pub fn builder(prefix: impl Into<String>, source: impl IntoProvider) -> SecretsManagerBuilder<Self> {
        SecretsManagerBuilder::new(prefix.into(), source.into_provider())
    }

    pub(super) fn new(client: SecretsManagerClient, prefix: String) -> Self {
        Self { client, prefix }
    }

    /// Reads many secrets with one call for each 20, and returns the errors of those that could not be read. The next
    /// `resolve` of each other id within a minute needs no call.
    ///
    /// Secrets that a call does not return are read singly, one after another. So are all secrets if the source has no
    /// permission for `secretsmanager:BatchGetSecretValue`, or if the resolver reads another version than the current
    /// one.
    ///
    /// # Errors
    /// For each id the errors of `resolve`. A transient error of a call applies to each of its 20 ids.
    ///
    /// # Cancel safety
    /// If the future is dropped, the secrets that were read so far stay cached.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use valetkey_backends::SecretsManagerResolver;
    /// # use valetkey_core::CredentialId;
    /// # async fn example(resolver: &SecretsManagerResolver, ids: &[CredentialId]) {
    /// let failed = resolver.prefetch(ids).await;
    /// assert!(failed.is_empty(), "{failed:?}");
    /// # }
    /// ```
    pub async fn prefetch(&self, ids: &[CredentialId]) -> Vec<(CredentialId, Error)> {
        let mut errors = Vec::new();
        let (mut valid_ids, mut secret_ids) = (Vec::new(), Vec::new());
        for id in ids {
            match self.secret_id(id) {
                Ok(secret_id) => {
                    valid_ids.push(id);
                    secret_ids.push(secret_id);
                }
                Err(error) => errors.push((id.clone(), map_error(error))),
            }
        }
        let results = self.client.prefetch(&secret_ids).await;
        let failed = valid_ids
            .into_iter()
            .zip(results)
            .filter_map(|(id, result)| Some((id.clone(), map_error(result.err()?))));
        errors.extend(failed);
        errors
    }

    fn secret_id(&self, id: &CredentialId) -> Result<String> {
        // Names have no colon, and every ARN has one.
        if id.as_str().contains(':') {
            return Err(id_with_colon());
        }
        Ok(format!("{}{id}", self.prefix))
    }

    async fn read(&self, id: &CredentialId) -> Result<Credentials> {
        self.client.read(&self.secret_id(id)?).await
    }
}

/// Converts an error about a secret to an error about the credential id.
fn map_error(error: Error) -> Error {
    let is_about_id = error.field() == Some(SECRET_ID_FIELD);
    let error = if is_about_id { error.with_field("provider_credential_id") } else { error };
    error.with_provider(NAME)
}

#[async_trait]
impl CredentialResolver for SecretsManagerResolver {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// As `provide` of [`SecretsManagerProvider`](super::SecretsManagerProvider). If the id has a colon or there is no such
    /// secret, the field is `provider_credential_id`.
    async fn resolve(&self, id: &CredentialId) -> Result<Credentials> {
        self.read(id).await.map_err(map_error)
    }

    fn clear_cache(&self) {
        self.client.clear_cache();
    }
}

fn id_with_colon() -> Error {
    Error::invalid(
        "provider_credential_id",
        "must not contain a colon: it would be the ARN of another secret",
    )
    .with_next_step("check the id of the stack job")
}
