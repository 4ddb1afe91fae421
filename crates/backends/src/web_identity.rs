//! Web identity: the temporary credentials of a role, for a token of an identity provider that the role trusts.

mod builder;
mod token;

pub use builder::WebIdentityBuilder;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityOutput;
use valetkey_core::{CredentialProvider, Credentials, ExposeSecret, Region, Result, RoleArn, SessionPolicy};

use crate::SecretProvider;
use crate::sts::Sts;
use crate::sts::attribution::DEFAULT_SESSION_NAME;
use crate::sts::request::SessionPolicies;
use crate::sts::response::{self, Utilization};
use token::IdentityTokenSource;

const NAME: &str = "web-identity";

/// Asks STS for a role's temporary credentials at every fetch, with a token of an identity provider that the role
/// trusts: the service account of a pod, the job of a CI system, a user who signed in. No AWS credentials are needed,
/// and the request is not signed.
///
/// In a chain, a token that cannot be had does not make this provider absent: it is `Invalid`, since a role was asked
/// for and nobody else's credentials may take its place.
#[derive(Debug)]
pub struct WebIdentityProvider {
    client: WebIdentityClient,
    region: Option<Region>,
    utilization: Utilization,
}

impl WebIdentityProvider {
    /// Describes the credentials of `role`, for the token that `token` gives at each fetch.
    pub fn builder(role: RoleArn, token: impl SecretProvider + 'static) -> WebIdentityBuilder {
        WebIdentityBuilder::new(role, IdentityTokenSource::Provider(Arc::new(token)))
    }

    /// Describes the credentials of `role`, for the token that the file holds at each fetch, as UTF-8 text with or
    /// without blanks around it. Whoever renews the token replaces the file.
    pub fn from_file(role: RoleArn, token_file: impl Into<PathBuf>) -> WebIdentityBuilder {
        WebIdentityBuilder::new(role, IdentityTokenSource::File(token_file.into()))
    }

    fn new(client: WebIdentityClient, region: Option<Region>) -> Self {
        Self { client, region, utilization: Utilization::default() }
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> &RoleArn {
        &self.client.request.role
    }

    /// How much of the space that STS allows for policies and what it adds itself the last session took, in percent;
    /// `None` until STS has told it. Above 100 it refuses.
    #[must_use]
    pub fn utilization(&self) -> Option<u32> {
        self.utilization.percent()
    }

    #[allow(deprecated, reason = "whoever does not tell the one tells the other")]
    fn parse_response(&self, answer: AssumeRoleWithWebIdentityOutput) -> Result<Credentials> {
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
impl CredentialProvider for WebIdentityProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// About the token, with the field `token_file` or `token`: `Invalid` when it is missing, not UTF-8, not 4 to 20,000
    /// characters or not one that STS can verify; `Expired` when STS finds it expired; `Denied` when its issuer rejects
    /// it; `Unavailable` when the file cannot be read for now, or is empty as one is that is just being written. What a token source answered otherwise
    /// is passed on. About the rest: `Denied` when the role does not trust whom the token names; `Invalid` for what
    /// STS calls malformed, too large or disabled in its region; `Throttled`, `TimedOut` or `Unavailable` when STS, or
    /// the identity provider that it asks, cannot answer now.
    async fn provide(&self) -> Result<Credentials> {
        let answer = self.client.assume_role().await;
        answer.and_then(|answer| self.parse_response(answer)).map_err(|error| error.with_provider(NAME))
    }

    /// The same role, with a session policy that allows what its own one (if there is one) and `policy` both allow.
    ///
    /// # Errors
    /// `Invalid` when the two have nothing in common or cannot be compared, and when the role is asked for with policy
    /// ARNs: a session may do what *any* of its session policies allows, so another one could only add.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let client = self.client.scope_down(policy).map_err(|error| error.with_provider(NAME))?;
        Ok(Arc::new(Self::new(client, self.region.clone())))
    }
}

const OPERATION: &str = "AssumeRoleWithWebIdentity";

/// What is asked of STS.
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
}

/// Does not show what policies say.
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

/// The request, and where it goes.
#[derive(Debug)]
struct WebIdentityClient {
    sts: Sts,
    request: WebIdentityRequest,
}

impl WebIdentityClient {
    /// The same client, asking for no more than `policy` allows.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Self> {
        let policies = self.request.policies.narrowed(policy)?;
        Ok(Self {
            sts: self.sts.with_own_retry_quota(),
            request: WebIdentityRequest { policies, ..self.request.clone() },
        })
    }

    async fn assume_role(&self) -> Result<AssumeRoleWithWebIdentityOutput> {
        let WebIdentityRequest { role, token, session_name, provider_id, duration, policies } = &self.request;
        let identity_token = token.fetch().await?;
        let call = self
            .sts
            .unsigned_client()
            .assume_role_with_web_identity()
            .role_arn(role.as_str())
            .role_session_name(session_name)
            .web_identity_token(identity_token.expose_secret())
            .set_provider_id(provider_id.clone())
            .set_duration_seconds(*duration)
            .set_policy(policies.inline.clone())
            .set_policy_arns(policies.to_sdk_arns());
        call.send().await.map_err(|refused| token::map_error(&refused, token))
    }
}
