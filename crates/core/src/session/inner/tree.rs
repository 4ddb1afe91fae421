//! The tree of sessions: children, what they inherit and have held, and how clearing and closing reach all of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::MutexGuard;

use super::SessionInner;
use crate::audit::AuditEvent;
use crate::cache::{AccountCache, ClearKind, ClearedProviders, CredentialsVersion, RefreshQueue};
use crate::clock::Nanos;
use crate::session::OutstandingCredentials;
use crate::{AccountName, CredentialObserver, Result, SessionId};

impl SessionInner {
    /// Creates a child with a default account of its own, which inherits the other accounts.
    ///
    /// # Errors
    /// `Closed` after closing; `Denied` in a narrowed session, and when its default account is not allowed.
    pub(in crate::session) fn child(self: &Arc<Self>) -> Result<Arc<Self>> {
        let name = self.default.name();
        self.check_writable(name)?;
        let child = Self { resolver: self.resolver.clone(), ..self.new_child(name, None) };
        Ok(self.attach_child(child))
    }

    /// Creates the common state of a child, not yet attached.
    ///
    /// It has the identity, settings and region of this session, under an id of its own, and no resolver.
    pub(in crate::session) fn new_child(&self, default: &AccountName, id: Option<SessionId>) -> Self {
        Self::new(self.shared.child(id), default.clone(), self.region.as_deref().cloned(), None)
    }

    /// Adds `child` to the children of this session.
    pub(in crate::session) fn attach_child(self: &Arc<Self>, mut child: Self) -> Arc<Self> {
        child.parent = Some(Arc::clone(self));
        let child = Arc::new(child);
        let mut children = self.lock_children();
        children.retain(|child| child.strong_count() > 0);
        children.push(Arc::downgrade(&child));
        drop(children);
        // After the child is registered: a background refresher that is added concurrently finds the child, or is
        // found here.
        if let Some(refreshers) = self.shared.refreshers() {
            child.shared.add_refreshers(&refreshers);
        }
        if self.is_closed() {
            child.close();
        }
        child
    }

    /// Invalidates what providers issued to the other accounts here, and to all in the children: it may have been derived
    /// from what was replaced. A fetch of `changed` may have begun since it was changed, and stays.
    pub(in crate::session) fn invalidate_others(&self, changed: &AccountCache) {
        let accounts = self.own_accounts();
        let others = accounts.iter().filter(|cache| !std::ptr::eq(Arc::as_ptr(cache), changed));
        others.for_each(|cache| cache.invalidate_issued());
        self.for_each_child(Self::invalidate_issued);
    }

    fn invalidate_issued(&self) {
        self.own_accounts().iter().for_each(|cache| cache.invalidate_issued());
        self.for_each_child(Self::invalidate_issued);
    }

    /// Registers the accounts of this session, and of its present and future children, for background refreshes.
    pub(in crate::session) fn attach_refresher(&self, queue: &Arc<RefreshQueue>) {
        self.shared.add_refreshers(&[Arc::downgrade(queue)]);
        self.own_accounts().iter().for_each(|cache| cache.schedule_on(queue, Duration::ZERO));
        self.for_each_child(|child| child.attach_refresher(queue));
    }

    /// Clears the session and its children. A no-op once the session is closed. Recorded with what AWS still
    /// accepts.
    pub(in crate::session) fn clear(&self) {
        if self.is_closed() {
            return;
        }
        if self.narrow_state().is_some() {
            // Nothing could be set on it again.
            return self.close();
        }
        self.clear_accounts(ClearKind::WithSession);
        self.shared
            .audit(AuditEvent::Clear, |record| record.with_outstanding(&OutstandingCredentials::of(self)));
        self.for_each_child(Self::clear);
    }

