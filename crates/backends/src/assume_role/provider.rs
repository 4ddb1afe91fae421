//! `AssumeRoleProvider`: source credentials in, the role's credentials out.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use valetkey_core::{CredentialProvider, Credentials, IntoProvider, Region, Result, RoleArn, SessionPolicy};

use super::builder::AssumeRoleBuilder;
use super::client::{AssumeRoleClient, OPERATION};
use super::error;
use crate::source;
use crate::sts::limits::MAX_CHAINED_SECONDS;
use crate::sts::{Utilization, answer};

pub(super) const NAME: &str = "assume-role";

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

    pub(super) fn new(
        client: AssumeRoleClient,
        source: Arc<dyn CredentialProvider>,
        region: Option<Region>,
    ) -> Self {
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
        let source = source::source_credentials(&*self.source).await?;
        if source.has_session_token()
            && self.client.request.duration.is_some_and(|seconds| seconds > MAX_CHAINED_SECONDS)
        {
            return Err(error::duration_exceeds_chaining_limit());
        }
        self.parse_response(self.client.assume_role(&source).await?)
    }

    #[allow(deprecated, reason = "whoever does not tell the one tells the other")]
    fn parse_response(&self, answer: AssumeRoleOutput) -> Result<Credentials> {
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
