//! `SecretsManagerProvider` and `SecretsManagerResolver`: credentials in secrets of AWS Secrets Manager.

mod api;
mod cache;
mod client;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use valetkey_core::{
    Clock, CredentialId, CredentialProvider, CredentialResolver, Credentials, Error, IntoProvider, Region,
    Result, SystemClock,
};

use self::api::{CURRENT_STAGE, NAME, SECRET_ID_FIELD, VersionSelector};
use self::cache::SecretCache;
use self::client::SecretsManagerClient;
use crate::AwsClientConfig;
use crate::client_config::EndpointConfig;

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

const DEFAULT_TTL: Duration = Duration::from_secs(300);
const MAX_TTL: Duration = Duration::from_secs(3_600);

/// Describes a [`SecretsManagerProvider`] or a [`SecretsManagerResolver`]: `T` is the type that `build` returns.
///
/// # Examples
///
/// Read the pending version of a secret of another account, with a role of that account:
///
/// ```
/// # use std::sync::Arc;
/// use valetkey_backends::SecretsManagerProvider;
/// # use valetkey_backends::AwsClientConfig;
/// # use valetkey_core::{CredentialProvider, Result};
/// # fn example(role: Arc<dyn CredentialProvider>, client_config: &AwsClientConfig) -> Result<SecretsManagerProvider> {
///
/// let secret = "arn:aws:secretsmanager:eu-central-1:222222222222:secret:agents/reporting";
/// SecretsManagerProvider::builder(secret, role)
///     .version_stage("AWSPENDING")
///     .client_config(client_config)
///     .build()
/// # }
/// ```
#[must_use]
pub struct SecretsManagerBuilder<T> {
    /// The id of the secret, or the prefix of the resolver.
    secret_id_or_prefix: String,
    source: Arc<dyn CredentialProvider>,
    version_stage: Option<String>,
    version_id: Option<String>,
    ttl: Duration,
    clock: Arc<dyn Clock>,
    endpoint: EndpointConfig,
    marker: std::marker::PhantomData<fn() -> T>,
}

impl<T> SecretsManagerBuilder<T> {
    fn new(secret_id_or_prefix: String, source: Arc<dyn CredentialProvider>) -> Self {
        Self {
            secret_id_or_prefix,
            source,
            version_stage: None,
            version_id: None,
            ttl: DEFAULT_TTL,
            clock: Arc::new(SystemClock),
            endpoint: EndpointConfig::default(),
            marker: std::marker::PhantomData,
        }
    }

    /// Sets the staging label of the version to read, 1–256 characters (default: `AWSCURRENT`). It is always sent.
    pub fn version_stage(mut self, stage: impl Into<String>) -> Self {
        self.version_stage = Some(stage.into());
        self
    }

    /// Sets the id of the version to read, 32–64 characters (default: the version with the staging label).
    pub fn version_id(mut self, id: impl Into<String>) -> Self {
        self.version_id = Some(id.into());
        self
    }

    /// Sets the region of the secret (default: the region in its ARN, or else of the client configuration).
    pub fn region(mut self, region: Region) -> Self {
        self.endpoint.region = Some(region);
        self
    }

    /// Sets the URL of Secrets Manager (default: the endpoint of the client configuration).
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.endpoint.endpoint_url = Some(url.into());
        self
    }

    /// Sets the client configuration, which providers share (default: [`AwsClientConfig::new`]).
    pub fn client_config(mut self, config: &AwsClientConfig) -> Self {
        self.endpoint.client_config = Some(config.clone());
        self
    }

    /// Sets the source of wall time (default: the machine's clock).
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn build_client(mut self, max_age: Option<Duration>) -> Result<SecretsManagerClient> {
        let version = version_selector(self.version_stage, self.version_id)?;
        self.endpoint.region = self.endpoint.region.or_else(|| region_from_arn(&self.secret_id_or_prefix));
        let config = self.endpoint.into_sdk_config().ok_or_else(|| {
            Error::invalid("region", "of Secrets Manager is not known").with_next_step(
                "give the provider a region, a client configuration that has one, or the secret's ARN",
            )
        })?;
        Ok(SecretsManagerClient {
            config: aws_sdk_secretsmanager::Config::new(&config),
            source: self.source,
            version,
            max_age,
            cache: SecretCache::new(self.clock),
        })
    }
}

