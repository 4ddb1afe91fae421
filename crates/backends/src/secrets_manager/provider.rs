//! `SecretsManagerProvider`: one secret's credentials.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use valetkey_core::{CredentialProvider, Credentials, Result, SystemClock};

use super::SecretsManagerBuilder;
use super::client::{Client, NAME};
use crate::expired;

/// Reads one secret at every fetch, signing with whatever the source gives at that moment. The secret is a JSON
/// object in the spellings of [`Credentials::from_json`], as text or as UTF-8 bytes.
///
/// In a chain, a source that is not configured does not make this provider absent: it is `Invalid`.
#[derive(Debug)]
pub struct SecretsManagerProvider {
    client: Client,
    secret_id: String,
}

impl SecretsManagerProvider {
    /// Describes the credentials kept in the secret of this name or ARN, read with the credentials of `source`.
    pub fn builder(
        secret_id: impl Into<String>,
        source: Arc<dyn CredentialProvider>,
    ) -> SecretsManagerBuilder<Self> {
        SecretsManagerBuilder::new(secret_id.into(), source)
    }

    pub(super) fn new(client: Client, secret_id: String) -> Self {
        Self { client, secret_id }
    }
}

pub(super) fn fresh(credentials: Credentials) -> Result<Credentials> {
    expired::kept(credentials, &SystemClock, "rotate the secret, or have its owner do so")
}

#[async_trait]
impl CredentialProvider for SecretsManagerProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// What the source answered, naming it; but `Invalid`, with the field `source`, when it is not configured.
    /// `Invalid` when there is no such secret or version, or when its text is not credentials: with the field, or the
    /// line and column. `Denied` when Secrets Manager or the secret's key refuses; `Expired` when the source's or the
    /// secret's credentials have run out; `Throttled`, `TimedOut` or `Unavailable` when nobody can answer now.
    async fn provide(&self) -> Result<Credentials> {
        self.client.read(&self.secret_id).await.and_then(fresh).map_err(|error| error.with_provider(NAME))
    }
}
