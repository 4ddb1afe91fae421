//! A session and its children: which session owns which account, and how clearing and closing reach all children.

mod observed;
mod outstanding;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::sync::watch;

pub use outstanding::{OutstandingAccount, OutstandingCredentials};

use super::agenda::RefreshQueue;
use super::audience::LazyWatch;
use super::bounds::Restrictions;
use super::faults;
use super::late::LazyArcSwap;
use super::slot::AccountCache;
use super::surroundings::SessionShared;
use crate::audit::{AuditEvent, AuditRecord};
use crate::{
    AccountName, CredentialId, CredentialProvider, CredentialResolver, Credentials, Error, Region, Result,
};

/// One session. A child holds a strong reference to its parent, and the parent a weak one to the child: a child does
/// not keep a parent's session open, and ends with it.
pub(super) struct SessionInner {
    pub(super) surroundings: Arc<SessionShared>,
    default: Arc<AccountCache>,
    others: LazyArcSwap<BTreeMap<AccountName, Arc<AccountCache>>>,
    pub(super) region: Option<Box<Region>>,
    resolver: Option<Arc<dyn CredentialResolver>>,
    service: LazyArcSwap<Value>,
    /// `None` for most sessions.
    pub(super) bounds: Option<Box<Restrictions>>,
    pub(super) parent: Option<Arc<SessionInner>>,
    children: Mutex<Vec<Weak<SessionInner>>>,
    /// Set by a clear: from then on the session inherits nothing.
    detached: AtomicBool,
    closed: AtomicBool,
    /// Serializes creating, suspending and resuming accounts. Subscribers are notified when the session creates an
    /// account of its own, when inheritance ends, and on close.
    order: Mutex<LazyWatch<()>>,
}

impl SessionInner {
    pub(super) fn new(
        surroundings: SessionShared,
        default: AccountName,
        region: Option<Region>,
        resolver: Option<Arc<dyn CredentialResolver>>,
    ) -> Self {
        let surroundings = Arc::new(surroundings);
        Self {
            default: Arc::new(AccountCache::new(default, Arc::clone(&surroundings))),
            surroundings,
            others: LazyArcSwap::default(),
            region: region.map(Box::new),
            resolver,
            service: LazyArcSwap::default(),
            bounds: None,
            parent: None,
            children: Mutex::default(),
            detached: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            order: Mutex::default(),
        }
    }

    /// Creates a child with a default account of its own, which inherits the other accounts.
    pub(super) fn child(self: &Arc<Self>) -> Result<Arc<Self>> {
        let alias = self.default.alias();
        self.check_writable(alias)?;
        let child = Self { resolver: self.resolver.clone(), ..self.new_child(alias) };
        Ok(self.attach_child(child))
    }

    /// Creates the common state of a child, not yet enrolled.
    pub(super) fn new_child(&self, default: &AccountName) -> Self {
        Self::new(self.surroundings.child(), default.clone(), self.region.as_deref().cloned(), None)
    }

    /// Adds `child` to the children of this session.
    pub(super) fn attach_child(self: &Arc<Self>, mut child: Self) -> Arc<Self> {
        child.parent = Some(Arc::clone(self));
        let child = Arc::new(child);
        let mut children = self.children();
        children.retain(|known| known.strong_count() > 0);
        children.push(Arc::downgrade(&child));
        drop(children);
        // After the child is registered: a background refresher that is added concurrently finds the child, or is
        // found here.
        if let Some(warmers) = self.surroundings.refreshers() {
            child.surroundings.add_refreshers(&warmers);
        }
        if self.is_closed() {
            child.close();
        }
        child
    }

    pub(super) fn default_account(&self) -> &Arc<AccountCache> {
        &self.default
    }

    /// Returns the slot that serves `alias`: the session's own, otherwise the parent's.
    pub(super) fn account_cache(&self, alias: &AccountName) -> Result<Arc<AccountCache>> {
        if self.is_closed() {
            return Err(faults::closed_error());
        }
        self.find_account(alias).ok_or_else(|| self.unknown_account_error())
    }

    pub(super) fn find_account(&self, alias: &AccountName) -> Option<Arc<AccountCache>> {
        let found = || self.find_own_account(alias).or_else(|| self.inherited_parent()?.find_account(alias));
        if self.is_visible(alias) { found() } else { None }
    }

