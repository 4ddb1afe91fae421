//! Secrets Manager: credentials kept as JSON in a secret, by name (a provider) or by credential id (a resolver).

mod api;
mod builder;
mod cache;
mod client;
mod prefetch;
mod resolver;

pub use builder::SecretsManagerBuilder;
pub use resolver::SecretsManagerResolver;

use std::borrow::Cow;

use async_trait::async_trait;
use valetkey_core::{CredentialProvider, Credentials, IntoProvider, Result};

use api::NAME;
use client::SecretsManagerClient;

/// Reads one secret at every fetch, signing with whatever the source gives at that moment. The secret is a JSON
/// object in the spellings of [`Credentials::from_json`], as text or as UTF-8 bytes.
///
/// A session asks again after the provider's [`ttl`](SecretsManagerBuilder::ttl), and at
/// [`refresh`](valetkey_core::SessionContext::refresh). Each fetch asks the secret which version it is at; the payload
/// is transferred again when
/// - the version moved: a rotation is picked up and announced as one of the session's;
/// - the source signs with another key than the one that read it (a role that is assumed anew at each fetch always
///   does: let a session stand before it);
/// - it was read an hour ago, so that whoever lost `GetSecretValueInput` alone learns of it by then;
/// - the source may not `DescribeSecretInput`: then each fetch is a `GetSecretValueInput`, and whether that is still so is tried
///   once an hour.
///
/// The source needs `secretsmanager:GetSecretValueInput`, and had better have `secretsmanager:DescribeSecretInput`; for a secret
/// of another account, name it by ARN and let the source be a role there.
/// [`clear_cache`](CredentialProvider::clear_cache) drops the payload, and has the source forget too.
///
/// In a chain, a source that is not configured does not make this provider absent: it is `Invalid`.
#[derive(Debug)]
pub struct SecretsManagerProvider {
    client: SecretsManagerClient,
    secret_id: String,
}

impl SecretsManagerProvider {
    /// Describes the credentials kept in the secret of this name or ARN, read with the credentials of `source`.
    pub fn builder(secret_id: impl Into<String>, source: impl IntoProvider) -> SecretsManagerBuilder<Self> {
        SecretsManagerBuilder::new(secret_id.into(), source.into_provider())
    }

    fn new(client: SecretsManagerClient, secret_id: String) -> Self {
        Self { client, secret_id }
    }
}

#[async_trait]
impl CredentialProvider for SecretsManagerProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// What the source answered, naming it; but `Invalid`, with the field `source`, when it is not configured.
    /// `Invalid` when there is no such secret or version, when the secret is scheduled for deletion, or when its text is
    /// not credentials: with the field, or the line and column. `Denied` when Secrets Manager or the secret's key
    /// refuses; `Expired` when the source's or the secret's credentials have run out; `Throttled`, `TimedOut` or
    /// `Unavailable` when nobody can answer now.
    async fn provide(&self) -> Result<Credentials> {
        self.client.read(&self.secret_id).await.map_err(|error| error.with_provider(NAME))
    }

    fn clear_cache(&self) {
        self.client.clear_cache();
    }
}
