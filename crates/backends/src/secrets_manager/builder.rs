//! `SecretsManagerBuilder`: the description of a secret or of the secrets of a resolver, and its limits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use valetkey_core::{Clock, CredentialProvider, Error, Region, Result, SystemClock};

use super::api::{CURRENT_STAGE, NAME, SECRET_ID_FIELD, VersionSelector};
use super::cache::SecretCache;
use super::client::SecretsManagerClient;
use super::{SecretsManagerProvider, SecretsManagerResolver};
use crate::AwsClientConfig;
use crate::client_config::EndpointConfig;

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
    pub(super) fn new(secret_id_or_prefix: String, source: Arc<dyn CredentialProvider>) -> Self {
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
