//! `SessionAccount`: a reference to one account of a session that does not keep the session alive.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;

use super::inner::SessionInner;
use super::narrow::NarrowedAccountProvider;
use super::{AccessScope, AccountStatus, RotationWatcher, SessionContext, error};
use crate::audit::AuditEvent;
use crate::cache::{AccountCache, CredentialsVersion, CurrentCredentials, Generation};
use crate::{
    AccessKeyId, AccountName, CredentialProvider, Credentials, Error, Region, Result, SessionId,
    SessionPolicy,
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
        self.session.upgrade().map(|session| session.shared.id)
    }

    /// Returns whether the session has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.session.upgrade().is_none_or(|session| session.is_closed())
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
        let cache = self.cache()?;
        cache.refresh().await
    }

    /// Reports a rejected key; see [`SessionContext::mark_rejected_for`](super::SessionContext::mark_rejected_for).
    pub fn mark_rejected(&self, rejected: &AccessKeyId) {
        if let Ok(cache) = self.cache() {
            cache.mark_rejected(rejected);
        }
    }

    /// Returns a watch that announces the generation of each new version of the credentials, and their clearing.
    ///
    /// # Errors
    /// `Closed` once the session is gone.
    pub fn watch_rotations(&self) -> Result<RotationWatcher> {
        RotationWatcher::new(&self.session()?, &self.alias)
    }

    /// Returns the region that the credentials, the account or the session specify; see
    /// [`SessionContext::region_for`].
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        self.session.upgrade()?.region_for(self.alias())
    }

    /// Returns the region that the environment specifies: that of the environment in which the credentials were
    /// fetched, otherwise [the session's](super::SessionBuilder::environment_region).
    #[must_use]
    pub fn environment_region(&self) -> Option<Region> {
        self.session.upgrade()?.environment_region(self.alias())
    }

    /// Returns the region to use the account in; see [`SessionContext::resolved_region`].
    #[must_use]
    pub fn resolved_region(&self) -> Region {
        let session = self.session.upgrade();
        session.map_or_else(Region::us_east_1, |session| session.resolved_region(self.alias()))
    }

    /// Returns the status of the account. It holds no secrets and may be shown to any user.
    ///
    /// # Errors
    /// `Closed` once the session is gone.
    pub fn status(&self) -> Result<AccountStatus> {
        let session = self.session()?;
        let cache = session.account_cache(&self.alias)?;
        Ok(AccountStatus::of(&session, &cache))
    }

    /// Returns whether the account serves nothing because its session was cleared or closed, and nothing was set on it
    /// since.
    ///
    /// False for an account that never had credentials, and for one whose credentials expired, were rejected, were
    /// invalidated by a change of another account, or were withdrawn after a permanent failure: its provider is called
    /// again at the next use. An account that was inherited stays cleared after a clear of the child session, until
    /// credentials for it are set on the child session. [`watch_rotations`](Self::watch_rotations) announces a clear after this
    /// returns true.
    ///
    /// A watcher may miss this state when credentials follow a clear at once; see
    /// [`was_cleared_since`](Self::was_cleared_since).
    #[must_use]
    pub fn is_cleared(&self) -> bool {
        self.session().ok().is_none_or(|session| session.is_account_cleared(self.alias()))
    }

    /// Returns whether the account was cleared or closed after it published the credentials `id`, even if other
    /// credentials followed. Copies of cleared credentials must no longer be used; copies that were only replaced may
    /// finish their work.
    #[must_use]
    pub fn was_cleared_since(&self, id: CredentialsVersion) -> bool {
        self.session().ok().is_none_or(|session| session.was_account_cleared_since(self.alias(), id))
    }

    /// Creates a child of the account's session that has this account only, restricted to what `policy` allows:
    /// [`SessionContext::narrow`] for code that holds only the account. Neither the account nor the child keeps the
    /// session open.
    ///
    /// # Errors
    /// As [`SessionContext::narrow`].
    pub fn narrow(&self, policy: SessionPolicy) -> Result<SessionContext> {
        self.session()?.narrow(&AccessScope::new().accounts([self.alias().clone()]).policy(policy))
    }

    /// Adds an event to the session's audit log. Does nothing once the session is gone.
    pub fn audit(&self, event: AuditEvent, party: &str, failure: Option<&Error>) {
        if let Some(session) = self.session.upgrade() {
            session.record(event, &self.alias, party, failure);
        }
    }

    pub(super) fn session(&self) -> Result<Arc<SessionInner>> {
        self.session.upgrade().filter(|session| !session.is_closed()).ok_or_else(error::closed)
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
        let narrowed = NarrowedAccountProvider::new(self.clone(), policy.clone(), None);
        narrowed.provider().map(|_| Arc::new(narrowed) as Arc<dyn CredentialProvider>)
    }
}

impl fmt::Debug for SessionAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionAccount").field("alias", &self.alias).finish_non_exhaustive()
    }
}
