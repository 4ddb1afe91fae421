//! A session and its children: which session owns which account, and how clearing and closing reach all children.

mod observed;
mod outstanding;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

pub use outstanding::{Outstanding, OutstandingAccount};

use super::agenda::Agenda;
use super::audience::Audience;
use super::bounds::Bounds;
use super::faults;
use super::late::Late;
use super::slot::Slot;
use super::surroundings::Surroundings;
use crate::audit::{AuditEvent, AuditRecord};
use crate::{
    Alias, CredentialId, CredentialProvider, CredentialResolver, Credentials, Error, Region, Result,
};

/// One session. A child holds a strong reference to its parent, and the parent a weak one to the child: a child does
/// not keep a parent's session open, and ends with it.
pub(super) struct Member {
    pub(super) surroundings: Arc<Surroundings>,
    default: Arc<Slot>,
    others: Late<BTreeMap<Alias, Arc<Slot>>>,
    pub(super) region: Option<Box<Region>>,
    resolver: Option<Arc<dyn CredentialResolver>>,
    service: Late<Value>,
    /// `None` for most sessions.
    pub(super) bounds: Option<Box<Bounds>>,
    pub(super) parent: Option<Arc<Member>>,
    children: Mutex<Vec<Weak<Member>>>,
    /// Set by a clear: from then on the session inherits nothing.
    detached: AtomicBool,
    closed: AtomicBool,
    /// Serializes creating, suspending and resuming accounts. Subscribers are notified when the session creates an
    /// account of its own, when inheritance ends, and on close.
    order: Mutex<Audience<()>>,
}

impl Member {
    pub(super) fn new(
        surroundings: Surroundings,
        default: Alias,
        region: Option<Region>,
        resolver: Option<Arc<dyn CredentialResolver>>,
    ) -> Self {
        let surroundings = Arc::new(surroundings);
        Self {
            default: Arc::new(Slot::new(default, Arc::clone(&surroundings))),
            surroundings,
            others: Late::default(),
            region: region.map(Box::new),
            resolver,
            service: Late::default(),
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
        self.may_be_given(alias)?;
        let child = Self { resolver: self.resolver.clone(), ..self.newborn(alias) };
        Ok(self.enroll(child))
    }

    /// Creates the common state of a child, not yet enrolled.
    pub(super) fn newborn(&self, default: &Alias) -> Self {
        Self::new(self.surroundings.child(), default.clone(), self.region.as_deref().cloned(), None)
    }

    /// Adds `child` to the children of this session.
    pub(super) fn enroll(self: &Arc<Self>, mut child: Self) -> Arc<Self> {
        child.parent = Some(Arc::clone(self));
        let child = Arc::new(child);
        let mut children = self.children();
        children.retain(|known| known.strong_count() > 0);
        children.push(Arc::downgrade(&child));
        drop(children);
        // After the child is registered: a background refresher that is added concurrently finds the child, or is
        // found here.
        if let Some(warmers) = self.surroundings.warmers() {
            child.surroundings.add_warmers(&warmers);
        }
        if self.is_closed() {
            child.close();
        }
        child
    }

    pub(super) fn default_slot(&self) -> &Arc<Slot> {
        &self.default
    }

    /// Returns the slot that serves `alias`: the session's own, otherwise the parent's.
    pub(super) fn slot(&self, alias: &Alias) -> Result<Arc<Slot>> {
        if self.is_closed() {
            return Err(faults::closed());
        }
        self.find(alias).ok_or_else(|| self.unknown())
    }

    pub(super) fn find(&self, alias: &Alias) -> Option<Arc<Slot>> {
        let found = || self.own(alias).or_else(|| self.inherits_from()?.find(alias));
        if self.knows(alias) { found() } else { None }
    }

    /// Returns whether `alias` is within the bounds of this session. The parent checks its own bounds.
    fn knows(&self, alias: &Alias) -> bool {
        self.allowed().is_none_or(|allowed| allowed.contains(alias))
    }

    /// Checks whether credentials or a provider may be set on the account here.
    pub(super) fn may_be_given(&self, alias: &Alias) -> Result<()> {
        match self.allow_list() {
            _ if self.is_closed() => Err(faults::closed()),
            _ if self.narrowed().is_some() => Err(faults::narrowed()),
            Some(allowed) if !allowed.contains(alias) => Err(faults::not_allowed(allowed)),
            _ => Ok(()),
        }
    }

    fn allow_list(&self) -> Option<&[Alias]> {
        self.allowed().or_else(|| self.parent.as_ref()?.allow_list())
    }

    /// Returns the session's own slot for `alias`, and creates it if necessary. The parent never sees what is set on
    /// it.
    pub(super) fn own_slot(&self, alias: &Alias) -> Result<Arc<Slot>> {
        self.may_be_given(alias)?;
        Ok(self.own_or_made(alias))
    }

    pub(super) fn own_or_made(&self, alias: &Alias) -> Arc<Slot> {
        if let Some(own) = self.own(alias) {
            return own;
        }
        let mut order = self.order();
        let mut others = self.others.load().as_deref().cloned().unwrap_or_default();
        let made = || self.new_slot(alias);
        let own = Arc::clone(others.entry(alias.clone()).or_insert_with(made));
        self.others.store(Some(Arc::new(others)));
        order.tell(());
        drop(order);
        if self.is_closed() {
            // A new slot has no provider that would have to forget anything.
            let _none = own.wipe(true);
        }
        own
    }

    /// Sets something on an account, and invalidates what the providers of the others issued, unless a clear came in
    /// between.
    pub(super) fn give<T>(&self, slot: &Slot, give: impl FnOnce(&Slot) -> Result<T>) -> Result<T> {
        self.may_be_given(slot.alias())?;
        let last_clear = slot.last_clear()?;
        let given = give(slot)?;
        let _order = self.order();
        if slot.last_clear()? == last_clear {
            self.own_slots().iter().for_each(|slot| slot.wake());
            self.void_issued();
        }
        Ok(given)
    }

    /// Invalidates what providers issued here and in the children: it may have been derived from what was replaced.
    fn void_issued(&self) {
        self.own_slots().iter().for_each(|slot| slot.void_issued());
        self.for_each_child(Self::void_issued);
    }

    /// Subscribes to changes of the slot that serves an account.
    pub(super) fn reshaped(&self) -> watch::Receiver<()> {
        self.order().join(())
    }

    /// Returns every slot that this session may use, the default one first.
    pub(super) fn slots(&self) -> Vec<Arc<Slot>> {
        let mut slots = if self.is_view() { Vec::new() } else { self.own_slots() };
        for inherited in self.inherits_from().map(|parent| parent.slots()).unwrap_or_default() {
            if slots.iter().all(|slot| slot.alias() != inherited.alias()) {
                slots.push(inherited);
            }
        }
        slots.retain(|slot| self.knows(slot.alias()));
        slots.sort_by_key(|slot| slot.alias() != self.default.alias());
        slots
    }

    pub(super) fn own_slots(&self) -> Vec<Arc<Slot>> {
        let mut slots = vec![Arc::clone(&self.default)];
        slots.extend(self.others.load().iter().flat_map(|others| others.values().cloned()));
        slots
    }

    /// Registers the accounts of this session, and of its present and future children, for background refreshes.
    pub(super) fn warm_by(&self, agenda: &Arc<Agenda>) {
        self.surroundings.add_warmers(&[Arc::downgrade(agenda)]);
        self.own_slots().iter().for_each(|slot| slot.plan_on(agenda, Duration::ZERO));
        self.for_each_child(|child| child.warm_by(agenda));
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
        self.service.load_full().or_else(|| self.inherits_from()?.service_context())
    }

    pub(super) fn set_service_context(&self, facts: Value) -> Result<()> {
        let order = self.order();
        self.service.store(Some(Arc::new(facts)));
        drop(order);
        if self.is_closed() {
            self.service.store(None);
            return Err(faults::closed());
        }
        Ok(())
    }

    pub(super) fn set_default_provider(&self, provider: Arc<dyn CredentialProvider>) -> Result<()> {
        self.may_be_given(self.default.alias())?;
        self.default.set_provider(provider)
    }

    pub(super) fn record(&self, event: AuditEvent, account: &Alias, party: &str, failure: Option<&Error>) {
        self.surroundings.record(event, |record| {
            let mut record = record.account(account).party(party);
            if let Some(set) = self.slot(account).ok().and_then(|slot| slot.current()) {
                record = record.credentials(&set).generation(set.issued().id.generation());
            }
            failure.into_iter().fold(record, AuditRecord::failure)
        });
    }

    pub(super) fn was_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.was_closed() || self.is_over()
    }

