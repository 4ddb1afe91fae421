//! `ScopedBuilder`: the description of a `GetScopedCredentials` request, and its limits.

use std::sync::Arc;
use std::time::Duration;

use valetkey_core::{Attribution, CredentialProvider, Region, Result, SessionPolicy};

use super::{NAME, ScopeDownParameters, ScopedProvider};
use crate::AwsClientConfig;
use crate::client_config::EndpointConfig;
use crate::sts::Sts;
use crate::sts::request::{DurationRange, ensure};

const SCOPED_DURATION: DurationRange =
    DurationRange { min_seconds: 1, max_seconds: 129_600, message: "must be 1 to 129,600 whole seconds" };

/// Describes a [`ScopedProvider`].
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use valetkey_backends::{AwsClientConfig, ScopedProvider};
/// # use valetkey_core::{CredentialProvider, Result, SessionPolicy};
/// # fn example(source: Arc<dyn CredentialProvider>, client_config: &AwsClientConfig) -> Result<ScopedProvider> {
/// ScopedProvider::builder(source)
///     .policy(SessionPolicy::read_only(["ecs"])?)
///     .description("nightly report")
///     .client_config(client_config)
///     .build()
/// # }
/// ```
#[must_use]
pub struct ScopedBuilder {
    source: Arc<dyn CredentialProvider>,
    policy: Option<SessionPolicy>,
    session_duration: Option<Duration>,
    description: Option<String>,
    endpoint: EndpointConfig,
}

impl ScopedBuilder {
    pub(super) fn new(source: Arc<dyn CredentialProvider>) -> Self {
        Self {
            source,
            policy: None,
            session_duration: None,
            description: None,
            endpoint: EndpointConfig::default(),
        }
    }

    /// Sets the scope-down policy: the credentials allow what both it and the source's credentials allow (default: none).
    pub fn policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Sets how long the credentials work: whole seconds, 1 second to 36 hours, and at most as long as the credentials of
    /// the source (default: as long as those).
    pub fn session_duration(mut self, duration: Duration) -> Self {
        self.session_duration = Some(duration);
        self
    }

    /// Sets the description that CloudTrail records with the request: 2–256 characters of Latin-1 without control
    /// characters. It must not contain a secret.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Sets the [description](Self::description) to the [tags](Attribution::tags) of an attribution, as `key=value`
    /// separated by spaces. The identity and the tags of the session remain those of the source.
    pub fn attribution(self, attribution: &Attribution) -> Self {
        let tags = attribution.tags().into_iter().map(|(key, value)| format!("{key}={value}"));
        self.description(tags.collect::<Vec<_>>().join(" "))
    }

    /// Sets the region of STS, which also becomes the region of the credentials (default: STS in the region of the
    /// client configuration, and the region of the source's credentials). The global endpoint does not know the operation.
    pub fn region(mut self, region: Region) -> Self {
        self.endpoint.region = Some(region);
        self
    }

    /// Sets the URL of STS (default: the endpoint of the client configuration).
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.endpoint.endpoint_url = Some(url.into());
        self
    }

    /// Sets the client configuration, which providers share (default: [`AwsClientConfig::new`]).
    pub fn client_config(mut self, config: &AwsClientConfig) -> Self {
        self.endpoint.client_config = Some(config.clone());
        self
    }

    /// Checks the description and returns the provider. Calls nothing yet.
    ///
    /// # Errors
    /// `Invalid`, with the first field outside its limits, and the limits.
    pub fn build(self) -> Result<ScopedProvider> {
        self.build_provider().map_err(|error| error.with_provider(NAME))
    }

    fn build_provider(self) -> Result<ScopedProvider> {
        let duration =
            self.session_duration.map(|duration| SCOPED_DURATION.checked_seconds(duration)).transpose()?;
        self.description.as_deref().map_or(Ok(()), check_description)?;
        let region = self.endpoint.region.clone();
        let scope = ScopeDownParameters {
            policy: self.policy,
            duration_seconds: duration,
            description: self.description,
        };
        Ok(ScopedProvider::new(Sts::new(self.endpoint)?, self.source, region, scope))
    }
}

/// The characters of the service model: printable characters of Latin-1, tab and line breaks.
fn check_description(text: &str) -> Result<()> {
    let is_allowed = |c| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
    ensure(
        (2..=256).contains(&text.chars().count()) && text.chars().all(is_allowed),
        "description",
        "must be 2 to 256 printable characters of Latin-1",
    )
}

impl std::fmt::Debug for ScopedBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScopedBuilder")
            .field("policy", &self.policy)
            .field("duration", &self.session_duration)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
