//! `AssumeRoleBuilder`: everything that a request may say, checked before anybody is asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use valetkey_core::{Attribution, CredentialProvider, Error, NameTemplate, Region, Result, RoleArn};

use super::{AssumeRoleClient, AssumeRoleProvider, AssumeRoleRequest, NAME};
use crate::client_config::EndpointConfig;
use crate::sts::Sts;
use crate::sts::attribution::{NameSource, RequestAttribution};
use crate::sts::mfa::MfaDevice;
use crate::sts::request::{
    MAX_CHAINED_SECONDS, ROLE_DURATION, ensure, is_charset, session_name, source_identity,
};
use crate::{AwsClientConfig, SecretProvider};

/// Describes an assumed role; made by [`AssumeRoleProvider::builder`].
#[must_use]
pub struct AssumeRoleBuilder {
    request: AssumeRoleRequest,
    source: Arc<dyn CredentialProvider>,
    request_attribution: RequestAttribution,
    session_duration: Option<Duration>,
    role_chaining: bool,
    place: EndpointConfig,
}

impl AssumeRoleBuilder {
    pub(super) fn new(role: RoleArn, source: Arc<dyn CredentialProvider>) -> Self {
        let (request, request_attribution, place) =
            (AssumeRoleRequest::new(role), RequestAttribution::default(), EndpointConfig::default());
        Self { request, source, request_attribution, session_duration: None, role_chaining: false, place }
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

    /// Who is behind the session, for good: 2–256 of the same characters, not beginning with `aws:`. The role's trust
    /// policy must allow `sts:SetSourceIdentity`.
    pub fn check_source_identity(mut self, identity: impl Into<String>) -> Self {
        self.request_attribution.source_identity = Some(NameSource::Literal(identity.into()));
        self
    }

    /// The same, with what the [attribution](Self::attribution) says filled in, such as `{principal}`.
    pub fn source_identity_from(mut self, template: NameTemplate) -> Self {
        self.request_attribution.source_identity = Some(NameSource::Template(template));
        self
    }

    /// Says who is behind the session: it is named `valetkey-` and the session's id unless [named](Self::session_name)
    /// otherwise, and [tagged](Attribution::tags). The trust policy of the role must allow `sts:TagSession`, else
    /// [`tag_sessions`](Self::tag_sessions) turns the tags off.
    pub fn attribution(mut self, attribution: &Attribution) -> Self {
        self.request_attribution.who = Some(attribution.clone());
        self
    }

    /// Sets whether the tags of the session name the attribution too (default: true).
    pub fn tag_sessions(mut self, yes: bool) -> Self {
        self.request_attribution.tags_disabled = !yes;
        self
    }

    /// What the role's owner and you agreed on: 2–1,224 of `A-Z a-z 0-9 _ + = , . @ : / -`.
    pub fn external_id(mut self, id: impl Into<String>) -> Self {
        self.request.external_id = Some(id.into());
        self
    }

    /// How long the credentials work: whole seconds, 15 min to 12 h and no longer than the role allows; at most 1 h
    /// for a [chained](Self::role_chaining) role. The default is the hour of STS.
    pub fn session_duration(mut self, duration: Duration) -> Self {
        self.session_duration = Some(duration);
        self
    }

    /// Narrows the session to what this policy (a JSON object, or a [`SessionPolicy`](valetkey_core::SessionPolicy)) and
    /// the role both allow.
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

    /// Adds a session tag: up to 50, key up to 128 and value up to 256 characters, no key twice (case does not
    /// count), none beginning with `aws:`.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.tags.add(key, value);
        self
    }

    /// Lets the tag of this key pass on to roles assumed with the answer. It must be one of the tags.
    pub fn transitive_tag(mut self, key: impl Into<String>) -> Self {
        self.request.transitive_tags.push(key.into());
        self
    }

    /// Proves the presence of an MFA device of the source's user, by its serial number (9–256 characters: an ARN, or
    /// what is printed on it) and the six digits that `code` gives at each fetch. A role whose trust policy asks for
    /// `aws:MultiFactorAuthPresent` is assumed so.
    ///
    /// A code needs a person, so each fetch, also of a narrowed session, may be a question to one: choose a long duration, and a load time-out of
    /// the session that a person can meet. When `code` fails, whatever the reason, the fetch is `InteractionRequired`:
    /// a session then serves what it has to its end, and does not ask in a loop. A request with a code is sent once.
    pub fn mfa(mut self, serial: impl Into<String>, code: impl SecretProvider + 'static) -> Self {
        self.request.mfa = Some(MfaDevice { serial: serial.into(), code: Arc::new(code) });
        self
    }

    /// Says that the source is itself temporary (another role), so that a duration over the hour that STS allows is
    /// refused here. Whatever is said, it is checked against the source's credentials before each call.
    pub fn role_chaining(mut self, enabled: bool) -> Self {
        self.role_chaining = enabled;
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

    /// The provider. Nobody is asked yet.
    ///
    /// # Errors
    /// `Invalid`, with the first field that breaks a limit and the limit.
    pub fn build(self) -> Result<AssumeRoleProvider> {
        self.build_provider().map_err(|error| error.with_provider(NAME))
    }

    fn build_provider(mut self) -> Result<AssumeRoleProvider> {
        self.request.duration = self
            .session_duration
            .map(|duration| checked_duration_seconds(duration, self.role_chaining))
            .transpose()?;
        self.request.session_name = self.request_attribution.session_name()?;
        self.request.source_identity = self.request_attribution.source_identity()?;
        self.request_attribution.tag(&mut self.request.tags)?;
        check_request(&self.request)?;
        let region = self.place.region.clone();
        let client = AssumeRoleClient { sts: Sts::new(self.place)?, request: self.request };
        Ok(AssumeRoleProvider::new(client, self.source, region))
    }
}

fn checked_duration_seconds(duration: Duration, role_chaining: bool) -> Result<i32> {
    let seconds = ROLE_DURATION.checked_seconds(duration)?;
    if role_chaining && seconds > MAX_CHAINED_SECONDS {
        return Err(Error::invalid("duration", "must be at most 3,600 s for a chained role")
            .with_next_step("shorten it, or assume the role with long-lived credentials"));
    }
    Ok(seconds)
}

fn check_request(request: &AssumeRoleRequest) -> Result<()> {
    session_name(&request.session_name)?;
    request.source_identity.as_deref().map_or(Ok(()), source_identity)?;
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
