//! `WebIdentityProvider`: temporary credentials of a role for an identity token, from `AssumeRoleWithWebIdentity`.

mod builder;
mod token;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityOutput;
use valetkey_core::{CredentialProvider, Credentials, ExposeSecret, Region, Result, RoleArn, SessionPolicy};

pub use self::builder::WebIdentityBuilder;
use self::token::IdentityTokenSource;
use crate::SecretProvider;
use crate::sts::Sts;
use crate::sts::attribution::DEFAULT_SESSION_NAME;
use crate::sts::request::SessionPolicies;
use crate::sts::response::{self, Utilization};

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
