//! `AssumeRoleProvider`: source credentials in, the role's credentials out.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use valetkey_core::{
    AccessKeyId, AccountId, CredentialProvider, Credentials, Expiry, Region, Result, RoleArn, SecretString,
    SessionPolicy, SystemClock,
};

use super::builder::{AssumeRoleBuilder, MAX_CHAINED};
use super::client::Client;
use super::{error, narrow};
use crate::{expired, source};

pub(super) const NAME: &str = "assume-role";

/// Asks STS for a role's temporary credentials at every fetch, signing with whatever the source gives at that moment:
/// with a [`SessionAccount`](valetkey_core::SessionAccount) as its source it follows that session.
///
/// In a chain, a source that is not configured does not make this provider absent: it is `Invalid`, since a role was
/// asked for and nobody else's credentials may take its place.
#[derive(Debug)]
pub struct AssumeRoleProvider {
    client: Client,
    source: Arc<dyn CredentialProvider>,
    region: Option<Region>,
}

impl AssumeRoleProvider {
    /// Describes the credentials of `role`, assumed with those of `source`.
    pub fn builder(role: RoleArn, source: Arc<dyn CredentialProvider>) -> AssumeRoleBuilder {
        AssumeRoleBuilder::new(role, source)
    }

    pub(super) fn new(client: Client, source: Arc<dyn CredentialProvider>, region: Option<Region>) -> Self {
        Self { client, source, region }
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> &RoleArn {
        &self.client.request.role
    }

    async fn assume(&self) -> Result<Credentials> {
        let source = source::credentials(&*self.source).await?;
        if source.has_session_token()
            && self.client.request.duration.is_some_and(|seconds| seconds > MAX_CHAINED)
        {
            return Err(error::too_long_for_a_chain());
        }
        let answer = self.client.assume(&source).await?;
        self.read(answer).and_then(|credentials| expired::issued(credentials, &SystemClock))
    }

    fn read(&self, answer: AssumeRoleOutput) -> Result<Credentials> {
        let keys = answer.credentials.ok_or_else(error::incomplete)?;
        let expires_at = SystemTime::try_from(keys.expiration).map_err(|_| error::incomplete())?;
        let account = answer.assumed_role_user.as_ref().and_then(|user| account_of(user.arn()));
        let id = AccessKeyId::parse("access_key_id", &keys.access_key_id).map_err(|_| error::incomplete())?;
        Credentials::builder(id, SecretString::from(keys.secret_access_key))
            .session_token(SecretString::from(keys.session_token))
            .expiry(Expiry::At(expires_at))
            .account_id(account.unwrap_or_else(|| self.role().account().clone()))
            .region(self.region.clone())
            .provider(NAME)
            .build()
            .map_err(|_| error::incomplete())
    }
}

/// The account in `arn:aws:sts::111111111111:assumed-role/agent/session`.
fn account_of(arn: &str) -> Option<AccountId> {
    arn.split(':').nth(4)?.parse().ok()
}

#[async_trait]
impl CredentialProvider for AssumeRoleProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// What the source answered, naming it; but `Invalid`, with the field `source`, when it is not configured.
    /// `Invalid` for a duration over an hour when the source's credentials are temporary, and for what STS calls
    /// malformed, too large or disabled in its region. `Denied` when STS refuses, `Expired` when the source's
    /// credentials have run out, `Throttled`, `TimedOut` or `Unavailable` when STS cannot answer now.
    async fn provide(&self) -> Result<Credentials> {
        self.assume().await.map_err(|error| error.with_provider(NAME))
    }

    /// The same role, with a session policy that allows what its own one (if there is one) and `policy` both allow.
    ///
    /// # Errors
    /// `Invalid` when the two have nothing in common or cannot be compared, and when the role is assumed with policy
    /// ARNs: a session may do what *any* of its session policies allows, so another one could only add.
    fn narrowed(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let request =
            narrow::request(&self.client.request, policy).map_err(|error| error.with_provider(NAME))?;
        Ok(Arc::new(Self::new(self.client.asking(request), Arc::clone(&self.source), self.region.clone())))
    }
}
