//! `narrow`: creates a child session with less authority, for a sub-agent or for one tool.

mod account;
mod by_policy;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::bounds::{NarrowState, Restrictions};
use super::family::SessionInner;
use super::{CloseOnLastDrop, SessionAccount, SessionContext};
use crate::audit::{AuditEvent, NarrowDetails};
use crate::{AccountName, Error, Expiry, Result, SessionPolicy};

pub(super) use account::NarrowedAccount;
pub use by_policy::NarrowedSessionCache;

/// Specifies how much of a session's authority a [narrowed](SessionContext::narrow) session has (default: all of it).
///
/// # Examples
/// ```
/// # use std::time::Duration;
/// # use valetkey_core::{AccountName, AccessScope, SessionPolicy};
/// let scope = AccessScope::new()
///     .accounts(["prod".parse::<AccountName>()?])
///     .policy(SessionPolicy::read_only(["s3", "logs"])?)
///     .lifetime(Duration::from_secs(15 * 60));
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[must_use]
#[derive(Debug, Clone, Default)]
pub struct AccessScope {
    accounts: Option<Vec<AccountName>>,
    policy: Option<SessionPolicy>,
    lifetime: Option<Duration>,
}

impl AccessScope {
    /// Creates a scope without restrictions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Restricts the session to these accounts. The default account stays the default if it is in the list, otherwise
    /// the first account of the list becomes the default.
    pub fn accounts(mut self, aliases: impl IntoIterator<Item = AccountName>) -> Self {
        self.accounts = Some(aliases.into_iter().collect());
        self
    }

    /// Restricts every account to what `policy` allows.
    pub fn policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Ends the session after `lifetime`, measured by the session's clock.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }
}

impl SessionContext {
    /// Creates a child session with less authority: fewer accounts, a policy on each account, a shorter lifetime.
    /// Other accounts do not exist for the child.
    ///
    /// Without a policy, the child is a view of this session: credentials that are set, refreshed or cleared here
    /// change in the child at once. With a policy, each account of the child has its own credentials, from this
    /// session's provider [scoped down](crate::CredentialProvider::scope_down) to the policy; credentials of this session
    /// never reach the child. The provider is looked up at each fetch, so replacing it here replaces it in the child.
    /// The child has the accounts that this session has now.
    ///
    /// The holder of the child can narrow it further, but cannot widen it. The child accepts no credentials and no
    /// providers, neither directly nor through a resolver: they would not be bounded by the policy although they
    /// belong to a session that is, and a resolver can look up everything that its host may use. To use other
    /// credentials, open another session.
    ///
    /// The child ends when its lifetime is over, when this session is cleared or closed, when it is cleared itself, or
    /// with its last handle. Then every use fails with `Closed`. Credentials that the child serves expire by then at
    /// the latest; AWS accepts a copy in another process for as long as it was issued.
    ///
    /// # Errors
    /// `NotConfigured` for an account that is not known, or that has neither credentials nor a provider. `Invalid`,
    /// naming the account, when a policy cannot be applied to it: its credentials were set directly (even if there is
    /// a provider, which may belong to a different identity), or its provider cannot be narrowed, or not by this
    /// policy. `Invalid` for an empty list of accounts and for a zero lifetime. `Closed` after closing.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{AccessScope, SessionContext, SessionPolicy};
    /// # async fn demo(session: SessionContext) -> valetkey_core::Result<()> {
    /// let scope = AccessScope::new().policy(SessionPolicy::read_only(["s3"])?);
    /// let child = session.narrow(scope)?;
    /// child.credentials().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn narrow(&self, scope: AccessScope) -> Result<Self> {
        self.inner().narrow(&scope)
    }
}

impl SessionAccount {
    /// Creates a child of the account's session that has this account only, restricted to what `policy` allows:
    /// [`SessionContext::narrow`] for code that holds only the account. Neither the account nor the child keeps the
    /// session open.
    ///
    /// # Errors
    /// As [`SessionContext::narrow`].
    pub fn narrow(&self, policy: SessionPolicy) -> Result<SessionContext> {
        self.session()?.narrow(&AccessScope::new().accounts([self.alias().clone()]).policy(policy))
    }
}

