//! `WebIdentityProvider`: an identity token in, the role's credentials out.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityOutput;
use valetkey_core::{CredentialProvider, Credentials, Region, Result, RoleArn, SessionPolicy};

use super::builder::WebIdentityBuilder;
use super::client::{OPERATION, WebIdentityClient};
use super::token::IdentityTokenSource;
use crate::SecretProvider;
use crate::sts::{Utilization, answer};

pub(super) const NAME: &str = "web-identity";

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

    pub(super) fn new(client: WebIdentityClient, region: Option<Region>) -> Self {
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
        let account = answer.assumed_role_user.as_ref().and_then(|user| answer::account_from_arn(user.arn()));
        answer::credentials_from_response(OPERATION, answer.credentials, |set| {
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
