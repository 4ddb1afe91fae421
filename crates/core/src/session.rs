//! `SessionContext`: the credentials of one agent invocation, passed and never fetched.

mod account;
pub(crate) mod agenda;
mod audience;
mod bounds;
mod builder;
mod cleared;
mod family;
mod faults;
mod flight;
mod freshness;
mod gate;
mod hold;
mod late;
mod narrow;
mod policy;
mod region;
mod rotation;
mod scope;
mod slot;
mod status;
mod surroundings;
pub(crate) mod warm;
mod whoami;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::audit::AuditEvent;
use crate::{
    AccessKeyId, AccountGuard, AccountName, CredentialId, CredentialProvider, Credentials, Error, Expiry,
    Principal, Region, Result, SessionId, SessionPolicy,
};

pub use account::SessionAccount;
pub use builder::SessionBuilder;
pub use family::{OutstandingAccount, OutstandingCredentials};
pub use freshness::Freshness;
pub(crate) use freshness::Issued;
pub(crate) use gate::Sentinel;
pub use narrow::{AccessScope, NarrowedSessionCache};
pub use policy::RefreshPolicy;
pub use rotation::{CredentialsVersion, CurrentCredentials, Generation, RotationWatcher};
pub use status::{AccountStatus, SessionStatus};
pub use warm::RefreshLimits;
pub use whoami::CallerIdentityCache;

use family::SessionInner;

/// The credentials of one agent invocation: isolated, in memory, and gone when it ends.
///
/// A clone is another handle to the same session; pass it to whatever acts for the same user. There is no way to
/// reach a session but through a handle. When the last handle is dropped the session closes. What a session lends
/// ([`account`](Self::account), SDK clients, endpoints) follows its rotation and clearing and keeps nothing alive.
///
/// Every method may be called from many tasks at once; futures may be dropped at any await.
#[derive(Clone)]
pub struct SessionContext(Arc<CloseOnLastDrop>);

/// Dropped with the last handle; members of the family refer to [`Member`], never to this.
struct CloseOnLastDrop(Arc<SessionInner>);

