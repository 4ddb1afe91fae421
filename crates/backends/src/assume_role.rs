//! Assume role: the temporary credentials of a role, from STS.

mod builder;

pub use builder::AssumeRoleBuilder;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;
use valetkey_core::{
    CredentialProvider, Credentials, Error, ExposeSecret, IntoProvider, Region, Result, RoleArn,
    SessionPolicy,
};

use crate::sts::Sts;
use crate::sts::attribution::DEFAULT_SESSION_NAME;
use crate::sts::mfa::{self, MfaDevice};
use crate::sts::request::MAX_CHAINED_SECONDS;
use crate::sts::request::{SessionPolicies, SessionTags};
use crate::sts::response::{self, Utilization};
use crate::{error, validity};

const NAME: &str = "assume-role";

/// Asks STS for a role's temporary credentials at every fetch, signing with whatever the source gives at that moment:
/// with a [`SessionAccount`](valetkey_core::SessionAccount) as its source it follows that session.
///
/// In a chain, a source that is not configured does not make this provider absent: it is `Invalid`, since a role was
/// asked for and nobody else's credentials may take its place.
#[derive(Debug)]
pub struct AssumeRoleProvider {
    client: AssumeRoleClient,
    source: Arc<dyn CredentialProvider>,
    region: Option<Region>,
    utilization: Utilization,
}

impl AssumeRoleProvider {
    /// Describes the credentials of `role`, assumed with those of `source`.
    pub fn builder(role: RoleArn, source: impl IntoProvider) -> AssumeRoleBuilder {
        AssumeRoleBuilder::new(role, source.into_provider())
    }

    fn new(client: AssumeRoleClient, source: Arc<dyn CredentialProvider>, region: Option<Region>) -> Self {
        Self { client, source, region, utilization: Utilization::default() }
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> &RoleArn {
        &self.client.request.role
    }

    /// How much of the space that STS allows for policies, tags and what it adds itself the last session took, in
    /// percent; `None` until STS has told it. Above 100 it refuses.
    #[must_use]
    pub fn utilization(&self) -> Option<u32> {
        self.utilization.percent()
    }

    async fn fetch(&self) -> Result<Credentials> {
        let source = validity::source_credentials(&*self.source).await?;
        if source.has_session_token()
            && self.client.request.duration.is_some_and(|seconds| seconds > MAX_CHAINED_SECONDS)
        {
            return Err(duration_exceeds_chaining_limit());
        }
        self.parse_response(self.client.assume_role(&source).await?)
    }

    #[allow(deprecated, reason = "whoever does not tell the one tells the other")]
    fn parse_response(&self, answer: AssumeRoleOutput) -> Result<Credentials> {
        self.utilization.record(answer.session_token_utilization.or(answer.packed_policy_size));
        let account =
            answer.assumed_role_user.as_ref().and_then(|user| response::account_from_arn(user.arn()));
        response::credentials_from_response(OPERATION, answer.credentials, |set| {
            set.account_id(account.unwrap_or_else(|| self.role().account().clone()))
                .region(self.region.clone())
                .environment_region(self.client.sts.region())
                .provider(NAME)
        })
    }
}

#[async_trait]
impl CredentialProvider for AssumeRoleProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// What the source answered, naming it; but `Invalid`, with the field `source`, when it is not configured.
    /// `Invalid` for a duration over an hour when the source's credentials are temporary, and for what STS calls
    /// malformed, too large or disabled in its region. `InteractionRequired`, with the field
    /// `mfa_code`, when a code is needed and nobody gives one, or it is refused. `Denied` when STS refuses, `Expired` when the source's
    /// credentials have run out, `Throttled`, `TimedOut` or `Unavailable` when STS cannot answer now.
    async fn provide(&self) -> Result<Credentials> {
        self.fetch().await.map_err(|error| error.with_provider(NAME))
    }

    /// Keeps nothing itself; its source may.
    fn clear_cache(&self) {
        self.source.clear_cache();
    }

    /// The same role, with a session policy that allows what its own one (if there is one) and `policy` both allow.
    ///
    /// # Errors
    /// `Invalid` when the two have nothing in common or cannot be compared, and when the role is assumed with policy
    /// ARNs: a session may do what *any* of its session policies allows, so another one could only add.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let client = self.client.scope_down(policy).map_err(|error| error.with_provider(NAME))?;
        Ok(Arc::new(Self::new(client, Arc::clone(&self.source), self.region.clone())))
    }
}

const OPERATION: &str = "AssumeRole";

/// What is asked of STS.
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

/// Shows neither the external id nor what policies and tags say.
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

/// The request, and where it goes.
#[derive(Debug)]
struct AssumeRoleClient {
    sts: Sts,
    request: AssumeRoleRequest,
}

impl AssumeRoleClient {
    /// The same client, asking for no more than `policy` allows.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Self> {
        let policies = self.request.policies.narrowed(policy)?;
        Ok(Self {
            sts: self.sts.with_own_retry_quota(),
            request: AssumeRoleRequest { policies, ..self.request.clone() },
        })
    }

    async fn assume_role(&self, source: &Credentials) -> Result<AssumeRoleOutput> {
        let call = self.request.apply_to(self.sts.client_for(source).assume_role())?;
        let Some(device) = &self.request.mfa else {
            return call.send().await.map_err(|error| error::from_sdk_error(OPERATION, &error));
        };
        let code = device.code_provider().await?;
        let call = call.serial_number(&device.serial).token_code(code.expose_secret());
        let answer = call.customize().config_override(mfa::without_retries()).send().await;
        answer.map_err(|error| mfa::refused(OPERATION, &error))
    }
}

fn duration_exceeds_chaining_limit() -> Error {
    Error::invalid("duration", "must be at most 3,600 s, since the source's credentials are temporary")
        .with_next_step("shorten it, or assume the role with long-lived credentials")
}
