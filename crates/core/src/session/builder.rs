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
/// # use valetkey_core::{Credentials, SessionContext, provider_fn};
/// # let fetch = async || Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build();
/// # let [provider, role] = [provider_fn("store", fetch), provider_fn("role", fetch)];
/// let session = SessionContext::builder()
///     .principal("alice".parse()?)
///     .region("eu-west-1".parse()?)
///     .provider(provider)
///     .provider_for("prod".parse()?, role)
///     .audit(Arc::new(InMemoryAudit::default()))
///     .build();
/// assert_eq!(session.accounts().len(), 2);
/// # Ok::<_, valetkey_core::Error>(())
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
    /// The id is chosen here, so that it can be used before the session is built.
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

    /// Sets the id of the session (default: a random one). For a session that another process has too, and whose records
    /// belong together.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{SessionContext, SessionId};
    /// let id = SessionId::random();
    /// assert_eq!(SessionContext::builder().session_id(id).build().id(), id);
    /// ```
    pub fn session_id(mut self, id: SessionId) -> Self {
        self.shared.id = id;
        self
    }

    /// Sets the principal that the session acts for.
    ///
    /// The host has verified it: the session passes it on to audit records and reports, and does not check it. There is
    /// none by default.
    pub fn principal(mut self, principal: Principal) -> Self {
        self.shared.principal = Some(principal);
        self
    }

    /// Sets the name of the default account (default: `default`).
    pub fn default_account(mut self, name: AccountName) -> Self {
        self.default_account = Some(name);
        self
    }

    /// Sets the provider that the default account uses while no credentials are set on it.
    pub fn provider(mut self, provider: impl IntoProvider) -> Self {
        self.provider = Some(provider.into_provider());
        self
    }

    /// Sets the provider that the account `name` uses while no credentials are set on it.
    pub fn provider_for(mut self, name: AccountName, provider: impl IntoProvider) -> Self {
        self.accounts.push((name, provider.into_provider()));
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

    /// Sets the key exchange of the account `name`, as [`exchange_static_keys`](Self::exchange_static_keys) does for
    /// the default account.
    pub fn exchange_static_keys_for(
        mut self,
        name: AccountName,
        exchange: impl KeyExchange + 'static,
    ) -> Self {
        self.exchanges.push((name, Arc::new(exchange)));
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
    ///
    /// It is separate from [`region`](Self::region) since it is weaker: a region that credentials bring from the
    /// environment in which they were fetched takes precedence over it.
    pub fn environment_region(mut self, region: Region) -> Self {
        self.shared.config_mut().environment_region = Some(region);
        self
    }

    /// Sets the region of one account, for credentials that specify no region.
    pub fn region_for(mut self, name: AccountName, region: Region) -> Self {
        self.regions.push((name, region));
        self
    }

    /// Sets the resolver that looks up credentials by credential id for this session.
    ///
    /// Without a resolver, such lookups fail with `NotConfigured`.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{CredentialId, Credentials, MapResolver, SessionContext};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> valetkey_core::Result<()> {
    /// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
    /// let id: CredentialId = "deploy".parse()?;
    /// let resolver = MapResolver::new().with(id.clone(), credentials);
    /// let session = SessionContext::builder().resolver(resolver).build();
    /// let status = session.set_from_resolver(&id, None).await?;
    /// assert_eq!(status.key_suffix.as_deref(), Some("MPLE"));
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// By default, the rules are those of [`RefreshPolicy::default`].
    pub fn refresh_policy(mut self, policy: RefreshPolicy) -> Self {
        self.shared.config_mut().policy = policy;
        self
    }

    /// Restricts this session and its children to these accounts (default: no restriction). Providers of other
    /// accounts are ignored, and credentials for them are refused with `Denied`. If the default account is not in the
    /// list, the first account of the list becomes the default.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{AccountName, Credentials, ErrorKind, SessionContext};
    /// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
    /// let [prod, test] = ["prod", "test"].map(|name| name.parse::<AccountName>());
    /// let session = SessionContext::builder().allowed_accounts([prod?]).build();
    /// assert_eq!(session.default_account().as_str(), "prod");
    ///
    /// let refused = session.for_account(&test?).set_credentials(credentials);
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::Denied);
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn allowed_accounts(mut self, names: impl IntoIterator<Item = AccountName>) -> Self {
        self.allowed = Some(names.into_iter().collect());
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
            let default = inner.default_account().name();
            let _allowed = inner.own_account(default).and_then(|cache| cache.set_key_exchange(exchange));
        }
        for (name, exchange) in self.exchanges {
            let _allowed = inner.own_account(&name).and_then(|cache| cache.set_key_exchange(exchange));
        }
        if let Some(provider) = self.provider {
            let _allowed = inner.set_default_provider(provider);
        }
        for (name, provider) in self.accounts {
            let _allowed = inner.own_account(&name).and_then(|cache| cache.set_provider(provider));
        }
        for (name, region) in self.regions {
            let _allowed = inner.own_account(&name).map(|cache| cache.set_region(region));
        }
        context
    }
}
