//! `AssumeRoleProvider`: temporary credentials of a role, from `AssumeRole`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;
use valetkey_core::{
    Attribution, CredentialProvider, Credentials, Error, ExposeSecret, IntoProvider, NameTemplate, Region,
    Result, RoleArn, SessionPolicy,
};

use crate::client_config::EndpointConfig;
use crate::sts::Sts;
use crate::sts::mfa::{self, MfaDevice};
use crate::sts::request::{
    DEFAULT_SESSION_NAME, MAX_CHAINED_SECONDS, NameSource, ROLE_DURATION, RequestAttribution,
    SessionPolicies, SessionTags, check_session_name, check_source_identity, ensure, is_charset,
};
use crate::sts::{Utilization, account_from_arn, credentials_from_response};
use crate::{AwsClientConfig, SecretProvider, error, validity};

const NAME: &str = "assume-role";
const OPERATION: &str = "AssumeRole";

/// Assumes a role at each fetch, and signs the request with the present credentials of its source.
///
/// With a [`SessionAccount`](valetkey_core::SessionAccount) as the source, the provider follows the rotation of that
/// session. In a chain, a source that is not configured does not make this provider absent: it is `Invalid`, because
/// credentials of another identity must not replace those of the role.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use valetkey_backends::{AssumeRoleProvider, AwsClientConfig, EnvProvider};
/// use valetkey_core::{SessionContext, SessionPolicy};
///
/// # fn main() -> valetkey_core::Result<()> {
/// let client_config = AwsClientConfig::new().region(&"eu-central-1".parse()?);
/// let role = "arn:aws:iam::111111111111:role/agent".parse()?;
/// let provider = AssumeRoleProvider::builder(role, EnvProvider::from_process())
///     .session_name("report-agent")
///     .external_id("agreed-with-the-owner")
///     .session_duration(Duration::from_secs(3_600))
///     .policy(SessionPolicy::read_only(["s3"])?)
///     .client_config(&client_config)
///     .build()?;
/// let session = SessionContext::builder().provider(provider).build();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AssumeRoleProvider {
    sts: Sts,
    request: AssumeRoleRequest,
    source: Arc<dyn CredentialProvider>,
    region: Option<Region>,
    utilization: Utilization,
}

impl AssumeRoleProvider {
    /// Starts the description of the credentials of `role`, assumed with the credentials of `source`.
    pub fn builder(role: RoleArn, source: impl IntoProvider) -> AssumeRoleBuilder {
        AssumeRoleBuilder::new(role, source.into_provider())
    }

    fn new(
        sts: Sts,
        request: AssumeRoleRequest,
        source: Arc<dyn CredentialProvider>,
        region: Option<Region>,
    ) -> Self {
        Self { sts, request, source, region, utilization: Utilization::default() }
    }

    /// Returns the role.
    #[must_use]
    pub fn role(&self) -> &RoleArn {
        &self.request.role
    }

    /// Returns how much of the packed size limit of STS for policies and tags the last session used, in percent; `None`
    /// until STS has reported a value. STS refuses requests above 100.
    #[must_use]
    pub fn utilization(&self) -> Option<u32> {
        self.utilization.percent()
    }

    async fn fetch(&self) -> Result<Credentials> {
        let source = validity::source_credentials(&*self.source).await?;
        if source.has_session_token()
            && self.request.duration.is_some_and(|seconds| seconds > MAX_CHAINED_SECONDS)
        {
            return Err(duration_exceeds_chaining_limit());
        }
        let output = self.request.send(&self.sts.client_for(&source)).await?;
        self.parse_response(output)
    }

    #[allow(deprecated, reason = "older endpoints return only packed_policy_size")]
    fn parse_response(&self, output: AssumeRoleOutput) -> Result<Credentials> {
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
impl CredentialProvider for AssumeRoleProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// Fetches the credentials of the source, and assumes the role.
    ///
    /// # Errors
    /// - Errors of the source keep their kind and name the source. A source that is not configured is `Invalid`, with
    ///   the field `source`.
    /// - `Invalid`: the duration exceeds 1 hour and the credentials of the source are temporary, or STS finds the
    ///   request malformed or too large, or is disabled in its region.
    /// - `InteractionRequired`, with the field `mfa_code`: an MFA code is needed and was not supplied, or was refused.
    /// - `Denied`: STS refuses the request.
    /// - `Expired`: the credentials of the source have expired.
    /// - `Throttled`, `TimedOut`, `Unavailable`: STS cannot respond now.
    async fn provide(&self) -> Result<Credentials> {
        self.fetch().await.map_err(|error| error.with_provider(NAME))
    }

    /// Clears the cache of the source. This provider caches nothing.
    fn clear_cache(&self) {
        self.source.clear_cache();
    }

    /// Returns a provider of the same role whose session policy allows what its own inline policy, if it has one, and
    /// `policy` both allow.
    ///
    /// # Errors
    /// `Invalid` if the policies have nothing in common or cannot be compared, and for a provider with policy ARNs: a
    /// session may do what *any* of its session policies allows, so another policy could only add permissions.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let policies = self.request.policies.scope_down(policy).map_err(|error| error.with_provider(NAME))?;
        let request = AssumeRoleRequest { policies, ..self.request.clone() };
        let (sts, source) = (self.sts.with_own_retry_quota(), Arc::clone(&self.source));
        Ok(Arc::new(Self::new(sts, request, source, self.region.clone())))
    }
}

