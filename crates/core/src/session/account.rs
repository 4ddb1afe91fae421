//! `SessionAccount`: a reference to one account of a session that does not keep the session alive.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;

use super::inner::SessionInner;
use super::narrow::NarrowedAccountProvider;
use super::{AccessScope, AccountStatus, RotationWatcher, SessionContext, error};
use crate::audit::{AuditEvent, RequestRecord};
use crate::cache::{AccountCache, CredentialsVersion, CurrentCredentials, Generation};
use crate::{
    AccessKeyId, AccountName, CredentialId, CredentialProvider, Credentials, Error, Expiry, IntoProvider,
    KeyExchange, Region, Result, SessionId, SessionPolicy,
};

/// Refers to one account of a session. Endpoints, SDK clients and assumed roles hold this type: it follows the
/// session's rotation, clearing and closing, and does not keep the session alive.
///
/// # Examples
/// ```
/// # use valetkey_core::{Credentials, SessionContext};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> valetkey_core::Result<()> {
/// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
/// let session = SessionContext::builder().build();
/// session.set_credentials(credentials)?;
/// let account = session.account(session.default_account())?;
/// account.credentials().await?;
///
/// session.close();
/// assert!(account.credentials().await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionAccount {
    pub(super) session: Weak<SessionInner>,
    name: AccountName,
}

impl SessionAccount {
    pub(super) fn new(session: Weak<SessionInner>, name: AccountName) -> Self {
        Self { session, name }
    }

    /// Returns the name of the account within its session.
    #[must_use]
    pub fn account_name(&self) -> &AccountName {
        &self.name
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

    /// Returns valid credentials of the account, from memory if they are fresh, otherwise from the provider.
    ///
    /// # Errors
    /// `NotConfigured` for an account that the session does not have, and when no credentials were set on it and it has
    /// no provider; `Expired` when the credentials have expired and could not be replaced; `Closed` once the session has
    /// ended; otherwise the error of the provider.
    pub async fn credentials(&self) -> Result<Credentials> {
        let session = self.session()?;
        session.credentials_for(&self.name).await
    }

    /// Returns the credentials that can be served without a fetch, with their version; `None` when there are none.
    #[must_use]
    pub fn current(&self) -> Option<CurrentCredentials> {
        self.session().ok()?.current(&self.name)
    }

    /// Returns the credentials that were set on the account and not cleared since, whether or not they have expired:
    /// those that it serves, or long-lived keys that it only exchanges. `None` while a provider serves the account.
    ///
    /// For a host that builds the same session in another process. Everything else uses
    /// [`credentials`](Self::credentials).
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Credentials, SessionContext, provider_fn};
    /// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
    /// let session = SessionContext::builder().build();
    /// let account = session.for_account(session.default_account());
    /// session.set_credentials(credentials.clone())?;
    /// assert!(account.explicit_credentials().is_some_and(|found| found.has_same_values(&credentials)));
    /// session.clear();
    /// assert!(account.explicit_credentials().is_none());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    #[must_use]
    pub fn explicit_credentials(&self) -> Option<Credentials> {
        self.cache().ok()?.explicit_credentials()
    }

    /// Sets the credentials of the account, which from now on take precedence over its provider. Adds the account if
    /// the session does not have it; an inherited account is replaced in this session only.
    ///
    /// Credentials that providers issued to the other accounts are invalidated; see
    /// [`SessionContext::set_credentials`].
    ///
    /// # Errors
    /// As [`SessionContext::set_credentials`].
    pub fn set_credentials(&self, credentials: Credentials) -> Result<Generation> {
        self.session()?.set_credentials(&self.name, credentials)
    }

    /// Sets the provider that the account uses while no credentials are set on it. Adds the account if the session does
    /// not have it.
    ///
    /// # Errors
    /// As [`SessionContext::set_provider`].
    pub fn set_provider(&self, provider: impl IntoProvider) -> Result<()> {
        self.session()?.set_provider(&self.name, provider.into_provider())
    }

