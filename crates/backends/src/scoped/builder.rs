//! `ScopedBuilder`: what is asked for, checked before anybody is asked.

use std::sync::Arc;
use std::time::Duration;

use valetkey_core::{CredentialProvider, Region, Result, SessionPolicy};

use super::provider::{NAME, Scope, ScopedProvider};
use crate::SdkBase;
use crate::base::Place;
use crate::sts::Sts;
use crate::sts::limits::Span;

const OF_SCOPED: Span = Span { shortest: 1, longest: 129_600, rule: "must be 1 to 129,600 whole seconds" };

/// Describes credentials that are scoped down; made by [`ScopedProvider::builder`].
#[must_use]
pub struct ScopedBuilder {
    source: Arc<dyn CredentialProvider>,
    policy: Option<SessionPolicy>,
    duration: Option<Duration>,
    place: Place,
}

impl ScopedBuilder {
    pub(super) fn new(source: Arc<dyn CredentialProvider>) -> Self {
        Self { source, policy: None, duration: None, place: Place::default() }
    }

    /// Allows what both this policy and the source's credentials allow.
    pub fn policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// How long the credentials work: whole seconds, 1 s to 36 h, and never longer than those of the source, which is
    /// how long they work unless said.
    pub fn duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
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

    /// What this provider shares with the others; a base of its own, [`SdkBase::new`], unless said.
    pub fn base(mut self, base: &SdkBase) -> Self {
        self.place.base = Some(base.clone());
        self
    }

    /// The provider. Nobody is asked yet.
    ///
    /// # Errors
    /// `Invalid`, with the first field that breaks a limit and the limit.
    pub fn build(self) -> Result<ScopedProvider> {
        self.checked().map_err(|error| error.with_provider(NAME))
    }

    fn checked(self) -> Result<ScopedProvider> {
        let duration = self.duration.map(|duration| OF_SCOPED.seconds(duration)).transpose()?;
        let region = self.place.region.clone();
        let scope = Scope { policy: self.policy, duration };
        Ok(ScopedProvider::new(Sts::at(self.place)?, self.source, region, scope))
    }
}

impl std::fmt::Debug for ScopedBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScopedBuilder")
            .field("policy", &self.policy)
            .field("duration", &self.duration)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
