//! `narrow`: a child session with less authority, for a sub-agent or for one tool.

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

/// How much of a session's authority a [narrowed](SessionContext::narrow) one has: all of it, but for what is said here.
#[must_use]
#[derive(Debug, Clone, Default)]
pub struct AccessScope {
    accounts: Option<Vec<AccountName>>,
    policy: Option<SessionPolicy>,
    lifetime: Option<Duration>,
}

impl AccessScope {
    /// Everything, with nothing to be added.
    pub fn new() -> Self {
        Self::default()
    }

    /// These accounts and no others. The default account is the session's if it is one of these, else the first.
    pub fn accounts(mut self, aliases: impl IntoIterator<Item = AccountName>) -> Self {
        self.accounts = Some(aliases.into_iter().collect());
        self
    }

    /// What this policy allows and no more, in every account.
    pub fn policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// For so long, by the session's clock, and no longer.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }
}

impl SessionContext {
    /// A child session with less authority: some of the accounts, less in each, a shorter life. To it, other accounts do
    /// not exist.
    ///
    /// Without a policy it is a view of this session: what is set, refreshed or withdrawn here shows there at once. With
    /// one, each account has sets of its own, from this session's provider [narrowed](crate::CredentialProvider::narrow_state)
    /// by the policy; a set of this session never reaches it. Which provider that is, is looked up at each fetch, so what
    /// is replaced here is replaced there. It has the accounts that this session has now.
    ///
    /// Whoever holds the child can narrow it further and can widen nothing. It takes no credentials and no providers,
    /// neither by hand nor through a resolver: what it was given would be bounded by nothing, under the name of a
    /// session that is, and a resolver finds whatever its host may. Whoever has credentials of their own opens a session
    /// of their own.
    ///
    /// It ends when its time is up, when this session is cleared or closed, when it is cleared itself, or with its last
    /// handle. Then every use fails with `Closed`. What it handed out is said to expire by then; a set that has left
    /// for another process is known to AWS for as long as it was issued.
    ///
    /// # Errors
    /// `NotConfigured` for an account that is not known, or has nobody to ask for credentials. `Invalid`, naming the
    /// account, when a policy cannot be put on it: its credentials were set by hand (even if a provider is there, which
    /// may be somebody else's), or its provider cannot narrow, or not by this policy. `Invalid` for no accounts and for
    /// no time. `Closed` after closing.
    pub fn narrow(&self, scope: AccessScope) -> Result<Self> {
        self.inner().narrow(&scope)
    }
}

impl SessionAccount {
    /// A child of the account's session that has this account alone, and in it what the policy allows and no more:
    /// [`SessionContext::narrow`], for whoever was lent the account and does not keep the session open. The child does
    /// not either.
    ///
    /// # Errors
    /// As there.
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

    /// The accounts that a scope leaves, the default one first.
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

    /// When a child of this lifetime ends: not after this session.
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
            .narrowed(policy)
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
        // A view of all accounts also shows those that come later. With a policy, no account but one's own may be
        // known: others would be inherited as they are.
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

/// Says which account it is that cannot be narrowed.
fn with_account_context(alias: &AccountName, error: &Error) -> Error {
    let told = Error::new(error.kind(), format!("account `{alias}` cannot be narrowed: {}", error.message()))
        .with_field(error.field().unwrap_or("account").to_owned())
        .with_next_step(error.next_step().unwrap_or("narrow other accounts only").to_owned());
    match error.provider() {
        Some(provider) => told.with_provider(provider.to_owned()),
        None => told,
    }
}