    /// Closes the session and its children, once: later calls return at once, also while the first one still runs.
    pub(in crate::session) fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.clear_accounts(ClearKind::Permanently);
        self.shared.for_each_refresher(RefreshQueue::notify);
        self.shared
            .audit(AuditEvent::Close, |record| record.with_outstanding(&OutstandingCredentials::of(self)));
        self.for_each_child(Self::close);
        self.propagate_to_parent();
    }

    /// Detaches the session first, so that no account is inherited while its own are cleared. Watchers are notified
    /// while the lock is held; caches of user code are cleared after it is released.
    fn clear_accounts(&self, kind: ClearKind) {
        let mut topology = self.topology_lock();
        self.detached.store(true, Ordering::Release);
        self.service.store(None);
        let cleared: Vec<_> = self.own_accounts().iter().map(|cache| cache.clear(kind)).collect();
        topology.notify(());
        drop(topology);
        cleared.iter().for_each(clear_provider_caches);
        // A child borrows the resolver of its parent.
        let resolver = self.resolver.as_ref().filter(|_| self.parent.is_none());
        resolver.into_iter().for_each(|resolver| ignore_panic(|| resolver.clear_cache()));
    }

    /// Visits the children that live now. The list is copied first, so that `visit` may create or end children.
    pub(in crate::session) fn for_each_child(&self, visit: impl Fn(&Self)) {
        let children: Vec<_> = self.lock_children().iter().filter_map(Weak::upgrade).collect();
        for child in children {
            visit(&child);
        }
    }

    /// Resumes the provider of an account that was cleared. After a clear of the session, it resumes those of all
    /// accounts, since providers derive credentials from those of other accounts.
    pub(in crate::session) fn resume_for(&self, cache: &AccountCache) {
        let _topology = self.topology_lock();
        if !cache.is_suspended() || !cache.has_provider() {
            return;
        }
        if !cache.is_suspended_alone() {
            self.own_accounts().iter().for_each(|cache| cache.resume_with_session());
        }
        cache.resume();
    }

    /// Returns whether an account serves nothing because of a clear. An account that this session no longer
    /// inherits counts as cleared.
    pub(in crate::session) fn is_account_cleared(&self, name: &AccountName) -> bool {
        self.is_closed() || self.find_account(name).map_or(self.is_detached(), |cache| cache.is_suspended())
    }

    /// Returns whether an account was cleared after it published `id`. An account that this session no longer
    /// inherits counts as cleared.
    pub(in crate::session) fn was_account_cleared_since(
        &self,
        name: &AccountName,
        id: CredentialsVersion,
    ) -> bool {
        self.is_closed()
            || self.find_account(name).map_or(self.is_detached(), |cache| cache.was_cleared_since(id))
    }

    /// Returns the first session of the family.
    pub(in crate::session) fn root(&self) -> &Self {
        self.parent.as_ref().map_or(self, |parent| parent.root())
    }

    /// Reports all credentials that this session and its children hold now.
    pub(in crate::session) fn report_held(&self, observer: &dyn CredentialObserver) {
        let held = self.own_accounts().into_iter().flat_map(|cache| cache.exposed_credentials());
        held.for_each(|credentials| observer.observe(&credentials));
        self.for_each_child(|child| child.report_held(observer));
    }

    /// Locks the list of children. Dead entries are removed when another child is added.
    fn lock_children(&self) -> MutexGuard<'_, Vec<Weak<Self>>> {
        self.children.lock()
    }

    /// Returns the latest expiry by account, for own and inherited accounts, including those no longer inherited.
    pub(in crate::session) fn latest_expiry(&self) -> Vec<(AccountName, Nanos)> {
        let mut latest = self.parent.as_ref().map(|parent| parent.latest_expiry()).unwrap_or_default();
        latest.retain(|(name, _)| self.is_visible(name));
        for cache in self.own_accounts() {
            let own = cache.latest_expiry();
            match latest.iter_mut().find(|(name, _)| name == cache.name()) {
                Some((_, inherited)) if self.never_inherited(cache.name()) => *inherited = own,
                Some((_, inherited)) => *inherited = own.max(*inherited),
                None => latest.push((cache.name().clone(), own)),
            }
        }
        latest
    }

    /// Returns whether the account has never been inherited from the parent.
    fn never_inherited(&self, name: &AccountName) -> bool {
        !self.is_read_only() && (self.narrow_state().is_some() || self.default.name() == name)
    }

    /// Counts what living children hold, as is done when they end.
    pub(in crate::session) fn collect_children(&self) {
        self.for_each_child(|child| {
            child.collect_children();
            child.propagate_to_parent();
        });
    }

    /// Adds the latest expiries of this session to its parent, which reports them after this session is gone.
    pub(in crate::session) fn propagate_to_parent(&self) {
        let Some(parent) = &self.parent else { return };
        for cache in self.own_accounts() {
            let account = parent.find_account(cache.name()).unwrap_or_else(|| Arc::clone(&parent.default));
            account.extend_latest_expiry(cache.latest_expiry());
        }
    }
}

/// Clears the caches of the providers of an account that was cleared. No lock is held, since this is user code.
pub(super) fn clear_provider_caches((providers, _exchange): &ClearedProviders) {
    providers.iter().flatten().for_each(|provider| ignore_panic(|| provider.clear_cache()));
}

/// A panic in user code must not keep other accounts and the children open.
fn ignore_panic(clear: impl Fn()) {
    drop(catch_unwind(AssertUnwindSafe(clear)));
}
