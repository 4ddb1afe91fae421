//! `NarrowedAccountProvider`: fetches credentials of a session's account, narrowed by a policy.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::session::{SessionAccount, error};
use crate::{CredentialProvider, Credentials, Result, SessionPolicy};

/// Narrows the provider of an account. The provider is looked up at each fetch: it may be replaced, suspended by a
/// clear, or overridden by credentials that are set directly, and must not be used from then on.
#[derive(Debug)]
pub(in crate::session) struct NarrowedAccountProvider {
    account: SessionAccount,
    policy: SessionPolicy,
    /// No fetch is made after this instant. Background refreshers do not check the bounds of a session themselves.
    deadline: Option<SystemTime>,
}

impl NarrowedAccountProvider {
    pub(in crate::session) fn new(
        account: SessionAccount,
        policy: SessionPolicy,
        deadline: Option<SystemTime>,
    ) -> Self {
        Self { account, policy, deadline }
    }

    /// Returns the current provider of the account, narrowed.
    ///
    /// # Errors
    /// `Closed` after the deadline and once the session has ended; `NotConfigured` while the account has no
    /// provider that may be called; `Invalid` while its credentials are set directly; the error of the provider if
    /// it cannot apply the policy.
    pub(in crate::session) fn provider(&self) -> Result<Arc<dyn CredentialProvider>> {
        let now = self.account.session()?.shared.now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(error::closed());
        }
        let narrowed = self.account.cache()?.scope_down(&self.policy);
        narrowed.map_err(|error| super::with_account_context(self.account.account_name(), &error))
    }
}

#[async_trait]
impl CredentialProvider for NarrowedAccountProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("narrowed")
    }

    /// Fetches with what the account has now, not with what it had when the child was created.
    async fn provide(&self) -> Result<Credentials> {
        self.provider()?.credentials().await
    }

    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        self.provider()?.scope_down(policy)
    }
}