    /// Returns whether `alias` is within the bounds of this session. The parent checks its own bounds.
    fn is_visible(&self, alias: &AccountName) -> bool {
        self.allowed_accounts().is_none_or(|allowed| allowed.contains(alias))
    }

    /// Checks whether credentials or a provider may be set on the account here.
    pub(super) fn check_writable(&self, alias: &AccountName) -> Result<()> {
        match self.allow_list() {
            _ if self.is_closed() => Err(faults::closed_error()),
            _ if self.narrow_state().is_some() => Err(faults::narrowed_error()),
            Some(allowed) if !allowed.contains(alias) => Err(faults::not_allowed_error(allowed)),
            _ => Ok(()),
        }
    }

    fn allow_list(&self) -> Option<&[AccountName]> {
        self.allowed_accounts().or_else(|| self.parent.as_ref()?.allow_list())
    }

    /// Returns the session's own slot for `alias`, and creates it if necessary. The parent never sees what is set on
    /// it.
    pub(super) fn own_account(&self, alias: &AccountName) -> Result<Arc<AccountCache>> {
        self.check_writable(alias)?;
        Ok(self.get_or_create_account(alias))
    }

    pub(super) fn get_or_create_account(&self, alias: &AccountName) -> Arc<AccountCache> {
        if let Some(own) = self.find_own_account(alias) {
            return own;
        }
        let mut order = self.topology_lock();
        let mut others = self.others.load().as_deref().cloned().unwrap_or_default();
        let made = || self.new_account(alias);
        let own = Arc::clone(others.entry(alias.clone()).or_insert_with(made));
        self.others.store(Some(Arc::new(others)));
        order.notify(());
        drop(order);
        if self.is_closed() {
            // A new slot has no provider that would have to forget anything.
            let _none = own.clear(true);
        }
        own
    }

    /// Sets something on an account, and invalidates what the providers of the others issued, unless a clear came in
    /// between.
    pub(super) fn apply_update<T>(
        &self,
        slot: &AccountCache,
        give: impl FnOnce(&AccountCache) -> Result<T>,
    ) -> Result<T> {
        self.check_writable(slot.alias())?;
        let last_clear = slot.last_clear()?;
        let given = give(slot)?;
        let _order = self.topology_lock();
        if slot.last_clear()? == last_clear {
            self.own_accounts().iter().for_each(|slot| slot.wake());
            self.invalidate_issued();
        }
        Ok(given)
    }

    /// Invalidates what providers issued here and in the children: it may have been derived from what was replaced.
    fn invalidate_issued(&self) {
        self.own_accounts().iter().for_each(|slot| slot.invalidate_issued());
        self.for_each_child(Self::invalidate_issued);
    }

    /// Subscribes to changes of the slot that serves an account.
    pub(super) fn subscribe_topology(&self) -> watch::Receiver<()> {
        self.topology_lock().subscribe(())
    }

    /// Returns every slot that this session may use, the default one first.
    pub(super) fn accounts(&self) -> Vec<Arc<AccountCache>> {
        let mut slots = if self.is_read_only() { Vec::new() } else { self.own_accounts() };
        for inherited in self.inherited_parent().map(|parent| parent.accounts()).unwrap_or_default() {
            if slots.iter().all(|slot| slot.alias() != inherited.alias()) {
                slots.push(inherited);
            }
        }
        slots.retain(|slot| self.is_visible(slot.alias()));
        slots.sort_by_key(|slot| slot.alias() != self.default.alias());
        slots
    }

    pub(super) fn own_accounts(&self) -> Vec<Arc<AccountCache>> {
        let mut slots = vec![Arc::clone(&self.default)];
        slots.extend(self.others.load().iter().flat_map(|others| others.values().cloned()));
        slots
    }

    /// Registers the accounts of this session, and of its present and future children, for background refreshes.
    pub(super) fn attach_refresher(&self, agenda: &Arc<RefreshQueue>) {
        self.surroundings.add_refreshers(&[Arc::downgrade(agenda)]);
        self.own_accounts().iter().for_each(|slot| slot.schedule_on(agenda, Duration::ZERO));
        self.for_each_child(|child| child.attach_refresher(agenda));
    }

    pub(super) async fn resolve(&self, id: &CredentialId) -> Result<Credentials> {
        let Some(resolver) = &self.resolver else {
            return Err(Error::not_configured("this session has no credential resolver")
                .with_next_step("configure a resolver, or set the credentials themselves"));
        };
        let answer = resolver.resolve(id).await.map_err(|error| error.with_provider(resolver.name()));
        match &answer {
            Ok(found) => self.surroundings.report(found),
            Err(error) => self.record(AuditEvent::Deny, self.default.alias(), &resolver.name(), Some(error)),
        }
        answer
    }

