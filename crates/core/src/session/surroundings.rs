//! State shared by all accounts of a session: identity, clock, audit sink, refresh policy, background refreshers.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::SystemTime;

use super::RefreshPolicy;
use super::agenda::RefreshQueue;
use super::late::LazyArcSwap;
use super::rotation::RenewalChain;
use crate::audit::{AuditEvent, AuditRecord, AuditSink};
use crate::clock::{ClockSource, Nanos};
use crate::{Clock, CredentialObservers, Credentials, Principal, Region, SessionId, SystemClock};

pub(super) struct SessionShared {
    pub(super) id: SessionId,
    pub(super) principal: Option<Principal>,
    /// Shared with the children. `None` when all settings are defaults.
    terms: Option<Arc<SessionConfig>>,
    /// The first session of the family; `None` if this is it.
    root: Option<Arc<SessionShared>>,
    /// Counts lineages for the whole family, so that no two accounts share one. Only the root's counter is used.
    lineages: AtomicU64,
    /// The background refreshers of the session. An agenda is dropped with its refresher.
    warmers: LazyArcSwap<Vec<Weak<RefreshQueue>>>,
    /// The observers of the whole family. Only the root's are used; most families have none.
    observers: OnceLock<CredentialObservers>,
}

/// The settings that a host may choose for its sessions, beyond their identity.
#[derive(Clone, Default)]
pub(super) struct SessionConfig {
    pub(super) clock: ClockSource,
    pub(super) audit: Option<Arc<dyn AuditSink>>,
    pub(super) policy: RefreshPolicy,
    /// Used where neither the credentials nor the account nor the session specify a region.
    pub(super) environment_region: Option<Region>,
}

impl SessionShared {
    pub(super) fn new() -> Self {
        Self {
            id: SessionId::random(),
            principal: None,
            terms: None,
            root: None,
            lineages: AtomicU64::new(0),
            warmers: LazyArcSwap::default(),
            observers: OnceLock::new(),
        }
    }

    /// Creates the state of a child session: the same settings under a new id.
    pub(super) fn child(self: &Arc<Self>) -> Self {
        Self {
            principal: self.principal.clone(),
            terms: self.terms.clone(),
            root: Some(Arc::clone(self.root.as_ref().unwrap_or(self))),
            ..Self::new()
        }
    }

    /// Returns the settings, to be changed before the session is built.
    pub(super) fn config_mut(&mut self) -> &mut SessionConfig {
        Arc::make_mut(self.terms.get_or_insert_default())
    }

    pub(super) fn now(&self) -> SystemTime {
        self.terms.as_ref().map_or_else(|| SystemClock.now(), |terms| terms.clock.now())
    }

    /// Returns the current time as a number, for the warm path.
    #[inline]
    pub(super) fn now_nanos(&self) -> Nanos {
        match &self.terms {
            None => SystemClock.unix_nanos(),
            Some(terms) => terms.clock.nanos(),
        }
    }

    pub(super) fn clock(&self) -> ClockSource {
        self.terms.as_ref().map(|terms| terms.clock.clone()).unwrap_or_default()
    }

    pub(super) fn policy(&self) -> &RefreshPolicy {
        const STANDARD: &RefreshPolicy = &RefreshPolicy::STANDARD;
        self.terms.as_ref().map_or(STANDARD, |terms| &terms.policy)
    }

    pub(super) fn environment_region(&self) -> Option<Region> {
        self.terms.as_ref()?.environment_region.clone()
    }

    pub(super) fn new_renewal_chain(&self) -> RenewalChain {
        let lineages = self.root.as_ref().map_or(&self.lineages, |root| &root.lineages);
        RenewalChain::new(lineages.fetch_add(1, Ordering::Relaxed))
    }

    /// Adds a record to the audit log, if there is one. Must not be called inside a gate, since the sink is user code.
    pub(super) fn audit(&self, event: AuditEvent, describe: impl FnOnce(AuditRecord) -> AuditRecord) {
        if let Some(audit) = self.terms.as_ref().and_then(|terms| terms.audit.as_ref()) {
            let record = describe(AuditRecord::new(self.now(), self.id, self.principal.clone(), event));
            // A panic of the sink during a close would leave the children open.
            if catch_unwind(AssertUnwindSafe(|| audit.record(&record))).is_err() {
                tracing::error!(session = %self.id, ?event, "the audit sink panicked, and the record is lost");
            }
        }
    }

    fn known_observers(&self) -> &OnceLock<CredentialObservers> {
        self.root.as_ref().map_or(&self.observers, |root| &root.observers)
    }

    /// Returns the observers that receive all credentials of the family.
    pub(super) fn observers(&self) -> &CredentialObservers {
        self.known_observers().get_or_init(CredentialObservers::new)
    }

    /// Replaces the observers, before the session is built.
    pub(super) fn set_observers(&mut self, observers: &CredentialObservers) {
        self.observers = OnceLock::from(observers.clone());
    }

    /// Reports credentials to the observers, if there are any. Must not be called inside a gate, since observers are
    /// user code.
    pub(super) fn report(&self, credentials: &Credentials) {
        if let Some(observers) = self.known_observers().get() {
            observers.report(credentials);
        }
    }

    /// Adds background refreshers, such as those of the parent, to this session.
    pub(super) fn add_refreshers(&self, more: &[Weak<RefreshQueue>]) {
        self.warmers.rcu(|known| {
            let known = known.iter().flat_map(|known| known.iter());
            let mut warmers: Vec<_> = known.filter(|agenda| agenda.strong_count() > 0).cloned().collect();
            for agenda in more {
                if !warmers.iter().any(|known| known.ptr_eq(agenda)) {
                    warmers.push(Weak::clone(agenda));
                }
            }
            Some(Arc::new(warmers))
        });
    }

    pub(super) fn refreshers(&self) -> Option<Arc<Vec<Weak<RefreshQueue>>>> {
        self.warmers.load_full()
    }

    pub(super) fn has_background_refresh(&self) -> bool {
        self.warmers.load().iter().flat_map(|known| known.iter()).any(|agenda| agenda.strong_count() > 0)
    }

    pub(super) fn for_each_refresher(&self, act: impl Fn(&RefreshQueue)) {
        let warmers = self.warmers.load();
        warmers
            .iter()
            .flat_map(|known| known.iter())
            .filter_map(Weak::upgrade)
            .for_each(|agenda| act(&agenda));
    }
}

impl fmt::Debug for SessionShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionShared")
            .field("id", &self.id)
            .field("principal", &self.principal)
            .field("policy", self.policy())
            .finish_non_exhaustive()
    }
}
