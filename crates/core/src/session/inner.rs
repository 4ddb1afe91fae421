//! `SessionInner`: one session behind its handles: its accounts, and the session that it inherits others from.

mod accounts;
mod narrow;
mod tree;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::sync::watch;

use super::error;
use super::narrow::Restrictions;
use super::shared::SessionShared;
use crate::audit::{AuditEvent, AuditRecord};
use crate::cache::{AccountCache, ClearKind, LazyArcSwap, LazyWatch};
use crate::{
    AccountName, CredentialId, CredentialProvider, CredentialResolver, Credentials, Error, Region, Result,
};

/// One session. A child holds a strong reference to its parent, and the parent a weak one to the child: a child does
/// not keep a parent's session open, and ends with it.
///
/// Invariants:
///
/// - Each account name is served by one cache at a time: the session's own if it has one, otherwise that of the
///   nearest ancestor. A [read-only](Self::is_read_only) session does not use its own.
/// - `detached` and `closed` only change from false to true.
/// - The lock of the topology is taken before that of a cache, and no provider, observer or audit sink is called
///   while either is held.
/// - A clear or a close reaches a session before its children.
pub(super) struct SessionInner {
    pub(super) shared: Arc<SessionShared>,
    default: Arc<AccountCache>,
    others: LazyArcSwap<BTreeMap<AccountName, Arc<AccountCache>>>,
    pub(super) region: Option<Box<Region>>,
    resolver: Option<Arc<dyn CredentialResolver>>,
    service: LazyArcSwap<Value>,
    /// `None` for most sessions.
    pub(super) restrictions: Option<Box<Restrictions>>,
    pub(super) parent: Option<Arc<SessionInner>>,
    children: Mutex<Vec<Weak<SessionInner>>>,
    /// Set by a clear: from then on the session inherits nothing.
    detached: AtomicBool,
    closed: AtomicBool,
    /// Serializes creating, suspending and resuming accounts. Subscribers are notified when the session creates an
    /// account of its own, when inheritance ends, and on close.
    topology: Mutex<LazyWatch<()>>,
}

impl SessionInner {
    /// Creates a session without a parent, with an empty default account.
    pub(super) fn new(
        shared: SessionShared,
        default: AccountName,
        region: Option<Region>,
        resolver: Option<Arc<dyn CredentialResolver>>,
    ) -> Self {
        let shared = Arc::new(shared);
        Self {
            default: Arc::new(AccountCache::new(default, Arc::clone(&shared))),
            shared,
            others: LazyArcSwap::default(),
            region: region.map(Box::new),
            resolver,
            service: LazyArcSwap::default(),
            restrictions: None,
            parent: None,
            children: Mutex::default(),
            detached: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            topology: Mutex::default(),
        }
    }

    /// Returns the cache of the default account. In a read-only session it is empty, and only its name counts.
    pub(super) fn default_account(&self) -> &Arc<AccountCache> {
        &self.default
    }

    /// Returns the cache that serves `name`: the session's own, otherwise the parent's.
    ///
    /// # Errors
    /// `Closed` after closing; `NotConfigured` for an account that this session does not see.
    pub(super) fn account_cache(&self, name: &AccountName) -> Result<Arc<AccountCache>> {
        if self.is_closed() {
            return Err(error::closed());
        }
        self.find_account(name).ok_or_else(|| self.unknown_account_error())
    }

    /// Returns the cache that serves `name`, if this session sees it, without checking whether the session is
    /// closed.
    pub(super) fn find_account(&self, name: &AccountName) -> Option<Arc<AccountCache>> {
        let found = || self.find_own_account(name).or_else(|| self.inherited_parent()?.find_account(name));
        if self.is_visible(name) { found() } else { None }
    }

    /// Returns whether `name` is within the bounds of this session. The parent checks its own bounds.
    fn is_visible(&self, name: &AccountName) -> bool {
        self.allowed_accounts().is_none_or(|allowed| allowed.contains(name))
    }