    pub(super) fn service_context(&self) -> Option<Arc<Value>> {
        self.service.load_full().or_else(|| self.inherited_parent()?.service_context())
    }

    pub(super) fn set_service_context(&self, facts: Value) -> Result<()> {
        let order = self.topology_lock();
        self.service.store(Some(Arc::new(facts)));
        drop(order);
        if self.is_closed() {
            self.service.store(None);
            return Err(faults::closed_error());
        }
        Ok(())
    }

    pub(super) fn set_default_provider(&self, provider: Arc<dyn CredentialProvider>) -> Result<()> {
        self.check_writable(self.default.alias())?;
        self.default.set_provider(provider)
    }

    pub(super) fn record(
        &self,
        event: AuditEvent,
        account: &AccountName,
        party: &str,
        failure: Option<&Error>,
    ) {
        self.surroundings.audit(event, |record| {
            let mut record = record.account(account).with_component(party);
            if let Some(set) = self.account_cache(account).ok().and_then(|slot| slot.current()) {
                record = record.credentials(&set).with_generation(set.metadata().id.generation());
            }
            failure.into_iter().fold(record, AuditRecord::with_failure)
        });
    }

    pub(super) fn is_closed_unchecked(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed_unchecked() || self.close_if_expired()
    }

    pub(super) fn clear(&self) {
        if self.is_closed() {
            return;
        }
        if self.narrow_state().is_some() {
            // Nothing could be set on it again.
            return self.close();
        }
        self.clear_accounts(false);
        self.surroundings.audit(AuditEvent::Clear, |record| record.with_outstanding(&self.outstanding()));
        self.for_each_child(Self::clear);
    }

    pub(super) fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.clear_accounts(true);
        self.surroundings.for_each_refresher(RefreshQueue::wake);
        self.surroundings.audit(AuditEvent::Close, |record| record.with_outstanding(&self.outstanding()));
        self.for_each_child(Self::close);
        self.propagate_to_parent();
    }

    fn clear_accounts(&self, for_good: bool) {
        let mut order = self.topology_lock();
        self.detached.store(true, Ordering::Release);
        self.service.store(None);
        let wiped: Vec<_> = self.own_accounts().iter().map(|slot| slot.clear(for_good)).collect();
        order.notify(());
        drop(order);
        // A panic in user code must not keep the children open.
        let quietly = |forget: &dyn Fn()| drop(catch_unwind(AssertUnwindSafe(forget)));
        let providers = wiped.iter().flat_map(|(providers, _guard)| providers.iter().flatten());
        providers.for_each(|provider| quietly(&|| provider.clear_cache()));
        // A child borrows the resolver of its parent.
        let resolver = self.resolver.as_ref().filter(|_| self.parent.is_none());
        resolver.into_iter().for_each(|resolver| quietly(&|| resolver.clear_cache()));
    }

    fn for_each_child(&self, end: impl Fn(&Self)) {
        let children: Vec<_> = self.children().iter().filter_map(Weak::upgrade).collect();
        for child in children {
            end(&child);
        }
    }

    fn inherited_parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref().filter(|_| !self.is_detached())
    }

    /// Returns whether the session was cleared or closed, so that it inherits nothing.
    pub(super) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Acquire)
    }

    pub(super) fn find_own_account(&self, alias: &AccountName) -> Option<Arc<AccountCache>> {
        if self.is_read_only() {
            return None;
        }
        if self.default.alias() == alias {
            return Some(Arc::clone(&self.default));
        }
        self.others.load().as_ref()?.get(alias).cloned()
    }

    fn unknown_account_error(&self) -> Error {
        let known: Vec<_> = self.accounts().iter().map(|slot| slot.alias().to_string()).collect();
        Error::not_configured("this session has no account of that alias")
            .with_field("account")
            .with_next_step(format!("use one of: {}", known.join(", ")))
    }

    pub(super) fn topology_lock(&self) -> MutexGuard<'_, LazyWatch<()>> {
        self.order.lock()
    }

    fn children(&self) -> MutexGuard<'_, Vec<Weak<Self>>> {
        self.children.lock()
    }
}