/// A checked request without the MFA code.
#[derive(Clone)]
struct AssumeRoleRequest {
    role: RoleArn,
    session_name: String,
    source_identity: Option<String>,
    external_id: Option<String>,
    duration: Option<i32>,
    policies: SessionPolicies,
    tags: SessionTags,
    transitive_tags: Vec<String>,
    mfa: Option<MfaDevice>,
}

impl AssumeRoleRequest {
    fn new(role: RoleArn) -> Self {
        Self {
            role,
            session_name: DEFAULT_SESSION_NAME.to_owned(),
            source_identity: None,
            external_id: None,
            duration: None,
            policies: SessionPolicies::default(),
            tags: SessionTags::default(),
            transitive_tags: Vec::new(),
            mfa: None,
        }
    }

    async fn send(&self, sts: &aws_sdk_sts::Client) -> Result<AssumeRoleOutput> {
        let call = self.apply_to(sts.assume_role())?;
        let Some(device) = &self.mfa else {
            return call.send().await.map_err(|sdk_error| error::from_sdk_error(OPERATION, &sdk_error));
        };
        let code = device.current_code().await?;
        let call = call.serial_number(&device.serial).token_code(code.expose_secret());
        let result = call.customize().config_override(mfa::without_retries()).send().await;
        result.map_err(|sdk_error| mfa::map_error(OPERATION, &sdk_error))
    }

    fn apply_to(&self, call: AssumeRoleFluentBuilder) -> Result<AssumeRoleFluentBuilder> {
        let call = call
            .role_arn(self.role.as_str())
            .role_session_name(&self.session_name)
            .set_source_identity(self.source_identity.clone())
            .set_external_id(self.external_id.clone())
            .set_duration_seconds(self.duration)
            .set_policy(self.policies.inline.clone())
            .set_policy_arns(self.policies.to_sdk_arns())
            .set_tags(self.tags.to_sdk()?);
        Ok(self.transitive_tags.iter().fold(call, |call, key| call.transitive_tag_keys(key)))
    }
}

/// Omits the external id and the contents of policies and tags.
impl fmt::Debug for AssumeRoleRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumeRoleRequest")
            .field("role", &self.role)
            .field("session_name", &self.session_name)
            .field("duration", &self.duration)
            .field("mfa", &self.mfa)
            .finish_non_exhaustive()
    }
}

fn duration_exceeds_chaining_limit() -> Error {
    Error::invalid("duration", "must be at most 3,600 s, since the source's credentials are temporary")
        .with_next_step("shorten it, or assume the role with long-lived credentials")
}

/// Describes an [`AssumeRoleProvider`].
///
/// # Examples
///
/// Attribute the role session to a session of valetkey, so that CloudTrail records its id and its principal:
///
/// ```
/// # use std::sync::Arc;
/// use valetkey_backends::AssumeRoleProvider;
/// use valetkey_core::Attribution;
/// # use valetkey_backends::AwsClientConfig;
/// # use valetkey_core::{CredentialProvider, Result, RoleArn, SessionContext};
/// # fn example(
/// #     session: &SessionContext, role: RoleArn, source: Arc<dyn CredentialProvider>, client_config: &AwsClientConfig,
/// # ) -> Result<AssumeRoleProvider> {
///
/// AssumeRoleProvider::builder(role, source)
///     .attribution(&Attribution::for_session(session))
///     .source_identity_from("{principal}".parse()?)
///     .client_config(client_config)
///     .build()
/// # }
/// ```
#[must_use]
pub struct AssumeRoleBuilder {
    request: AssumeRoleRequest,
    source: Arc<dyn CredentialProvider>,
    attribution: RequestAttribution,
    session_duration: Option<Duration>,
    is_chained: bool,
    endpoint: EndpointConfig,
}

