//! `AssumeRoleBuilder`: the description of an `AssumeRole` request, and its limits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use valetkey_core::{Attribution, CredentialProvider, Error, NameTemplate, Region, Result, RoleArn};

use super::{AssumeRoleProvider, AssumeRoleRequest, NAME};
use crate::client_config::EndpointConfig;
use crate::sts::Sts;
use crate::sts::attribution::{NameSource, RequestAttribution};
use crate::sts::mfa::MfaDevice;
use crate::sts::request::{
    MAX_CHAINED_SECONDS, ROLE_DURATION, check_session_name, check_source_identity, ensure, is_charset,
};
use crate::{AwsClientConfig, SecretProvider};

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
    pub(super) fn new(role: RoleArn, source: Arc<dyn CredentialProvider>) -> Self {
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