impl SessionInner {
    fn narrow(self: &Arc<Self>, scope: &AccessScope) -> Result<SessionContext> {
        let accounts = self.select_accounts(scope.accounts.as_deref())?;
        let until = self.deadline_for(scope.lifetime)?;
        if let Some(policy) = &scope.policy {
            accounts.iter().try_for_each(|alias| self.check_narrowable(alias, policy))?;
        }
        let child = self.create_narrowed_child(scope, &accounts, until)?;
        self.record_narrowing(&child, scope, accounts);
        Ok(SessionContext(Arc::new(CloseOnLastDrop(child))))
    }

    /// Returns the accounts that a scope selects, the default account first.
    fn select_accounts(&self, named: Option<&[AccountName]>) -> Result<Vec<AccountName>> {
        let Some(named) = named else {
            self.account_cache(self.default_account().alias())?;
            return Ok(self.accounts().iter().map(|slot| slot.alias().clone()).collect());
        };
        let mut chosen = Vec::new();
        for alias in named {
            self.account_cache(alias)?;
            if !chosen.contains(alias) {
                chosen.push(alias.clone());
            }
        }
        if chosen.is_empty() {
            return Err(Error::invalid("accounts", "must name one at least"));
        }
        chosen.sort_by_key(|alias| alias != self.default_account().alias());
        Ok(chosen)
    }

    /// Returns when a child of this lifetime ends, at the latest with this session.
    fn deadline_for(&self, lifetime: Option<Duration>) -> Result<Option<SystemTime>> {
        let fault = |rule| Error::invalid("lifetime", rule);
        let ends = |lifetime: Duration| match self.surroundings.now().checked_add(lifetime) {
            _ if lifetime.is_zero() => Err(fault("must not be zero")),
            until => until.ok_or_else(|| fault("is too long")),
        };
        let own = lifetime.map(ends).transpose()?;
        Ok(own.into_iter().chain(self.deadline()).min())
    }

    fn check_narrowable(&self, alias: &AccountName, policy: &SessionPolicy) -> Result<()> {
        let narrowed = self
            .account_cache(alias)?
            .scope_down(policy)
            .map(drop)
            .map_err(|error| with_account_context(alias, &error));
        if let Err(error) = &narrowed {
            self.record(AuditEvent::Deny, alias, "narrow", Some(error));
        }
        narrowed
    }

    fn create_narrowed_child(
        self: &Arc<Self>,
        scope: &AccessScope,
        accounts: &[AccountName],
        until: Option<SystemTime>,
    ) -> Result<Arc<Self>> {
        let [default, ..] = accounts else {
            return Err(Error::invalid("accounts", "must name one at least"));
        };
        let own_accounts = scope.policy.is_some();
        // A view of all accounts also shows accounts that are added later. With a policy, only the child's own
        // accounts may be known: others would be inherited without the policy.
        let fixed = own_accounts || scope.accounts.is_some();
        let mut child = self.new_child(default);
        let allowed = fixed.then(|| accounts.into());
        child.bounds =
            Some(Box::new(Restrictions { allowed, narrowed: Some(NarrowState { own_accounts, until }) }));
        let child = self.attach_child(child);
        if let Some(policy) = &scope.policy {
            for alias in accounts {
                let source = SessionAccount::new(Arc::downgrade(self), alias.clone());
                let slot = child.get_or_create_account(alias);
                slot.set_provider(Arc::new(NarrowedAccount::new(source, policy.clone(), until)))?;
            }
        }
        Ok(child)
    }

    fn record_narrowing(&self, child: &Self, scope: &AccessScope, accounts: Vec<AccountName>) {
        let narrowing = || NarrowDetails {
            child: child.surroundings.id,
            accounts,
            policy: scope.policy.as_ref().map(SessionPolicy::digest),
            ends_at: child.deadline().map(Expiry::At),
        };
        self.surroundings.audit(AuditEvent::Narrow, |record| record.with_narrow_details(narrowing()));
    }
}

/// Adds to `error` which account cannot be narrowed.
fn with_account_context(alias: &AccountName, error: &Error) -> Error {
    let told = Error::new(error.kind(), format!("account `{alias}` cannot be narrowed: {}", error.message()))
        .with_field(error.field().unwrap_or("account").to_owned())
        .with_next_step(error.next_step().unwrap_or("narrow other accounts only").to_owned());
    match error.provider() {
        Some(provider) => told.with_provider(provider.to_owned()),
        None => told,
    }
}
