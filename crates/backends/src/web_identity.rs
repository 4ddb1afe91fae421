//! `WebIdentityProvider`: temporary credentials of a role for an identity token, from `AssumeRoleWithWebIdentity`.

mod token;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityOutput;
use valetkey_core::{
    Attribution, CredentialProvider, Credentials, ExposeSecret, NameTemplate, Region, Result, RoleArn,
    SessionPolicy,
};

use self::token::IdentityTokenSource;
use crate::client_config::EndpointConfig;
use crate::sts::Sts;
use crate::sts::request::{
    DEFAULT_SESSION_NAME, NameSource, ROLE_DURATION, RequestAttribution, SessionPolicies, check_session_name,
    ensure, is_charset,
};
use crate::sts::{Utilization, account_from_arn, credentials_from_response};
use crate::{AwsClientConfig, SecretProvider};

const NAME: &str = "web-identity";
const OPERATION: &str = "AssumeRoleWithWebIdentity";

/// Assumes a role at each fetch with a token of an identity provider that the role trusts: of the service account of a
/// pod, a job of a CI system, or a user who signed in.
///
/// It needs no AWS credentials, and the request is not signed. In a chain, a token that is not available does not make
/// this provider absent: it is `Invalid`, because credentials of another identity must not replace those of the role.
///
/// # Examples
///
/// ```
/// use valetkey_backends::{AwsClientConfig, WebIdentityProvider};
/// use valetkey_core::SessionContext;
///
/// # fn main() -> valetkey_core::Result<()> {
/// let client_config = AwsClientConfig::new().region(&"eu-central-1".parse()?);
/// let role = "arn:aws:iam::111111111111:role/agent".parse()?;
/// let provider = WebIdentityProvider::from_file(role, "/var/run/secrets/tokens/aws")
///     .session_name("report-agent")
///     .client_config(&client_config)
///     .build()?;
/// let session = SessionContext::builder().provider(provider).build();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WebIdentityProvider {
    sts: Sts,
    request: WebIdentityRequest,
    region: Option<Region>,
    utilization: Utilization,
}

impl WebIdentityProvider {
    /// Starts the description of the credentials of `role`, for the token that `token` supplies at each fetch.
    pub fn builder(role: RoleArn, token: impl SecretProvider + 'static) -> WebIdentityBuilder {
        WebIdentityBuilder::new(role, IdentityTokenSource::Provider(Arc::new(token)))
    }

    /// Starts the description of the credentials of `role`, for the token in a file, which is read at each fetch: UTF-8
    /// text, with or without whitespace around it.
    pub fn from_file(role: RoleArn, token_file: impl Into<PathBuf>) -> WebIdentityBuilder {
        WebIdentityBuilder::new(role, IdentityTokenSource::File(token_file.into()))
    }

    fn new(sts: Sts, request: WebIdentityRequest, region: Option<Region>) -> Self {
        Self { sts, request, region, utilization: Utilization::default() }
    }

    /// Returns the role.
    #[must_use]
    pub fn role(&self) -> &RoleArn {
        &self.request.role
    }

    /// Returns how much of the packed size limit of STS for policies the last session used, in percent; `None` until STS
    /// has reported a value. STS refuses requests above 100.
    #[must_use]
    pub fn utilization(&self) -> Option<u32> {
        self.utilization.percent()
    }

    #[allow(deprecated, reason = "older endpoints return only packed_policy_size")]
    fn parse_response(&self, output: AssumeRoleWithWebIdentityOutput) -> Result<Credentials> {
        self.utilization.record(output.session_token_utilization.or(output.packed_policy_size));
        let account = output.assumed_role_user.as_ref().and_then(|user| account_from_arn(user.arn()));
        credentials_from_response(OPERATION, output.credentials, |credentials| {
            credentials
                .account_id(account.unwrap_or_else(|| self.role().account().clone()))
                .region(self.region.clone())
                .environment_region(self.sts.region())
                .provider(NAME)
        })
    }
}

#[async_trait]
impl CredentialProvider for WebIdentityProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// Fetches the token, and assumes the role.
    ///
    /// # Errors
    /// Of the token, with the field `token_file` or `token`:
    /// - `Invalid`: it is missing, not UTF-8, not 4 to 20,000 characters, or STS cannot verify it.
    /// - `Expired`: STS reports it as expired.
    /// - `Denied`: its issuer rejects it.
    /// - `Unavailable`: the file cannot be read now, or is empty because it is being written.
    /// - Other errors of a [`SecretProvider`] are returned unchanged.
    ///
    /// Of the request:
    /// - `Denied`: the role does not trust the identity in the token.
    /// - `Invalid`: STS finds the request malformed or too large, or is disabled in its region.
    /// - `Throttled`, `TimedOut`, `Unavailable`: STS, or the identity provider that it calls, cannot respond now.
    async fn provide(&self) -> Result<Credentials> {
        let output = self.request.send(&self.sts.unsigned_client()).await;
        output.and_then(|output| self.parse_response(output)).map_err(|error| error.with_provider(NAME))
    }

    /// Returns a provider of the same role whose session policy allows what its own inline policy, if it has one, and
    /// `policy` both allow.
    ///
    /// # Errors
    /// `Invalid` if the policies have nothing in common or cannot be compared, and for a provider with policy ARNs: a
    /// session may do what *any* of its session policies allows, so another policy could only add permissions.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let policies = self.request.policies.scope_down(policy).map_err(|error| error.with_provider(NAME))?;
        let request = WebIdentityRequest { policies, ..self.request.clone() };
        Ok(Arc::new(Self::new(self.sts.with_own_retry_quota(), request, self.region.clone())))
    }
}

/// A checked request without the token.
#[derive(Clone)]
struct WebIdentityRequest {
    role: RoleArn,
    token: IdentityTokenSource,
    session_name: String,
    provider_id: Option<String>,
    duration: Option<i32>,
    policies: SessionPolicies,
}

impl WebIdentityRequest {
    fn new(role: RoleArn, token: IdentityTokenSource) -> Self {
        Self {
            role,
            token,
            session_name: DEFAULT_SESSION_NAME.to_owned(),
            provider_id: None,
            duration: None,
            policies: SessionPolicies::default(),
        }
    }

    async fn send(&self, sts: &aws_sdk_sts::Client) -> Result<AssumeRoleWithWebIdentityOutput> {
        let token = self.token.fetch().await?;
        let call = sts
            .assume_role_with_web_identity()
            .role_arn(self.role.as_str())
            .role_session_name(&self.session_name)
            .web_identity_token(token.expose_secret())
            .set_provider_id(self.provider_id.clone())
            .set_duration_seconds(self.duration)
            .set_policy(self.policies.inline.clone())
            .set_policy_arns(self.policies.to_sdk_arns());
        call.send().await.map_err(|sdk_error| token::map_error(&sdk_error, &self.token))
    }
}

/// Omits the contents of policies.
impl fmt::Debug for WebIdentityRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebIdentityRequest")
            .field("role", &self.role)
            .field("token", &self.token)
            .field("session_name", &self.session_name)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}

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
    fn new(role: RoleArn, token: IdentityTokenSource) -> Self {
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
