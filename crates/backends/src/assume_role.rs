//! `AssumeRoleProvider`: temporary credentials of a role, from `AssumeRole`.

mod builder;

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

pub use self::builder::AssumeRoleBuilder;
use crate::sts::Sts;
use crate::sts::attribution::DEFAULT_SESSION_NAME;
use crate::sts::mfa::{self, MfaDevice};
use crate::sts::request::{MAX_CHAINED_SECONDS, SessionPolicies, SessionTags};
use crate::sts::response::{self, Utilization};
use crate::{error, validity};

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
        let account =
            output.assumed_role_user.as_ref().and_then(|user| response::account_from_arn(user.arn()));
        response::credentials_from_response(OPERATION, output.credentials, |credentials| {
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
