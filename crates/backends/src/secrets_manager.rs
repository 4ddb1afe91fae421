//! `SecretsManagerProvider`: credentials in a secret of AWS Secrets Manager.

mod api;
mod builder;
mod cache;
mod client;
mod prefetch;
mod resolver;

use std::borrow::Cow;

use async_trait::async_trait;
use valetkey_core::{CredentialProvider, Credentials, IntoProvider, Result};

use self::api::NAME;
pub use self::builder::SecretsManagerBuilder;
use self::client::SecretsManagerClient;
pub use self::resolver::SecretsManagerResolver;

/// Reads one secret at each fetch, and signs the request with the present credentials of its source. The secret is a
/// JSON object with the keys of [`Credentials::from_json`], as text or as UTF-8 bytes.
///
/// A session fetches again after the [`ttl`](SecretsManagerBuilder::ttl) of the provider, and at
/// [`refresh`](valetkey_core::SessionContext::refresh). Each fetch checks the version of the secret with
/// `DescribeSecret`. It transfers the payload again with `GetSecretValue` if
///
/// - the version has changed: the session reports a rotation;
/// - the source signs with another access key than before. A role that is assumed anew at each fetch always does, so
///   put a session between the two;
/// - the payload is an hour old, so that an identity without permission for `GetSecretValue` finds out;
/// - the source has no permission for `DescribeSecret`. This is tried again once an hour.
///
/// The source needs `secretsmanager:GetSecretValue`, and should have `secretsmanager:DescribeSecret`. Name a secret of
/// another account by its ARN, and use a role of that account as the source.
///
/// In a chain, a source that is not configured does not make this provider absent: it is `Invalid`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use valetkey_backends::{AwsClientConfig, EnvProvider, SecretsManagerProvider};
/// use valetkey_core::SessionContext;
///
/// # fn main() -> valetkey_core::Result<()> {
/// let client_config = AwsClientConfig::new().region(&"eu-central-1".parse()?);
/// let provider = SecretsManagerProvider::builder("agents/reporting", EnvProvider::from_process())
///     .ttl(Duration::from_secs(60))
///     .client_config(&client_config)
///     .build()?;
/// let session = SessionContext::builder().provider(provider).build();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SecretsManagerProvider {
    client: SecretsManagerClient,
    secret_id: String,
}

impl SecretsManagerProvider {
    /// Starts the description of the credentials in the secret with this name or ARN, read with the credentials of
    /// `source`.
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

    /// Fetches the credentials of the source, and reads the secret.
    ///
    /// # Errors
    /// - Errors of the source keep their kind and name the source. A source that is not configured is `Invalid`, with
    ///   the field `source`.
    /// - `Invalid`: there is no such secret or version, the secret is scheduled for deletion, or its text is not
    ///   credentials. The error names the field, or the line and column.
    /// - `Denied`: Secrets Manager or the KMS key of the secret refuses the request.
    /// - `Expired`: the credentials of the source or of the secret have expired.
    /// - `Throttled`, `TimedOut`, `Unavailable`: the service cannot respond now.
    async fn provide(&self) -> Result<Credentials> {
        self.client.read(&self.secret_id).await.map_err(|error| error.with_provider(NAME))
    }

    /// Clears the cached payload, and the cache of the source.
    fn clear_cache(&self) {
        self.client.clear_cache();
    }
}