    /// Checks whether credentials or a provider may be set on the account here.
    ///
    /// # Errors
    /// `Closed` after closing; `Denied` in a narrowed session, and for an account that is not allowed here or in an
    /// ancestor.
    pub(super) fn check_writable(&self, name: &AccountName) -> Result<()> {
        match self.allow_list() {
            _ if self.is_closed() => Err(error::closed()),
            _ if self.narrow_state().is_some() => Err(error::narrowed()),
            Some(allowed) if !allowed.contains(name) => Err(error::not_allowed(allowed)),
            _ => Ok(()),
        }
    }

    /// Returns the accounts that are allowed here; a session without a list has that of its nearest ancestor with
    /// one.
    fn allow_list(&self) -> Option<&[AccountName]> {
        self.allowed_accounts().or_else(|| self.parent.as_ref()?.allow_list())
    }

    /// Returns the session's own cache for `name`, and creates it if necessary. The parent never sees what is set on
    /// it.
    ///
    /// # Errors
    /// As [`check_writable`](Self::check_writable).
    pub(super) fn own_account(&self, name: &AccountName) -> Result<Arc<AccountCache>> {
        self.check_writable(name)?;
        Ok(self.get_or_create_account(name))
    }

    /// Does not check whether the account may be created. If the session was closed meanwhile, the new cache is
    /// closed as well, so a late caller cannot store credentials in a session that has ended.
    pub(super) fn get_or_create_account(&self, name: &AccountName) -> Arc<AccountCache> {
        if let Some(own) = self.find_own_account(name) {
            return own;
        }
        let mut topology = self.topology_lock();
        let mut others = self.others.load().as_deref().cloned().unwrap_or_default();
        let made = || self.new_account(name);
        let own = Arc::clone(others.entry(name.clone()).or_insert_with(made));
        self.others.store(Some(Arc::new(others)));
        topology.notify(());
        drop(topology);
        if self.is_closed() {
            // A new cache has no provider that would have to forget anything.
            let _none = own.clear(ClearKind::Permanently);
        }
        own
    }

    /// Creates a cache. In a session that was cleared, it begins cleared, as the other caches are.
    pub(super) fn new_account(&self, name: &AccountName) -> Arc<AccountCache> {
        let cache = Arc::new(AccountCache::new(name.clone(), Arc::clone(&self.shared)));
        if self.is_detached() {
            cache.init_cleared(self.default_account().is_suspended());
        }
        cache
    }

    /// Sets something on an account, and invalidates what the providers of the others issued, unless a clear came in
    /// between.
    ///
    /// `apply` may run user code, so it runs outside the lock of the topology. Reading the last clear before and
    /// after it shows whether a clear came in between; the other accounts then stay cleared.
    ///
    /// # Errors
    /// As [`check_writable`](Self::check_writable), and the error of `apply`.
    pub(super) fn apply_update<T>(
        &self,
        cache: &AccountCache,
        apply: impl FnOnce(&AccountCache) -> Result<T>,
    ) -> Result<T> {
        self.check_writable(cache.name())?;
        let last_clear = cache.last_clear()?;
        let output = apply(cache)?;
        let _topology = self.topology_lock();
        if cache.last_clear()? == last_clear {
            self.own_accounts().iter().for_each(|cache| cache.resume_with_session());
            self.invalidate_others(cache);
        }
        Ok(output)
    }

    /// Subscribes to changes of the cache that serves an account.
    ///
    /// The end of inheritance is reported as well. The channel ends with the session.
    pub(super) fn subscribe_topology(&self) -> watch::Receiver<()> {
        self.topology_lock().subscribe(())
    }

    /// Returns every cache that this session may use, the default one first.
    pub(super) fn accounts(&self) -> Vec<Arc<AccountCache>> {
        let mut caches = if self.is_read_only() { Vec::new() } else { self.own_accounts() };
        for inherited in self.inherited_parent().map(|parent| parent.accounts()).unwrap_or_default() {
            if caches.iter().all(|cache| cache.name() != inherited.name()) {
                caches.push(inherited);
            }
        }
        caches.retain(|cache| self.is_visible(cache.name()));
        caches.sort_by_key(|cache| cache.name() != self.default.name());
        caches
    }

    /// Returns the caches of the session itself, the default one first, including those of a read-only session,
    /// which are empty.
    pub(super) fn own_accounts(&self) -> Vec<Arc<AccountCache>> {
        let mut caches = vec![Arc::clone(&self.default)];
        caches.extend(self.others.load().iter().flat_map(|others| others.values().cloned()));
        caches
    }

