//! `SecretsManagerResolver`: from a credential id to the credentials kept under a prefix.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use valetkey_core::{CredentialId, CredentialProvider, CredentialResolver, Credentials, Result};

use super::client::{Client, NAME, SECRET_ID};
use super::provider::fresh;
use super::{SecretsManagerBuilder, error};

/// Reads the secret named `prefix` + id. What a session may look up is what the source may read under that prefix:
/// give each tenant a prefix, or a source, of its own.
#[derive(Debug)]
pub struct SecretsManagerResolver {
    client: Client,
    prefix: String,
}

impl SecretsManagerResolver {
    /// Describes a resolver for the secrets whose names begin with `prefix`, read with the credentials of `source`.
    pub fn builder(
        prefix: impl Into<String>,
        source: Arc<dyn CredentialProvider>,
    ) -> SecretsManagerBuilder<Self> {
        SecretsManagerBuilder::new(prefix.into(), source)
    }

    pub(super) fn new(client: Client, prefix: String) -> Self {
        Self { client, prefix }
    }

    async fn read(&self, id: &CredentialId) -> Result<Credentials> {
        // No name holds a colon, every ARN does.
        if id.as_str().contains(':') {
            return Err(error::not_a_name());
        }
        self.client.read(&format!("{}{id}", self.prefix)).await.and_then(fresh)
    }
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
        self.read(id).await.map_err(|error| {
            let unknown = error.field() == Some(SECRET_ID);
            let error = if unknown { error.with_field("provider_credential_id") } else { error };
            error.with_provider(NAME)
        })
    }
}
