//! `SessionBuilder`: what a session is handed at birth.

use std::sync::Arc;

use super::bounds::Restrictions;
use super::family::SessionInner;
use super::surroundings::SessionShared;
use super::{CloseOnLastDrop, RefreshPolicy, SessionContext};
use crate::audit::AuditSink;
use crate::clock::ClockSource;
use crate::{
    AccountGuard, AccountName, Clock, CredentialObservers, CredentialProvider, CredentialResolver,
    Credentials, Principal, Region, Result, SessionId,
};

/// Describes a session; made by [`SessionContext::builder`]. Nothing here does any work.
#[must_use]
#[derive(Debug)]
pub struct SessionBuilder {
    surroundings: SessionShared,
    default_account: Option<AccountName>,
    region: Option<Region>,
    resolver: Option<Arc<dyn CredentialResolver>>,
    provider: Option<Arc<dyn CredentialProvider>>,
    accounts: Vec<(AccountName, Arc<dyn CredentialProvider>)>,
    guard: Option<Arc<dyn AccountGuard>>,
    guards: Vec<(AccountName, Arc<dyn AccountGuard>)>,
    regions: Vec<(AccountName, Region)>,
    allowed: Option<Vec<AccountName>>,
}

impl SessionBuilder {
    pub(super) fn new() -> Self {
        Self {
            surroundings: SessionShared::new(),
            default_account: None,
            region: None,
            resolver: None,
            provider: None,
            accounts: Vec::new(),
            guard: None,
            guards: Vec::new(),
            regions: Vec::new(),
            allowed: None,
        }
    }

    /// The id that the session will have: known before it is built, for names that are to lead back to it.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.surroundings.id
    }

    /// Whom the session acts for.
    pub fn principal(mut self, principal: Principal) -> Self {
        self.surroundings.principal = Some(principal);
        self
    }

    /// The alias of the default account; `default` unless said.
    pub fn default_account(mut self, alias: AccountName) -> Self {
        self.default_account = Some(alias);
        self
    }

    /// Who answers for the default account whenever nothing is set on it.
    pub fn provider(mut self, provider: impl CredentialProvider + 'static) -> Self {
        self.provider = Some(Arc::new(provider));
        self
    }

    /// Who answers for the account of this alias whenever nothing is set on it.
    pub fn provider_for(mut self, alias: AccountName, provider: impl CredentialProvider + 'static) -> Self {
        self.accounts.push((alias, Arc::new(provider)));
        self
    }

    /// Has `guard` decide what the default account serves in place of credentials that are set on it. Its provider is the
    /// account's, unless [`provider`](Self::provider) gives another, such as a decorator of it.
    pub fn guard(mut self, guard: impl AccountGuard + 'static) -> Self {
        self.guard = Some(Arc::new(guard));
        self
    }

    /// The same for the account of this alias.
    pub fn guard_for(mut self, alias: AccountName, guard: impl AccountGuard + 'static) -> Self {
        self.guards.push((alias, Arc::new(guard)));
        self
    }

    /// The region of every account that has none of its own.
    pub fn region(mut self, region: Region) -> Self {
        self.region = Some(region);
        self
    }

    /// The region that the host's environment names, such as `AWS_REGION`: used for accounts whose credentials, account
    /// and session name none. Core reads no environment itself.
    pub fn environment_region(mut self, region: Region) -> Self {
        self.surroundings.config_mut().environment_region = Some(region);
        self
    }

    /// The region of one account, for credentials that bring none.
    pub fn region_for(mut self, alias: AccountName, region: Region) -> Self {
        self.regions.push((alias, region));
        self
    }

    /// Who turns credential ids into credentials for this session.
    pub fn resolver(mut self, resolver: impl CredentialResolver + 'static) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Where the audit records go; nowhere unless said.
    pub fn audit(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.surroundings.config_mut().audit = Some(sink);
        self
    }

    /// The observers that learn of all credentials of the session, shared with providers that are made before it. Each
    /// session has its own by default; see [`SessionContext::observe`].
    pub fn observers(mut self, observers: &CredentialObservers) -> Self {
        self.surroundings.set_observers(observers);
        self
    }

    /// Where wall time comes from; the machine unless said.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.surroundings.config_mut().clock = ClockSource::custom(clock);
        self
    }

    /// The refresh rules.
    pub fn refresh_policy(mut self, policy: RefreshPolicy) -> Self {
        self.surroundings.config_mut().policy = policy;
        self
    }

    /// The only accounts that there may be, in this session and its children; any, unless said. Providers of others are
    /// left out, and credentials for others are refused with `Denied`. If the default account is none of these, the
    /// first of them is the default.
    pub fn allowed_accounts(mut self, aliases: impl IntoIterator<Item = AccountName>) -> Self {
        self.allowed = Some(aliases.into_iter().collect());
        self
    }

    /// The session. It does nothing until asked for credentials.
    #[must_use]
    pub fn build(self) -> SessionContext {
        let default = self.default_account.unwrap_or_else(AccountName::default_account);
        let misfit = self.allowed.as_ref().filter(|allowed| !allowed.contains(&default));
        let default = misfit.and_then(|allowed| allowed.first().cloned()).unwrap_or(default);
        let mut member = SessionInner::new(self.surroundings, default, self.region, self.resolver);
        member.bounds = self
            .allowed
            .map(|allowed| Box::new(Restrictions { allowed: Some(allowed.into()), narrowed: None }));
        let context = SessionContext(Arc::new(CloseOnLastDrop(Arc::new(member))));
        let member = context.inner();
        // What is not allowed is left out. Nothing else can fail: the session is open and nobody else holds it yet.
        if let Some(guard) = self.guard {
            let default = member.default_account().alias();
            let _allowed = member.own_account(default).and_then(|slot| slot.set_guard(guard));
        }
        for (alias, guard) in self.guards {
            let _allowed = member.own_account(&alias).and_then(|slot| slot.set_guard(guard));
        }
        if let Some(provider) = self.provider {
            let _allowed = member.set_default_provider(provider);
        }
        for (alias, provider) in self.accounts {
            let _allowed = member.own_account(&alias).and_then(|slot| slot.set_provider(provider));
        }
        for (alias, region) in self.regions {
            let _allowed = member.own_account(&alias).map(|slot| slot.set_region(region));
        }
        context
    }
}

impl SessionContext {
    /// A child session whose default account holds `credentials`: the temporary switch, without mutating anything
    /// that siblings see. The other accounts are inherited. It ends with its last handle, or with this session.
    ///
    /// # Errors
    /// As [`set_credentials`](Self::set_credentials).
    pub fn with_credentials(&self, credentials: Credentials) -> Result<Self> {
        let child = Self(Arc::new(CloseOnLastDrop(self.inner().child()?)));
        child.set_credentials(credentials)?;
        Ok(child)
    }

    /// A child session whose default account is answered by `provider`, as [`with_credentials`](Self::with_credentials).
    ///
    /// # Errors
    /// `Denied` in a [narrowed](Self::narrow) session, `Closed` after closing.
    pub fn with_provider(&self, provider: impl CredentialProvider + 'static) -> Result<Self> {
        let child = Self(Arc::new(CloseOnLastDrop(self.inner().child()?)));
        child.inner().set_default_provider(Arc::new(provider))?;
        Ok(child)
    }
}