    /// Looks up credentials. A failure is recorded in the audit log, since a caller may be probing for ids; found
    /// credentials are reported to the observers even if they are then not set.
    ///
    /// # Errors
    /// `NotConfigured` without a resolver; otherwise the error of the resolver, with its name.
    pub(super) async fn resolve(&self, id: &CredentialId) -> Result<Credentials> {
        let Some(resolver) = &self.resolver else {
            return Err(Error::not_configured("this session has no credential resolver")
                .with_next_step("configure a resolver, or set the credentials themselves"));
        };
        let result = resolver.resolve(id).await.map_err(|error| error.with_provider(resolver.name()));
        match &result {
            Ok(found) => self.shared.report(found),
            Err(error) => self.record(AuditEvent::Deny, self.default.name(), &resolver.name(), Some(error)),
        }
        result
    }

    /// Returns the facts that were stored here, otherwise those of the parent.
    pub(super) fn service_context(&self) -> Option<Arc<Value>> {
        self.service.load_full().or_else(|| self.inherited_parent()?.service_context())
    }

    /// Stored under the lock of the topology, so that a concurrent clear removes them or comes first. The check
    /// afterwards covers a concurrent close.
    ///
    /// # Errors
    /// `Closed` after closing.
    pub(super) fn set_service_context(&self, facts: Value) -> Result<()> {
        let topology = self.topology_lock();
        self.service.store(Some(Arc::new(facts)));
        drop(topology);
        if self.is_closed() {
            self.service.store(None);
            return Err(error::closed());
        }
        Ok(())
    }

    /// Sets the provider without invalidating what other accounts hold: for a session that no other code has seen
    /// yet.
    ///
    /// # Errors
    /// As [`check_writable`](Self::check_writable).
    pub(super) fn set_default_provider(&self, provider: Arc<dyn CredentialProvider>) -> Result<()> {
        self.check_writable(self.default.name())?;
        self.default.set_provider(provider)
    }

    /// Adds a record about an account, with the version and key suffix of what it holds now.
    pub(super) fn record(
        &self,
        event: AuditEvent,
        account: &AccountName,
        component: &str,
        failure: Option<&Error>,
    ) {
        self.shared.audit(event, |record| {
            let mut record = record.account(account).with_component(component);
            if let Some(current) = self.account_cache(account).ok().and_then(|cache| cache.current()) {
                record = record.credentials(&current).with_generation(current.metadata().id.generation());
            }
            failure.into_iter().fold(record, AuditRecord::with_failure)
        });
    }

    /// Returns whether the session was closed, without looking at its deadline. Runs no user code.
    pub(super) fn is_closed_unchecked(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Returns whether the session was closed, and closes it if its deadline has passed, which may run user code.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed_unchecked() || self.close_if_expired()
    }

    /// Returns the session that other accounts are inherited from; `None` after a clear, which ends inheritance.
    fn inherited_parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref().filter(|_| !self.is_detached())
    }

    /// Returns whether the session was cleared or closed, so that it inherits nothing.
    pub(super) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Acquire)
    }

    /// Returns the session's own cache for `name`. A read-only session has none.
    pub(super) fn find_own_account(&self, name: &AccountName) -> Option<Arc<AccountCache>> {
        if self.is_read_only() {
            return None;
        }
        if self.default.name() == name {
            return Some(Arc::clone(&self.default));
        }
        self.others.load().as_ref()?.get(name).cloned()
    }

    /// Names the accounts that the caller may use, and not the one it requested, which is unverified text.
    fn unknown_account_error(&self) -> Error {
        let known: Vec<_> = self.accounts().iter().map(|cache| cache.name().to_string()).collect();
        Error::not_configured("this session has no account of that name")
            .with_field("account")
            .with_next_step(format!("use one of: {}", known.join(", ")))
    }

    /// Locks the accounts of this session against concurrent creation, suspension and resumption. The caller runs
    /// no user code while it holds the lock.
    pub(super) fn topology_lock(&self) -> MutexGuard<'_, LazyWatch<()>> {
        self.topology.lock()
    }
}
