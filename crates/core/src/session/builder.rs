//! `SessionBuilder`: configures a session.

use std::sync::Arc;

use super::inner::SessionInner;
use super::narrow::Restrictions;
use super::shared::SessionShared;
use super::{CloseOnLastDrop, SessionContext};
use crate::audit::AuditSink;
use crate::cache::RefreshPolicy;
use crate::clock::ClockSource;
use crate::{
    AccountName, Clock, CredentialObservers, CredentialProvider, CredentialResolver, IntoProvider,
    IntoResolver, KeyExchange, Principal, Region, SessionId,
};

/// Configures a new session. Created by [`SessionContext::builder`]. The builder performs no I/O and calls no
/// provider.
///
/// # Examples
/// ```
/// # use std::sync::Arc;
/// # use valetkey_core::audit::InMemoryAudit;
/// # use valetkey_core::{IntoProvider, SessionContext};
/// # fn demo(
/// #     provider: impl IntoProvider,
/// #     role: impl IntoProvider,
/// # ) -> valetkey_core::Result<()> {
/// let session = SessionContext::builder()
///     .principal("alice".parse()?)
///     .region("eu-west-1".parse()?)
///     .provider(provider)
///     .provider_for("prod".parse()?, role)
///     .audit(Arc::new(InMemoryAudit::default()))
///     .build();
/// assert_eq!(session.accounts().len(), 2);
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Debug)]
pub struct SessionBuilder {
    shared: SessionShared,
    default_account: Option<AccountName>,
    region: Option<Region>,
    resolver: Option<Arc<dyn CredentialResolver>>,
    provider: Option<Arc<dyn CredentialProvider>>,
    accounts: Vec<(AccountName, Arc<dyn CredentialProvider>)>,
    exchange: Option<Arc<dyn KeyExchange>>,
    exchanges: Vec<(AccountName, Arc<dyn KeyExchange>)>,
    regions: Vec<(AccountName, Region)>,
    allowed: Option<Vec<AccountName>>,
}

impl SessionBuilder {
    pub(super) fn new() -> Self {
        Self {
            shared: SessionShared::new(),
            default_account: None,
            region: None,
            resolver: None,
            provider: None,
            accounts: Vec::new(),
            exchange: None,
            exchanges: Vec::new(),
            regions: Vec::new(),
            allowed: None,
        }
    }

    /// Returns the id that the session will have, for names that must refer to the session before it is built.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.shared.id
    }

    /// Sets the principal that the session acts for.
    pub fn principal(mut self, principal: Principal) -> Self {
        self.shared.principal = Some(principal);
        self
    }

    /// Sets the alias of the default account (default: `default`).
    pub fn default_account(mut self, alias: AccountName) -> Self {
        self.default_account = Some(alias);
        self
    }

    /// Sets the provider that the default account uses while no credentials are set on it.
    pub fn provider(mut self, provider: impl IntoProvider) -> Self {
        self.provider = Some(provider.into_provider());
        self
    }

    /// Sets the provider that the account `alias` uses while no credentials are set on it.
    pub fn provider_for(mut self, alias: AccountName, provider: impl IntoProvider) -> Self {
        self.accounts.push((alias, provider.into_provider()));
        self
    }

    /// Sets the key exchange, which decides what the default account serves in place of credentials that are set on
    /// it: static keys are exchanged for temporary ones and never served. The provider of the exchange becomes the
    /// account's provider, unless [`provider`](Self::provider) sets another, such as a
    /// decorator of it.
    pub fn exchange_static_keys(mut self, exchange: impl KeyExchange + 'static) -> Self {
        self.exchange = Some(Arc::new(exchange));
        self
    }

    /// Sets the key exchange of the account `alias`, as [`exchange_static_keys`](Self::exchange_static_keys) does for
    /// the default account.
    pub fn exchange_static_keys_for(
        mut self,
        alias: AccountName,
        exchange: impl KeyExchange + 'static,
    ) -> Self {
        self.exchanges.push((alias, Arc::new(exchange)));
        self
    }

    /// Sets the region of every account that has no region of its own.
    pub fn region(mut self, region: Region) -> Self {
        self.region = Some(region);
        self
    }

    /// Sets the region that the host's environment specifies, such as `AWS_REGION`. It applies to accounts for which
    /// neither the credentials nor the account nor the session specify a region. This crate reads no environment
    /// variables.
    pub fn environment_region(mut self, region: Region) -> Self {
        self.shared.config_mut().environment_region = Some(region);
        self
    }

    /// Sets the region of one account, for credentials that specify no region.
    pub fn region_for(mut self, alias: AccountName, region: Region) -> Self {
        self.regions.push((alias, region));
        self
    }

    /// Sets the resolver that looks up credentials by credential id for this session.
    pub fn resolver(mut self, resolver: impl IntoResolver) -> Self {
        self.resolver = Some(resolver.into_resolver());
        self
    }

    /// Sets the sink for audit records (default: none, records are dropped).
    pub fn audit(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.shared.config_mut().audit = Some(sink);
        self
    }

    /// Sets the observers that are notified of all credentials of the session, to share them with providers that are
    /// created before it (default: observers of its own). See [`SessionContext::observe`].
    pub fn observers(mut self, observers: &CredentialObservers) -> Self {
        self.shared.set_observers(observers);
        self
    }

    /// Sets the source of wall time (default: the system clock).
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.shared.config_mut().clock = ClockSource::custom(clock);
        self
    }

    /// Sets the refresh rules.
    pub fn refresh_policy(mut self, policy: RefreshPolicy) -> Self {
        self.shared.config_mut().policy = policy;
        self
    }

    /// Restricts this session and its children to these accounts (default: no restriction). Providers of other
    /// accounts are ignored, and credentials for them are refused with `Denied`. If the default account is not in the
    /// list, the first account of the list becomes the default.
    pub fn allowed_accounts(mut self, aliases: impl IntoIterator<Item = AccountName>) -> Self {
        self.allowed = Some(aliases.into_iter().collect());
        self
    }

    /// Builds the session. It performs no work until credentials are requested.
    #[must_use]
    pub fn build(self) -> SessionContext {
        let default = self.default_account.unwrap_or_else(AccountName::default_account);
        let misfit = self.allowed.as_ref().filter(|allowed| !allowed.contains(&default));
        let default = misfit.and_then(|allowed| allowed.first().cloned()).unwrap_or(default);
        let mut inner = SessionInner::new(self.shared, default, self.region, self.resolver);
        inner.restrictions = self
            .allowed
            .map(|allowed| Box::new(Restrictions { allowed: Some(allowed.into()), narrowed: None }));
        let context = SessionContext(Arc::new(CloseOnLastDrop(Arc::new(inner))));
        let inner = context.inner();
        // Accounts that are not allowed are skipped. No other error is possible here: the session is open and not
        // shared yet.
        if let Some(exchange) = self.exchange {
            let default = inner.default_account().alias();
            let _allowed = inner.own_account(default).and_then(|cache| cache.set_key_exchange(exchange));
        }
        for (alias, exchange) in self.exchanges {
            let _allowed = inner.own_account(&alias).and_then(|cache| cache.set_key_exchange(exchange));
        }
        if let Some(provider) = self.provider {
            let _allowed = inner.set_default_provider(provider);
        }
        for (alias, provider) in self.accounts {
            let _allowed = inner.own_account(&alias).and_then(|cache| cache.set_provider(provider));
        }
        for (alias, region) in self.regions {
            let _allowed = inner.own_account(&alias).map(|cache| cache.set_region(region));
        }
        context
    }
}
