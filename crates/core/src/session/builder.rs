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
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionContext;
    /// let builder = SessionContext::builder();
    /// // A name that refers to the session, such as that of a role session.
    /// let name = format!("agent-{}", builder.id().compact());
    /// let session = builder.build();
    /// assert_eq!(name, format!("agent-{}", session.id().compact()));
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.shared.id
    }

    /// Sets the principal that the session acts for.
    ///
    /// The host has verified it: the session passes it on to audit records and reports, and does not check it. There is
    /// none by default.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionContext;
    /// let session = SessionContext::builder().principal("alice@example.com".parse()?).build();
    /// assert_eq!(session.status().principal, Some("alice@example.com".parse()?));
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn principal(mut self, principal: Principal) -> Self {
        self.shared.principal = Some(principal);
        self
    }

    /// Sets the alias of the default account (default: `default`).
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionContext;
    /// let session = SessionContext::builder().default_account("prod".parse()?).build();
    /// assert_eq!(session.default_account().as_str(), "prod");
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn default_account(mut self, alias: AccountName) -> Self {
        self.default_account = Some(alias);
        self
    }

    /// Sets the provider that the default account uses while no credentials are set on it.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Credentials, SessionContext, provider_fn};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> valetkey_core::Result<()> {
    /// let store = provider_fn("store", async || {
    ///     Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()
    /// });
    /// let session = SessionContext::builder().provider(store).build();
    /// assert_eq!(session.credentials().await?.access_key_id().last_four(), "MPLE");
    /// # Ok(())
    /// # }
    /// ```
    pub fn provider(mut self, provider: impl IntoProvider) -> Self {
        self.provider = Some(provider.into_provider());
        self
    }

    /// Sets the provider that the account `alias` uses while no credentials are set on it.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{AccountName, IntoProvider, SessionContext};
    /// # async fn demo(role: impl IntoProvider) -> valetkey_core::Result<()> {
    /// let prod: AccountName = "prod".parse()?;
    /// let session = SessionContext::builder().provider_for(prod.clone(), role).build();
    /// session.account(&prod)?.credentials().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn provider_for(mut self, alias: AccountName, provider: impl IntoProvider) -> Self {
        self.accounts.push((alias, provider.into_provider()));
        self
    }

    /// Sets the key exchange, which decides what the default account serves in place of credentials that are set on
    /// it: static keys are exchanged for temporary ones and never served. The provider of the exchange becomes the
    /// account's provider, unless [`provider`](Self::provider) sets another, such as a
    /// decorator of it.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Credentials, KeyExchange, SessionContext};
    /// # async fn demo(exchange: impl KeyExchange + 'static, keys: Credentials) -> valetkey_core::Result<()> {
    /// let session = SessionContext::builder().exchange_static_keys(exchange).build();
    /// session.set_credentials(keys)?;
    /// assert!(session.credentials().await?.has_session_token());
    /// # Ok(())
    /// # }
    /// ```
    pub fn exchange_static_keys(mut self, exchange: impl KeyExchange + 'static) -> Self {
        self.exchange = Some(Arc::new(exchange));
        self
    }

    /// Sets the key exchange of the account `alias`, as [`exchange_static_keys`](Self::exchange_static_keys) does for
    /// the default account.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{AccountName, KeyExchange, SessionContext};
    /// # fn demo(exchange: impl KeyExchange + 'static) -> valetkey_core::Result<()> {
    /// let prod: AccountName = "prod".parse()?;
    /// let session = SessionContext::builder().exchange_static_keys_for(prod.clone(), exchange).build();
    /// assert!(session.accounts().contains(&prod));
    /// # Ok(())
    /// # }
    /// ```
    pub fn exchange_static_keys_for(
        mut self,
        alias: AccountName,
        exchange: impl KeyExchange + 'static,
    ) -> Self {
        self.exchanges.push((alias, Arc::new(exchange)));
        self
    }

    /// Sets the region of every account that has no region of its own.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionContext;
    /// let session = SessionContext::builder().region("eu-west-1".parse()?).build();
    /// assert_eq!(session.region(), Some("eu-west-1".parse()?));
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
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
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionContext;
    /// let builder = SessionContext::builder().environment_region("eu-west-1".parse()?);
    /// assert_eq!(builder.build().resolved_region(), "eu-west-1".parse()?);
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn environment_region(mut self, region: Region) -> Self {
        self.shared.config_mut().environment_region = Some(region);
        self
    }

    /// Sets the region of one account, for credentials that specify no region.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{AccountName, SessionContext};
    /// let prod: AccountName = "prod".parse()?;
    /// let session = SessionContext::builder().region_for(prod.clone(), "eu-west-1".parse()?).build();
    /// assert_eq!(session.account(&prod)?.region(), Some("eu-west-1".parse()?));
    /// assert_eq!(session.region(), None);
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn region_for(mut self, alias: AccountName, region: Region) -> Self {
        self.regions.push((alias, region));
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
    ///
    /// # Examples
    /// ```
    /// # use std::sync::Arc;
    /// # use valetkey_core::{Credentials, SessionContext};
    /// # use valetkey_core::audit::{AuditEvent, InMemoryAudit};
    /// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
    /// let log = Arc::new(InMemoryAudit::default());
    /// let session = SessionContext::builder().audit(log.clone()).build();
    /// session.set_credentials(credentials)?;
    /// session.close();
    /// let events: Vec<_> = log.records().iter().map(|record| record.event).collect();
    /// assert_eq!(events, [AuditEvent::Set, AuditEvent::Close]);
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn audit(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.shared.config_mut().audit = Some(sink);
        self
    }

    /// Sets the observers that are notified of all credentials of the session, to share them with providers that are
    /// created before it (default: observers of its own). See [`SessionContext::observe`].
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{CredentialObservers, IntoProvider, ObservedProvider, SessionContext};
    /// # fn demo(source: impl IntoProvider, role: impl Fn(ObservedProvider) -> ObservedProvider) {
    /// let observers = CredentialObservers::new();
    /// // The keys that a role is assumed with are served by no account, and are observed nevertheless.
    /// let source = ObservedProvider::new(source, &observers);
    /// let session = SessionContext::builder().observers(&observers).provider(role(source)).build();
    /// # }
    /// ```
    pub fn observers(mut self, observers: &CredentialObservers) -> Self {
        self.shared.set_observers(observers);
        self
    }

    /// Sets the source of wall time (default: the system clock).
    ///
    /// # Examples
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use valetkey_core::testing::ManualClock;
    /// # use valetkey_core::{AccessScope, SessionContext};
    /// let clock = ManualClock::new();
    /// let session = SessionContext::builder().clock(Arc::new(clock.clone())).build();
    /// let child = session.narrow(AccessScope::new().lifetime(Duration::from_secs(60)))?;
    /// clock.advance(Duration::from_secs(60));
    /// assert!(child.is_closed());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.shared.config_mut().clock = ClockSource::custom(clock);
        self
    }

    /// Sets the refresh rules.
    ///
    /// By default, the rules are those of [`RefreshPolicy::default`].
    ///
    /// # Examples
    /// ```
    /// # use std::time::Duration;
    /// # use valetkey_core::{RefreshPolicy, SessionContext};
    /// // A source that prompts a person for a code.
    /// let policy = RefreshPolicy::default().load_timeout(Duration::from_secs(120));
    /// let session = SessionContext::builder().refresh_policy(policy).build();
    /// assert!(!session.is_closed());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
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
    pub fn allowed_accounts(mut self, aliases: impl IntoIterator<Item = AccountName>) -> Self {
        self.allowed = Some(aliases.into_iter().collect());
        self
    }

    /// Builds the session. It performs no work until credentials are requested.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionContext;
    /// let session = SessionContext::builder().build();
    /// assert!(session.current().is_none());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
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