impl Drop for CloseOnLastDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl SessionContext {
    /// Describes a session to be built.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::new()
    }

    /// The current, valid set of the default account.
    ///
    /// # Errors
    /// `NotConfigured` when nothing was set and no provider is there; `Expired` when a set ran out and could not be
    /// replaced; `Closed` after [`close`](Self::set_closed); else what the provider answered.
    pub async fn credentials(&self) -> Result<Credentials> {
        self.inner().credentials().await
    }

    /// The current, valid set of one account.
    ///
    /// # Errors
    /// As [`credentials`](Self::credentials), and `NotConfigured` for an alias that the session does not know.
    pub async fn credentials_for(&self, account: &AccountName) -> Result<Credentials> {
        self.inner().credentials_for(account).await
    }

    /// Runs `read` on the set of the default account if it is fresh, without waiting. `None`, and nothing is run, when it
    /// is not, or there is none: then ask [`credentials`](Self::credentials).
    pub fn with_cached<T>(&self, read: impl FnOnce(&Credentials) -> T) -> Option<T> {
        self.inner().cached_default().as_ref().map(read)
    }

    /// The set of the default account that can be served without asking anybody, with what tells it from others; `None`
    /// when there is none. Unlike [`credentials`](Self::credentials) it never fetches, however near the end is.
    #[must_use]
    pub fn current(&self) -> Option<CurrentCredentials> {
        self.inner().current_default()
    }

    /// Gives the default account credentials, which from now on win over every provider. What providers issued to the
    /// other accounts is void, since a role may have been assumed with what was replaced: they are asked anew.
    ///
    /// # Errors
    /// `Invalid` for a set that has already expired, `Denied` in a [narrowed](Self::narrow) session and for an account
    /// that is not [allowed](SessionBuilder::allowed_accounts), `Closed` after closing; what was there before then stays.
    pub fn set_credentials(&self, credentials: Credentials) -> Result<Generation> {
        self.inner().apply_update(self.inner().default_account(), |slot| slot.set(credentials))
    }

    /// Gives one account credentials; an alias not known before becomes known.
    ///
    /// # Errors
    /// As [`set_credentials`](Self::set_credentials).
    pub fn set_credentials_for(&self, account: &AccountName, credentials: Credentials) -> Result<Generation> {
        self.inner().apply_update(&*self.inner().own_account(account)?, |slot| slot.set(credentials))
    }

    /// Lets `provider` answer for the account whenever nothing is set on it; an alias not known before becomes known.
    ///
    /// # Errors
    /// `Denied` in a [narrowed](Self::narrow) session and for an account that is not
    /// [allowed](SessionBuilder::allowed_accounts), `Closed` after closing.
    pub fn set_provider_for(
        &self,
        account: &AccountName,
        provider: impl CredentialProvider + 'static,
    ) -> Result<()> {
        self.inner()
            .apply_update(&*self.inner().own_account(account)?, |slot| slot.set_provider(Arc::new(provider)))
    }

    /// Has `guard` decide from now on what the account serves in place of credentials that are set on it, and takes its
    /// provider for the account's. Credentials that were set before are subject to it as well; a provider that follows by
    /// [`set_provider_for`](Self::set_provider_for) leaves it in place.
    ///
    /// # Errors
    /// As [`set_provider_for`](Self::set_provider_for).
    pub fn set_guard_for(&self, account: &AccountName, guard: impl AccountGuard + 'static) -> Result<()> {
        self.inner()
            .apply_update(&*self.inner().own_account(account)?, |slot| slot.set_guard(Arc::new(guard)))
    }

    /// Looks `id` up with the session's resolver and sets what it finds on the default account. A `region` given here
    /// wins over the credentials' own. If anything fails, what was set before stays.
    ///
    /// Returns the status of the account, and never the credentials that were found: an account with a
    /// [guard](crate::AccountGuard) serves others in their place.
    ///
    /// # Errors
    /// `NotConfigured` without a resolver; `Unavailable` when the session was cleared meanwhile; else what the resolver
    /// failed with, or as [`set_credentials`](Self::set_credentials).
    pub async fn set_from_resolver(
        &self,
        id: &CredentialId,
        region: Option<Region>,
    ) -> Result<AccountStatus> {
        let slot = self.inner().default_account();
        self.inner().check_writable(slot.alias())?;
        let last_clear = slot.last_clear()?;
        let found = self.inner().resolve(id).await?;
        let found = match region {
            Some(region) => found.with_region(region),
            None => found,
        };
        self.inner().apply_update(slot, |slot| slot.set_unless_cleared(last_clear, found))?;
        Ok(self.inner().account_status(slot))
    }

    /// Fetches a new set from the account's provider now, or joins the fetch under way.
    ///
    /// # Errors
    /// `NotConfigured` when the account has no provider to ask or its credentials were set by hand; else what the
    /// provider answered. The set in hand stays valid after a transient failure.
    pub async fn refresh(&self, account: &AccountName) -> Result<Generation> {
        self.inner().account_cache(account)?.refresh().await
    }

    /// Tells the session that a service refused a key as expired or invalid (`ExpiredToken`, `ExpiredTokenException`,
    /// `InvalidToken`; not `AccessDenied`). If it is still the current one, it counts as expired from now on.
    pub fn mark_rejected_for(&self, account: &AccountName, rejected: &AccessKeyId) {
        if let Ok(slot) = self.inner().account_cache(account) {
            slot.mark_rejected(rejected);
        }
    }

    /// One account, lent: it follows rotation and clearing, and does not keep the session alive.
    ///
    /// # Errors
    /// `NotConfigured` for an alias that the session does not know, `Closed` after closing.
    pub fn account(&self, alias: &AccountName) -> Result<SessionAccount> {
        self.inner()
            .account_cache(alias)
            .map(|slot| SessionAccount::new(Arc::downgrade(self.inner()), slot.alias().clone()))
    }

    /// The alias of the default account.
    #[must_use]
    pub fn default_account(&self) -> &AccountName {
        self.inner().default_account().alias()
    }

    /// The aliases that this session knows, the default one first.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountName> {
        self.inner().accounts().iter().map(|slot| slot.alias().clone()).collect()
    }

    /// Announces each new set of the account, by number, and its clearing.
    ///
    /// # Errors
    /// `NotConfigured` for an alias that the session does not know, `Closed` after closing.
    pub fn watch_rotations(&self, account: &AccountName) -> Result<RotationWatcher> {
        RotationWatcher::of(self.inner(), account)
    }

    /// Non-secret facts on the service at hand, as they were set.
    #[must_use]
    pub fn service_context(&self) -> Option<Arc<Value>> {
        self.inner().service_context()
    }

    /// Keeps facts on the service at hand, in place of those before.
    ///
    /// # Errors
    /// `Invalid` unless `facts` is a JSON object, `Closed` after closing.
    pub fn set_service_context(&self, facts: Value) -> Result<()> {
        if !facts.is_object() {
            return Err(Error::invalid("service_context", "must be a JSON object"));
        }
        self.inner().set_service_context(facts)
    }

    /// What may be shown to anyone.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        self.inner().status()
    }

    /// Identifies the session in status and audit records.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.inner().surroundings.id
    }

    /// Whom the session acts for.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.inner().surroundings.principal.as_ref()
    }

    /// Adds an event to the audit trail on behalf of a consumer, such as an endpoint that served or refused a request.
    pub fn audit(&self, event: AuditEvent, account: &AccountName, party: &str, failure: Option<&Error>) {
        self.inner().record(event, account, party, failure);
    }

    /// Wipes every credential, here and in the children, and voids every fetch in flight. The session stays usable,
    /// and asks no provider until it is given something again: nothing refills it behind the back of whoever cleared
    /// it. Calling it twice is calling it once. A [narrowed](Self::narrow) session, which can be given nothing, is closed.
    ///
    /// Answers what AWS accepts nevertheless, as [`outstanding`](Self::with_outstanding).
    pub fn clear(&self) -> OutstandingCredentials {
        self.inner().clear();
        self.outstanding()
    }

    /// Wipes everything for good. Every later use, by any handle or child, fails with `Closed`.
    ///
    /// Answers what AWS accepts nevertheless, as [`outstanding`](Self::with_outstanding).
    pub fn close(&self) -> OutstandingCredentials {
        self.close_quietly();
        self.outstanding()
    }

    /// Closes for those who do not ask what is left.
    pub(crate) fn close_quietly(&self) {
        self.inner().close();
    }

    /// Until when AWS accepts what this session and its children have held, whoever has a copy: also after a clear or
    /// the end, and also what was rotated away.
    #[must_use]
    pub fn outstanding(&self) -> OutstandingCredentials {
        self.inner().outstanding()
    }

    /// When the session ends by itself; `None` for one that does not, as most that were not [narrowed](Self::narrow).
    #[must_use]
    pub fn ends_at(&self) -> Option<Expiry> {
        self.inner().deadline().map(Expiry::At)
    }

    /// Whether the session was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner().is_closed()
    }

    /// The same without noticing that its time is up, which runs code that is not ours.
    pub(crate) fn is_closed_unchecked(&self) -> bool {
        self.0.0.is_closed_unchecked()
    }

    /// Every use comes by here, and so notices that the time of a narrowed session is up.
    #[inline]
    fn inner(&self) -> &Arc<SessionInner> {
        let _over = self.0.0.close_if_expired();
        &self.0.0
    }
}

/// A session answers as its default account, from memory when it can.
#[async_trait]
impl CredentialProvider for SessionContext {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("session")
    }

    async fn provide(&self) -> Result<Credentials> {
        self.credentials().await
    }

    fn cached(&self) -> Option<Credentials> {
        self.inner().cached_default()
    }

    /// The provider of the default account, narrowed, as [`SessionAccount`]'s.
    ///
    /// # Errors
    /// As [`narrow`](SessionContext::narrow).
    fn narrowed(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        self.account(self.default_account())?.narrowed(policy)
    }
}

impl fmt::Debug for SessionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionContext")
            .field("id", &self.id())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
