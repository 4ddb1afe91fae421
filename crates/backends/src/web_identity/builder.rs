//! `WebIdentityBuilder`: everything that a request may say, checked before anybody is asked.

use std::fmt;
use std::time::Duration;

use valetkey_core::{Attribution, NameTemplate, Region, Result, RoleArn};

use super::token::IdentityTokenSource;
use super::{NAME, WebIdentityClient, WebIdentityProvider, WebIdentityRequest};
use crate::AwsClientConfig;
use crate::client_config::EndpointConfig;
use crate::sts::Sts;
use crate::sts::attribution::{NameSource, RequestAttribution};
use crate::sts::request::{ROLE_DURATION, ensure, is_charset, session_name};

/// Describes a role for an identity token; made by [`WebIdentityProvider::builder`] and
/// [`WebIdentityProvider::from_file`].
#[must_use]
pub struct WebIdentityBuilder {
    request: WebIdentityRequest,
    request_attribution: RequestAttribution,
    session_duration: Option<Duration>,
    place: EndpointConfig,
}

impl WebIdentityBuilder {
    pub(super) fn new(role: RoleArn, token: IdentityTokenSource) -> Self {
        let (request, request_attribution, place) =
            (WebIdentityRequest::new(role, token), RequestAttribution::default(), EndpointConfig::default());
        Self { request, request_attribution, session_duration: None, place }
    }

    /// The name of the role session in CloudTrail and in the caller's ARN: 2–64 of `A-Z a-z 0-9 _ + = , . @ -`;
    /// unless said, that of the [attribution](Self::attribution), or else `valetkey`.
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.request_attribution.session_name = Some(NameSource::Literal(name.into()));
        self
    }

    /// The same, with what the [attribution](Self::attribution) says filled in.
    pub fn session_name_from(mut self, template: NameTemplate) -> Self {
        self.request_attribution.session_name = Some(NameSource::Template(template));
        self
    }

    /// Says who is behind the session: it is named `valetkey-` and the session's id unless [named](Self::session_name)
    /// otherwise. The name is all that can carry it: STS takes session tags and the source identity of such a role from
    /// the claims of the token, which is for its issuer to fill in.
    pub fn attribution(mut self, attribution: &Attribution) -> Self {
        self.request_attribution.who = Some(attribution.clone());
        self
    }

    /// The host name of the OAuth 2.0 provider that issued an access token, such as `www.amazon.com`: 4–2,048
    /// characters, without scheme and port. Not for OpenID Connect, whose tokens name their issuer.
    pub fn provider_id(mut self, host: impl Into<String>) -> Self {
        self.request.provider_id = Some(host.into());
        self
    }

    /// How long the credentials work: whole seconds, 15 min to 12 h and no longer than the role allows. The hour of STS
    /// unless said.
    pub fn session_duration(mut self, duration: Duration) -> Self {
        self.session_duration = Some(duration);
        self
    }

    /// Narrows the session to what this policy (a JSON object) and the role both allow.
    pub fn policy(mut self, json: impl Into<String>) -> Self {
        self.request.policies.inline = Some(json.into());
        self
    }

    /// Narrows the session to what this managed policy and the role both allow; up to ten, and with the inline policy
    /// at most 2,048 characters.
    pub fn policy_arn(mut self, arn: impl Into<String>) -> Self {
        self.request.policies.arns.push(arn.into());
        self
    }

    /// The region whose STS is called, and that the credentials name. Without it STS is called in the base's region,
    /// which the credentials carry as their [`environment_region`](valetkey_core::Credentials::environment_region).
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

    /// The provider. Nobody is asked yet, and no file is read.
    ///
    /// # Errors
    /// `Invalid`, with the first field that breaks a limit and the limit.
    pub fn build(self) -> Result<WebIdentityProvider> {
        self.build_provider().map_err(|error| error.with_provider(NAME))
    }

    fn build_provider(mut self) -> Result<WebIdentityProvider> {
        self.request.duration =
            self.session_duration.map(|duration| ROLE_DURATION.checked_seconds(duration)).transpose()?;
        self.request.session_name = self.request_attribution.session_name()?;
        session_name(&self.request.session_name)?;
        self.request.provider_id.as_deref().map_or(Ok(()), check_provider_id)?;
        self.request.policies.check()?;
        let region = self.place.region.clone();
        let client = WebIdentityClient { sts: Sts::new(self.place)?, request: self.request };
        Ok(WebIdentityProvider::new(client, region))
    }
}

fn check_provider_id(text: &str) -> Result<()> {
    let holds = (4..=2048).contains(&text.len()) && is_charset(text, b".-");
    ensure(holds, "provider_id", "must be a host name of 4 to 2,048 characters, without scheme and port")
}

impl fmt::Debug for WebIdentityBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebIdentityBuilder").field("request", &self.request).finish_non_exhaustive()
    }
}
