//! `WebIdentityBuilder`: the description of an `AssumeRoleWithWebIdentity` request, and its limits.

use std::fmt;
use std::time::Duration;

use valetkey_core::{Attribution, NameTemplate, Region, Result, RoleArn};

use super::token::IdentityTokenSource;
use super::{NAME, WebIdentityProvider, WebIdentityRequest};
use crate::AwsClientConfig;
use crate::client_config::EndpointConfig;
use crate::sts::Sts;
use crate::sts::attribution::{NameSource, RequestAttribution};
use crate::sts::request::{ROLE_DURATION, check_session_name, ensure, is_charset};

/// Describes a [`WebIdentityProvider`].
///
/// # Examples
///
/// Supply the token with a closure:
///
/// ```
/// use valetkey_backends::WebIdentityProvider;
/// # use valetkey_backends::AwsClientConfig;
/// # use valetkey_core::{Result, RoleArn, SecretString};
/// # async fn fetch_token() -> Result<SecretString> { Ok(SecretString::from("token")) }
/// # fn example(role: RoleArn, client_config: &AwsClientConfig) -> Result<WebIdentityProvider> {
///
/// WebIdentityProvider::builder(role, || async { fetch_token().await })
///     .client_config(client_config)
///     .build()
/// # }
/// ```
#[must_use]
pub struct WebIdentityBuilder {
    request: WebIdentityRequest,
    attribution: RequestAttribution,
    session_duration: Option<Duration>,
    endpoint: EndpointConfig,
}

impl WebIdentityBuilder {
    pub(super) fn new(role: RoleArn, token: IdentityTokenSource) -> Self {
        Self {
            request: WebIdentityRequest::new(role, token),
            attribution: RequestAttribution::default(),
            session_duration: None,
            endpoint: EndpointConfig::default(),
        }
    }

    /// Sets the name of the role session in CloudTrail and in the ARN of the caller: 2–64 of `A-Z a-z 0-9 _ + = , . @ -`
    /// (default: the name of the [attribution](Self::attribution), or else `valetkey`).
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.attribution.session_name = Some(NameSource::Literal(name.into()));
        self
    }

    /// Sets the name of the role session to a template, rendered with the [attribution](Self::attribution).
    pub fn session_name_from(mut self, template: NameTemplate) -> Self {
        self.attribution.session_name = Some(NameSource::Template(template));
        self
    }

    /// Attributes the role session: its default [name](Self::session_name) is `valetkey-` and the session's id. It has no
    /// tags: STS takes the session tags and the source identity of such a role from the claims of the token.
    pub fn attribution(mut self, attribution: &Attribution) -> Self {
        self.attribution.attribution = Some(attribution.clone());
        self
    }

    /// Sets the host name of the OAuth 2.0 provider that issued an access token, such as `www.amazon.com`: 4–2,048
    /// characters, without scheme and port. Tokens of OpenID Connect name their issuer and need none.
    pub fn provider_id(mut self, host: impl Into<String>) -> Self {
        self.request.provider_id = Some(host.into());
        self
    }

    /// Sets how long the credentials work: whole seconds, 15 minutes to 12 hours, and at most the limit of the role
    /// (default: the 1 hour of STS).
    pub fn session_duration(mut self, duration: Duration) -> Self {
        self.session_duration = Some(duration);
        self
    }

    /// Sets the inline session policy: a JSON object, or a [`SessionPolicy`](valetkey_core::SessionPolicy). The session
    /// may do what both it and the role allow.
    pub fn policy(mut self, policy: impl Into<String>) -> Self {
        self.request.policies.inline = Some(policy.into());
        self
    }

    /// Adds a managed session policy: at most 10, and at most 2,048 characters together with the inline policy.
    pub fn policy_arn(mut self, arn: impl Into<String>) -> Self {
        self.request.policies.arns.push(arn.into());
        self
    }

    /// Sets the region of STS, which also becomes the region of the credentials (default: STS in the region of the
    /// client configuration, which becomes the
    /// [`environment_region`](valetkey_core::Credentials::environment_region) of the credentials).
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

    /// Checks the description and returns the provider. Calls nothing and reads no file yet.
    ///
    /// # Errors
    /// `Invalid`, with the first field outside its limits, and the limits.
    pub fn build(self) -> Result<WebIdentityProvider> {
        self.build_provider().map_err(|error| error.with_provider(NAME))
    }

    fn build_provider(mut self) -> Result<WebIdentityProvider> {
        self.request.duration =
            self.session_duration.map(|duration| ROLE_DURATION.checked_seconds(duration)).transpose()?;
        self.request.session_name = self.attribution.session_name()?;
        check_session_name(&self.request.session_name)?;
        self.request.provider_id.as_deref().map_or(Ok(()), check_provider_id)?;
        self.request.policies.check()?;
        let region = self.endpoint.region.clone();
        Ok(WebIdentityProvider::new(Sts::new(self.endpoint)?, self.request, region))
    }
}

fn check_provider_id(text: &str) -> Result<()> {
    ensure(
        (4..=2048).contains(&text.len()) && is_charset(text, b".-"),
        "provider_id",
        "must be a host name of 4 to 2,048 characters, without scheme and port",
    )
}

impl fmt::Debug for WebIdentityBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebIdentityBuilder").field("request", &self.request).finish_non_exhaustive()
    }
}