impl SecretsManagerBuilder<SecretsManagerProvider> {
    /// Sets the time after which a session checks whether the secret has changed: 0–3,600 s (default: 300 s). With zero,
    /// each use checks, unless a fetch is in progress.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Checks the description and returns the provider. Calls nothing yet.
    ///
    /// # Errors
    /// `Invalid`, with the field and its limit: `secret_id`, `ttl`, `version_stage`, `version_id` or `region`.
    pub fn build(self) -> Result<SecretsManagerProvider> {
        let (id, ttl) = (self.secret_id_or_prefix.clone(), self.ttl);
        check_secret_id(SECRET_ID_FIELD, &id, 2048)
            .and_then(|()| check_ttl(ttl))
            .and_then(|()| self.build_client(Some(ttl)))
            .map(|client| SecretsManagerProvider::new(client, id))
            .map_err(|error| error.with_provider(NAME))
    }
}

impl SecretsManagerBuilder<SecretsManagerResolver> {
    /// Checks the description and returns the resolver. Calls nothing yet.
    ///
    /// # Errors
    /// `Invalid`, with the field and its limit: `prefix`, `version_stage`, `version_id` or `region`. An empty prefix
    /// is refused, because an id could then name any secret that the source may read.
    pub fn build(self) -> Result<SecretsManagerResolver> {
        let prefix = self.secret_id_or_prefix.clone();
        // A name has at most 512 characters, and an id at most 256.
        check_secret_id("prefix", &prefix, 256)
            .and_then(|()| self.build_client(None))
            .map(|client| SecretsManagerResolver::new(client, prefix))
            .map_err(|error| error.with_provider(NAME))
    }
}

fn check_secret_id(field: &'static str, text: &str, max_len: usize) -> Result<()> {
    // Names have no colon, so the ARN of a secret has seven parts.
    if text.starts_with("arn:") && text.split(':').count() > 7 {
        return Err(Error::invalid(field, "has parts after the secret's ARN, as ECS writes them")
            .with_next_step(
                "remove `:json-key:version-stage:version-id`; give the version as `version_stage` or `version_id`",
            ));
    }
    if (1..=max_len).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::invalid(field, format!("must be 1 to {max_len} visible ASCII characters")))
}

fn check_ttl(ttl: Duration) -> Result<()> {
    if ttl <= MAX_TTL {
        return Ok(());
    }
    Err(Error::invalid("ttl", format!("must be 0 to {} s", MAX_TTL.as_secs())))
}

fn version_selector(stage: Option<String>, id: Option<String>) -> Result<VersionSelector> {
    match (stage, id) {
        (Some(_), Some(_)) => {
            Err(Error::invalid("version_id", "must not be given together with `version_stage`"))
        }
        (None, Some(id)) if (32..=64).contains(&id.len()) => Ok(VersionSelector::Id(id)),
        (None, Some(_)) => Err(Error::invalid("version_id", "must be 32 to 64 characters")),
        (Some(stage), None) if (1..=256).contains(&stage.chars().count()) => {
            Ok(VersionSelector::Stage(stage))
        }
        (Some(_), None) => Err(Error::invalid("version_stage", "must be 1 to 256 characters")),
        (None, None) => Ok(VersionSelector::Stage(CURRENT_STAGE.to_owned())),
    }
}

/// Returns the region in `arn:aws:secretsmanager:eu-central-1:111111111111:secret:name`.
fn region_from_arn(secret_id: &str) -> Option<Region> {
    let mut parts = secret_id.split(':');
    let is_arn = parts.next() == Some("arn") && parts.nth(1) == Some("secretsmanager");
    parts.next().filter(|_| is_arn)?.parse().ok()
}

impl<T> fmt::Debug for SecretsManagerBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsManagerBuilder")
            .field("secret", &self.secret_id_or_prefix)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// Resolves a credential id to the credentials in the secret named `prefix` + id.
///
/// A session can look up every secret under the prefix that the source may read, so give each tenant a prefix or a source
/// of its own.
///
/// Payloads are cached as by [`SecretsManagerProvider`](SecretsManagerProvider), for at most 1,000 ids. Resolving
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

    fn new(client: SecretsManagerClient, prefix: String) -> Self {
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
    /// As `provide` of [`SecretsManagerProvider`](SecretsManagerProvider). If the id has a colon or there is no such
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
