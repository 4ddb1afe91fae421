//! `SessionAccount`: one account of a session, lent to whatever outlives a call.

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

/// One account of a session, lent: endpoints, SDK clients and assumed roles hold this. It follows the session's
/// rotation, clearing and closing, and does not keep the session alive.
#[derive(Clone)]
pub struct SessionAccount {
    pub(super) session: Weak<SessionInner>,
    alias: AccountName,
}

impl SessionAccount {
    pub(super) fn new(session: Weak<SessionInner>, alias: AccountName) -> Self {
        Self { session, alias }
    }

    /// The account's alias.
    #[must_use]
    pub fn alias(&self) -> &AccountName {
        &self.alias
    }

    /// The session's id, while there is a session.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        self.session.upgrade().map(|member| member.surroundings.id)
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.session.upgrade().is_none_or(|member| member.is_closed())
    }

    /// The current, valid set.
    ///
    /// # Errors
    /// As [`SessionContext::credentials_for`](super::SessionContext::credentials_for); `Closed` once the session is gone.
    pub async fn credentials(&self) -> Result<Credentials> {
        let session = self.session()?;
        session.credentials_for(&self.alias).await
    }

    /// The set that can be served without asking anybody, with what tells it from others; `None` when there is none.
    #[must_use]
    pub fn current(&self) -> Option<CurrentCredentials> {
        self.session().ok()?.current(&self.alias)
    }

    /// Fetches a new set now; see [`SessionContext::check_refresh`](super::SessionContext::check_refresh).
    ///
    /// # Errors
    /// As there.
    pub async fn refresh(&self) -> Result<Generation> {
        let slot = self.cache()?;
        slot.refresh().await
    }

    /// See [`SessionContext::mark_rejected_for`](super::SessionContext::mark_rejected_for).
    pub fn mark_rejected(&self, rejected: &AccessKeyId) {
        if let Ok(slot) = self.cache() {
            slot.mark_rejected(rejected);
        }
    }

    /// Announces each new set, by number, and its clearing.
    ///
    /// # Errors
    /// `Closed` once the session is gone.
    pub fn watch_rotations(&self) -> Result<RotationWatcher> {
        RotationWatcher::of(&self.session()?, &self.alias)
    }

    /// What may be shown to anyone.
    ///
    /// # Errors
    /// `Closed` once the session is gone.
    pub fn status(&self) -> Result<AccountStatus> {
        let member = self.session()?;
        let slot = member.account_cache(&self.alias)?;
        Ok(member.account_status(&slot))
    }

    /// Adds an event to the session's audit trail; nothing happens once the session is gone.
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

    /// The account's own provider, narrowed; which that is, is looked up at each fetch.
    ///
    /// # Errors
    /// As [`SessionContext::narrow`](super::SessionContext::narrow).
    fn narrowed(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let narrowed = NarrowedAccount::new(self.clone(), policy.clone(), None);
        narrowed.provider().map(|_| Arc::new(narrowed) as Arc<dyn CredentialProvider>)
    }
}

impl fmt::Debug for SessionAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionAccount").field("alias", &self.alias).finish_non_exhaustive()
    }
}