    pub(super) fn clear(&self) {
        if self.is_closed() {
            return;
        }
        if self.narrowed().is_some() {
            // Nothing could be set on it again.
            return self.close();
        }
        self.wipe(false);
        self.surroundings.record(AuditEvent::Clear, |record| record.outstanding(&self.outstanding()));
        self.for_each_child(Self::clear);
    }

    pub(super) fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.wipe(true);
        self.surroundings.for_each_agenda(Agenda::wake);
        self.surroundings.record(AuditEvent::Close, |record| record.outstanding(&self.outstanding()));
        self.for_each_child(Self::close);
        self.bequeath();
    }

    fn wipe(&self, for_good: bool) {
        let mut order = self.order();
        self.detached.store(true, Ordering::Release);
        self.service.store(None);
        let wiped: Vec<_> = self.own_slots().iter().map(|slot| slot.wipe(for_good)).collect();
        order.tell(());
        drop(order);
        // A panic in user code must not keep the children open.
        let quietly = |forget: &dyn Fn()| drop(catch_unwind(AssertUnwindSafe(forget)));
        let providers = wiped.iter().flat_map(|(providers, _guard)| providers.iter().flatten());
        providers.for_each(|provider| quietly(&|| provider.forget()));
        // A child borrows the resolver of its parent.
        let resolver = self.resolver.as_ref().filter(|_| self.parent.is_none());
        resolver.into_iter().for_each(|resolver| quietly(&|| resolver.forget()));
    }

    fn for_each_child(&self, end: impl Fn(&Self)) {
        let children: Vec<_> = self.children().iter().filter_map(Weak::upgrade).collect();
        for child in children {
            end(&child);
        }
    }

    fn inherits_from(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref().filter(|_| !self.is_detached())
    }

    /// Returns whether the session was cleared or closed, so that it inherits nothing.
    pub(super) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Acquire)
    }

    pub(super) fn own(&self, alias: &Alias) -> Option<Arc<Slot>> {
        if self.is_view() {
            return None;
        }
        if self.default.alias() == alias {
            return Some(Arc::clone(&self.default));
        }
        self.others.load().as_ref()?.get(alias).cloned()
    }

    fn unknown(&self) -> Error {
        let known: Vec<_> = self.slots().iter().map(|slot| slot.alias().to_string()).collect();
        Error::not_configured("this session has no account of that alias")
            .with_field("account")
            .with_next_step(format!("use one of: {}", known.join(", ")))
    }

    pub(super) fn order(&self) -> MutexGuard<'_, Audience<()>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn children(&self) -> MutexGuard<'_, Vec<Weak<Self>>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