impl AssumeRoleBuilder {
    fn new(role: RoleArn, source: Arc<dyn CredentialProvider>) -> Self {
        Self {
            request: AssumeRoleRequest::new(role),
            source,
            attribution: RequestAttribution::default(),
            session_duration: None,
            is_chained: false,
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

    /// Sets the source identity, which all roles assumed with the credentials keep: 2–256 of the same characters, not
    /// beginning with `aws:`. The trust policy of the role must allow `sts:SetSourceIdentity`.
    pub fn source_identity(mut self, identity: impl Into<String>) -> Self {
        self.attribution.source_identity = Some(NameSource::Literal(identity.into()));
        self
    }

    /// Sets the source identity to a template, such as `{principal}`, rendered with the
    /// [attribution](Self::attribution).
    ///
    /// [`build`](Self::build) fails if the attribution has no value for a placeholder of the template.
    pub fn source_identity_from(mut self, template: NameTemplate) -> Self {
        self.attribution.source_identity = Some(NameSource::Template(template));
        self
    }

    /// Attributes the role session: its default [name](Self::session_name) is `valetkey-` and the session's id, and it
    /// has the [tags](Attribution::tags) of the attribution. The trust policy of the role must allow `sts:TagSession`,
    /// or [`without_attribution_tags`](Self::without_attribution_tags) must be set.
    pub fn attribution(mut self, attribution: &Attribution) -> Self {
        self.attribution.attribution = Some(attribution.clone());
        self
    }

    /// Sends no session tags for the [attribution](Self::attribution) (default: its [tags](Attribution::tags)).
    pub fn without_attribution_tags(mut self) -> Self {
        self.attribution.tags_disabled = true;
        self
    }

    /// Sets the external id that the trust policy of the role requires: 2–1,224 of `A-Z a-z 0-9 _ + = , . @ : / -`.
    pub fn external_id(mut self, id: impl Into<String>) -> Self {
        self.request.external_id = Some(id.into());
        self
    }

    /// Sets how long the credentials work: whole seconds, 15 minutes to 12 hours, at most the limit of the role, and at
    /// most 1 hour for a [chained](Self::role_chaining) role (default: the 1 hour of STS).
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

    /// Adds a session tag, which policies can use as `aws:PrincipalTag`.
    ///
    /// The limits of STS are at most 50 tags, with a key of at most 128 and a value of at most 256 characters. No key may occur
    /// twice (case is ignored) or begin with `aws:`.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.tags.add(key, value);
        self
    }

    /// Makes roles that are assumed with the credentials inherit the tag with this key. It must be one of the tags.
    pub fn transitive_tag(mut self, key: impl Into<String>) -> Self {
        self.request.transitive_tags.push(key.into());
        self
    }

    /// Requires the MFA device of the source's user with this serial number (9–256 characters: an ARN, or the text on the
    /// device), for roles whose trust policy requires `aws:MultiFactorAuthPresent`. `code` supplies its six digits at
    /// each fetch.
    ///
    /// Every fetch, including one for a narrowed session, may prompt a person. So choose a long
    /// [session duration](Self::session_duration), and a load timeout of the session that a person can meet. If `code`
    /// fails for any reason, the fetch is `InteractionRequired`: the session serves its present credentials until they
    /// expire, and does not prompt again by itself. A request with a code is not retried, because a code works once.
    pub fn mfa(mut self, serial: impl Into<String>, code: impl SecretProvider + 'static) -> Self {
        self.request.mfa = Some(MfaDevice { serial: serial.into(), code: Arc::new(code) });
        self
    }

    /// Declares that the source has temporary credentials, such as those of another role, so that [`build`](Self::build)
    /// refuses a duration over the 1 hour that STS allows then. The limit is checked before each call regardless of this
    /// setting.
    pub fn role_chaining(mut self) -> Self {
        self.is_chained = true;
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

    /// Checks the description and returns the provider. Calls nothing yet.
    ///
    /// # Errors
    /// `Invalid`, with the first field outside its limits, and the limits.
    pub fn build(self) -> Result<AssumeRoleProvider> {
        self.build_provider().map_err(|error| error.with_provider(NAME))
    }

    fn build_provider(mut self) -> Result<AssumeRoleProvider> {
        let is_chained = self.is_chained;
        let seconds = |duration| checked_duration_seconds(duration, is_chained);
        self.request.duration = self.session_duration.map(seconds).transpose()?;
        self.request.session_name = self.attribution.session_name()?;
        self.request.source_identity = self.attribution.source_identity()?;
        self.attribution.tag(&mut self.request.tags)?;
        check_request(&self.request)?;
        let region = self.endpoint.region.clone();
        Ok(AssumeRoleProvider::new(Sts::new(self.endpoint)?, self.request, self.source, region))
    }
}

fn checked_duration_seconds(duration: Duration, is_chained: bool) -> Result<i32> {
    let seconds = ROLE_DURATION.checked_seconds(duration)?;
    if is_chained && seconds > MAX_CHAINED_SECONDS {
        return Err(Error::invalid("duration", "must be at most 3,600 s for a chained role")
            .with_next_step("shorten it, or assume the role with long-lived credentials"));
    }
    Ok(seconds)
}

fn check_request(request: &AssumeRoleRequest) -> Result<()> {
    check_session_name(&request.session_name)?;
    request.source_identity.as_deref().map_or(Ok(()), check_source_identity)?;
    request.external_id.as_deref().map_or(Ok(()), check_external_id)?;
    request.mfa.as_ref().map_or(Ok(()), MfaDevice::check)?;
    request.policies.check()?;
    request.tags.check()?;
    request.tags.check_transitive(&request.transitive_tags)
}

fn check_external_id(text: &str) -> Result<()> {
    ensure(
        (2..=1224).contains(&text.len()) && is_charset(text, b"_+=,.@:/-"),
        "external_id",
        "must be 2 to 1,224 of `A-Z a-z 0-9 _ + = , . @ : / -`",
    )
}

impl fmt::Debug for AssumeRoleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumeRoleBuilder")
            .field("request", &self.request)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