    /// Replaces the provider of the account, if it has one, by what `wrap` returns for it. For a host that shares what
    /// providers issue between processes.
    ///
    /// # Errors
    /// As [`set_provider`](Self::set_provider).
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Error, SessionContext, provider_fn};
    /// let inner = provider_fn("inner", async || Err(Error::not_configured("no keys")));
    /// let session = SessionContext::builder().provider(inner).build();
    /// let account = session.account(session.default_account())?;
    /// let mut wrapped = String::new();
    /// account.wrap_provider(|inner| {
    ///     wrapped = inner.name().into_owned();
    ///     inner
    /// })?;
    /// assert_eq!(wrapped, "inner");
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn wrap_provider(
        &self,
        wrap: impl FnOnce(Arc<dyn CredentialProvider>) -> Arc<dyn CredentialProvider>,
    ) -> Result<()> {
        match self.cache()?.provider() {
            Some(provider) => self.session()?.set_provider(&self.name, wrap(provider)),
            None => Ok(()),
        }
    }

    /// Sets the key exchange, which decides what the account serves in place of credentials that are set on it, and
    /// makes the provider of the exchange the account's provider.
    ///
    /// Credentials that were set earlier are subject to the exchange as well. A later
    /// [`set_provider`](Self::set_provider) leaves the exchange in place.
    ///
    /// # Errors
    /// As [`set_provider`](Self::set_provider).
    pub fn set_key_exchange(&self, exchange: impl KeyExchange + 'static) -> Result<()> {
        self.session()?.set_key_exchange(&self.name, Arc::new(exchange))
    }

    /// Looks up `id` with the session's resolver and sets the credentials that it returns; see
    /// [`SessionContext::set_from_resolver`].
    ///
    /// # Errors
    /// As [`SessionContext::set_from_resolver`].
    ///
    /// # Cancel safety
    /// Dropping the future ends the lookup, and sets nothing.
    pub async fn set_from_resolver(
        &self,
        id: &CredentialId,
        region: Option<Region>,
    ) -> Result<AccountStatus> {
        let session = self.session()?;
        session.set_from_resolver(&self.name, id, region).await
    }

    /// Fetches new credentials from the account's provider now, or joins a fetch that is already running.
    ///
    /// # Errors
    /// As [`SessionContext::refresh`].
    pub async fn refresh(&self) -> Result<Generation> {
        let session = self.session()?;
        session.refresh(&self.name).await
    }

    /// Refreshes the account, and resumes its provider after a clear; see [`SessionContext::resume`]. After a
    /// [`clear`](Self::clear) of this account alone, only this account is resumed.
    ///
    /// # Errors
    /// As [`SessionContext::resume`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the provider resumed: the next call for credentials fetches.
    pub async fn resume(&self) -> Result<Generation> {
        let session = self.session()?;
        session.resume(&self.name).await
    }

    /// Clears the account, and invalidates what providers issued to the other accounts, as
    /// [`set_credentials`](Self::set_credentials) does. Returns when AWS stops accepting the last credentials that the
    /// account has held; `None` if it accepts none of them now.
    ///
    /// The account calls no provider until something is set on it or it is [resumed](Self::resume); credentials that
    /// are set on another account do not resume it. [Narrowed](Self::narrow) sessions that have the account end. An
    /// inherited account is cleared in this session only.
    ///
    /// # Errors
    /// `NotConfigured` for an account that the session does not have, `Denied` in a narrowed session, `Closed` once the
    /// session has ended.
    pub fn clear(&self) -> Result<Option<Expiry>> {
        self.session()?.clear_account(&self.name)
    }

    /// Reports a rejected key; see [`SessionContext::mark_rejected`].
    ///
    /// Does nothing once the session has ended.
    pub fn mark_rejected(&self, rejected: &AccessKeyId) {
        if let Ok(session) = self.session() {
            session.mark_rejected(&self.name, rejected);
        }
    }

    /// Returns a watcher that reports the generation of each new version of the credentials, and their clearing.
    ///
    /// # Errors
    /// `Closed` once the session is gone.
    pub fn watch_rotations(&self) -> Result<RotationWatcher> {
        RotationWatcher::new(&self.session()?, &self.name)
    }

    /// Returns the region that the credentials, the account or the session specify; see
    /// [`SessionContext::region`].
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        self.session.upgrade()?.region_for(self.account_name())
    }

    /// Returns the region that the environment specifies: that of the environment in which the credentials were
    /// fetched, otherwise [the session's](super::SessionBuilder::environment_region).
    #[must_use]
    pub fn environment_region(&self) -> Option<Region> {
        self.session.upgrade()?.environment_region(self.account_name())
    }

    /// Returns the region to use the account in; see [`SessionContext::resolved_region`].
    ///
    /// Once the session is gone, this is `us-east-1`.
    #[must_use]
    pub fn resolved_region(&self) -> Region {
        let session = self.session.upgrade();
        session.map_or_else(Region::us_east_1, |session| session.resolved_region(self.account_name()))
    }

    /// Returns the status of the account. It holds no secrets and may be shown to any user.
    ///
    /// # Errors
    /// `Closed` once the session is gone.
    pub fn status(&self) -> Result<AccountStatus> {
        let session = self.session()?;
        let cache = session.account_cache(&self.name)?;
        Ok(AccountStatus::of(&session, &cache))
    }

    /// Returns whether the account serves nothing because it was cleared, alone or with its session, and nothing was set
    /// since, or because the session has ended.
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
        self.session().ok().is_none_or(|session| session.is_account_cleared(self.account_name()))
    }

    /// Returns whether the account was cleared or closed after it published the credentials `id`, even if other
    /// credentials followed. Copies of cleared credentials must no longer be used; copies that were only replaced may
    /// finish their work.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Credentials, SessionContext};
    /// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
    /// let session = SessionContext::builder().build();
    /// session.set_credentials(credentials.clone())?;
    /// let account = session.account(session.default_account())?;
    /// let copied = account.current().expect("credentials were set").id;
    ///
    /// session.set_credentials(credentials.clone())?;
    /// assert!(!account.was_cleared_since(copied), "only replaced");
    /// session.clear();
    /// session.set_credentials(credentials)?;
    /// assert!(!account.is_cleared(), "other credentials followed");
    /// assert!(account.was_cleared_since(copied));
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    #[must_use]
    pub fn was_cleared_since(&self, id: CredentialsVersion) -> bool {
        self.session().ok().is_none_or(|session| session.was_account_cleared_since(self.account_name(), id))
    }

    /// Creates a child of the account's session that has this account only, restricted to what `policy` allows:
    /// [`SessionContext::narrow`] for code that holds only the account. Neither the account nor the child keeps the
    /// session open.
    ///
    /// # Errors
    /// As [`SessionContext::narrow`].
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{SessionAccount, SessionPolicy};
    /// # async fn demo(account: SessionAccount) -> valetkey_core::Result<()> {
    /// let child = account.narrow(SessionPolicy::read_only(["s3"])?)?;
    /// child.credentials().await?;
    /// assert_eq!(child.accounts(), [account.account_name().clone()]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn narrow(&self, policy: SessionPolicy) -> Result<SessionContext> {
        self.session()?.narrow(&AccessScope::new().accounts([self.account_name().clone()]).policy(policy))
    }

    /// Adds an event to the session's audit log. Does nothing once the session is gone.
    pub fn audit(&self, event: AuditEvent, component: &str, failure: Option<&Error>) {
        if let Some(session) = self.session.upgrade() {
            session.record(event, &self.name, component, failure);
        }
    }

    /// Begins the audit record of a request to AWS that `component` sends with the credentials of this account.
    ///
    /// Returns `None` once the session is gone. A record that was begun is written even if the session ends meanwhile.
    #[must_use]
    pub fn begin_request(&self, component: &str) -> Option<RequestRecord> {
        let session = self.session.upgrade()?;
        Some(RequestRecord::new(Arc::clone(&session.shared), self.name.clone(), component))
    }

    /// Returns the session while it is open. Operations that serve or change credentials begin here, so that none
    /// reaches a session that has ended.
    pub(super) fn session(&self) -> Result<Arc<SessionInner>> {
        self.session.upgrade().filter(|session| !session.is_closed()).ok_or_else(error::closed)
    }

    pub(super) fn cache(&self) -> Result<Arc<AccountCache>> {
        self.session()?.account_cache(&self.name)
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
        self.session().ok()?.cached(&self.name)
    }

    /// Returns the account's provider, narrowed. The provider is looked up at each fetch.
    ///
    /// # Errors
    /// As [`SessionContext::narrow`].
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let narrowed = NarrowedAccountProvider::new(self.clone(), policy.clone(), None);
        narrowed.provider().map(|_| Arc::new(narrowed) as Arc<dyn CredentialProvider>)
    }
}

impl fmt::Debug for SessionAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionAccount").field("name", &self.name).finish_non_exhaustive()
    }
}
