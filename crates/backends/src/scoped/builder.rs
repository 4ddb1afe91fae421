//! `ScopedBuilder`: what is asked for, checked before anybody is asked.

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

/// Describes credentials that are scoped down; made by [`ScopedProvider::builder`].
#[must_use]
pub struct ScopedBuilder {
    source: Arc<dyn CredentialProvider>,
    policy: Option<SessionPolicy>,
    session_duration: Option<Duration>,
    description: Option<String>,
    place: EndpointConfig,
}

impl ScopedBuilder {
    pub(super) fn new(source: Arc<dyn CredentialProvider>) -> Self {
        Self {
            source,
            policy: None,
            session_duration: None,
            description: None,
            place: EndpointConfig::default(),
        }
    }

    /// Allows what both this policy and the source's credentials allow.
    pub fn policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// How long the credentials work: whole seconds, 1 s to 36 h, and never longer than those of the source, which is
    /// how long they work unless said.
    pub fn session_duration(mut self, duration: Duration) -> Self {
        self.session_duration = Some(duration);
        self
    }

    /// What CloudTrail records with the request: 2–256 characters of Latin-1 without control characters. Not a place for
    /// secrets.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Records who is behind the session as the [description](Self::description): the [tags](Attribution::tags) that
    /// other providers send, as `key=value` with blanks between. The identity and the tags of the session stay those of
    /// the source.
    pub fn attribution(self, attribution: &Attribution) -> Self {
        let tags = attribution.tags().into_iter().map(|(key, value)| format!("{key}={value}"));
        self.description(tags.collect::<Vec<_>>().join(" "))
    }

    /// The region whose STS is asked, and that the answer is marked with. Without it the base's STS is asked, and the
    /// answer keeps the region of the source's credentials. The global endpoint does not know the operation.
    pub fn region(mut self, region: Region) -> Self {
        self.place.region = Some(region);
        self
    }

    /// Where STS is, in place of what the base says.
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.place.endpoint_url = Some(url.into());
        self
    }

    /// Sets the client configuration that this provider shares with others (default: [`AwsClientConfig::new`]).
    pub fn base(mut self, base: &AwsClientConfig) -> Self {
        self.place.base = Some(base.clone());
        self
    }

    /// The provider. Nobody is asked yet.
    ///
    /// # Errors
    /// `Invalid`, with the first field that breaks a limit and the limit.
    pub fn build(self) -> Result<ScopedProvider> {
        self.build_provider().map_err(|error| error.with_provider(NAME))
    }

    fn build_provider(self) -> Result<ScopedProvider> {
        let duration =
            self.session_duration.map(|duration| SCOPED_DURATION.checked_seconds(duration)).transpose()?;
        self.description.as_deref().map_or(Ok(()), check_description)?;
        let region = self.place.region.clone();
        let scope = ScopeDownParameters {
            policy: self.policy,
            duration_seconds: duration,
            description: self.description,
        };
        Ok(ScopedProvider::new(Sts::new(self.place)?, self.source, region, scope))
    }
}

/// The rule of the model: printable characters of Latin-1, tab and line breaks.
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
