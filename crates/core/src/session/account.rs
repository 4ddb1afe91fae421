//! `SessionAccount`: a reference to one account of a session that does not keep the session alive.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;

use super::family::SessionInner;
use super::faults;
use super::narrow::NarrowedAccount;
use super::slot::AccountCache;
use super::{AccountStatus, CurrentCredentials, Generation, RotationWatcher};
use crate::audit::AuditEvent;
use crate::{
    AccessKeyId, AccountName, CredentialProvider, Credentials, Error, Result, SessionId, SessionPolicy,
};

/// Refers to one account of a session. Endpoints, SDK clients and assumed roles hold this type: it follows the
/// session's rotation, clearing and closing, and does not keep the session alive.
///
/// # Examples
/// ```
/// # use valetkey_core::{Credentials, SessionContext};
/// # async fn demo(session: SessionContext) -> valetkey_core::Result<()> {
/// let account = session.account(session.default_account())?;
/// account.credentials().await?;
/// session.close();
/// assert!(account.credentials().await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionAccount {
    pub(super) session: Weak<SessionInner>,
    alias: AccountName,
}

impl SessionAccount {
    pub(super) fn new(session: Weak<SessionInner>, alias: AccountName) -> Self {
        Self { session, alias }
    }

    /// Returns the account's alias.
    #[must_use]
    pub fn alias(&self) -> &AccountName {
        &self.alias
    }

    /// Returns the id of the session, or `None` once the session is gone.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        self.session.upgrade().map(|member| member.surroundings.id)
    }

    /// Returns whether the session has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.session.upgrade().is_none_or(|member| member.is_closed())
    }

    /// Returns valid credentials of the account.
    ///
    /// # Errors
    /// As [`SessionContext::credentials_for`](super::SessionContext::credentials_for); `Closed` once the session is
    /// gone.
    pub async fn credentials(&self) -> Result<Credentials> {
        let session = self.session()?;
        session.credentials_for(&self.alias).await
    }

    /// Returns the credentials that can be served without a fetch, with their version; `None` when there are none.
    #[must_use]
    pub fn current(&self) -> Option<CurrentCredentials> {
        self.session().ok()?.current(&self.alias)
    }

    /// Fetches new credentials now; see [`SessionContext::refresh`](super::SessionContext::refresh).
    ///
    /// # Errors
    /// As [`SessionContext::refresh`](super::SessionContext::refresh).
    pub async fn refresh(&self) -> Result<Generation> {
        let slot = self.cache()?;
        slot.refresh().await
    }

    /// Reports a rejected key; see [`SessionContext::mark_rejected_for`](super::SessionContext::mark_rejected_for).
    pub fn mark_rejected(&self, rejected: &AccessKeyId) {
        if let Ok(slot) = self.cache() {
            slot.mark_rejected(rejected);
        }
    }

    /// Returns a watch that announces the generation of each new version of the credentials, and their clearing.
    ///
    /// # Errors
    /// `Closed` once the session is gone.
    pub fn watch_rotations(&self) -> Result<RotationWatcher> {
        RotationWatcher::of(&self.session()?, &self.alias)
    }

    /// Returns the status of the account. It holds no secrets and may be shown to any user.
    ///
    /// # Errors
    /// `Closed` once the session is gone.
    pub fn status(&self) -> Result<AccountStatus> {
        let member = self.session()?;
        let slot = member.account_cache(&self.alias)?;
        Ok(member.account_status(&slot))
    }

    /// Adds an event to the session's audit log. Does nothing once the session is gone.
    pub fn audit(&self, event: AuditEvent, party: &str, failure: Option<&Error>) {
        if let Some(member) = self.session.upgrade() {
            member.record(event, &self.alias, party, failure);
        }
    }

    pub(super) fn session(&self) -> Result<Arc<SessionInner>> {
        self.session.upgrade().filter(|member| !member.is_closed()).ok_or_else(faults::closed_error)
    }

    pub(super) fn cache(&self) -> Result<Arc<AccountCache>> {
        self.session()?.account_cache(&self.alias)
    }
}

#[async_trait]
impl CredentialProvider for SessionAccount {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("session")
    }

    async fn provide(&self) -> Result<Credentials> {
        self.credentials().await
    }

    fn cached(&self) -> Option<Credentials> {
        self.session().ok()?.cached(&self.alias)
    }

    /// Returns the account's provider, narrowed. The provider is looked up at each fetch.
    ///
    /// # Errors
    /// As [`SessionContext::narrow`](super::SessionContext::narrow).
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let narrowed = NarrowedAccount::new(self.clone(), policy.clone(), None);
        narrowed.provider().map(|_| Arc::new(narrowed) as Arc<dyn CredentialProvider>)
    }
}

impl fmt::Debug for SessionAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionAccount").field("alias", &self.alias).finish_non_exhaustive()
    }
}
