//! State shared by all accounts of a session: identity, clock, audit sink, refresh policy, background refreshers.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::SystemTime;

use crate::audit::{AuditEvent, AuditRecord, AuditSink};
use crate::cache::{LazyArcSwap, RefreshPolicy, RefreshQueue, RenewalChain};
use crate::clock::{ClockSource, Nanos};
use crate::{Clock, CredentialObservers, Credentials, Principal, Region, SessionId, SystemClock};

/// A child has one of its own, with the settings of its parent. What belongs to the whole family, the counter of
/// chains and the observers, is reached through `root`.
pub(crate) struct SessionShared {
    pub(crate) id: SessionId,
    pub(crate) principal: Option<Principal>,
    /// Shared with the children. `None` when all settings are defaults.
    config: Option<Arc<SessionConfig>>,
    /// The first session of the family; `None` if this is it.
    root: Option<Arc<SessionShared>>,
    /// Counts chains for the whole family, so that no two accounts share one. Only the root's counter is used.
    next_chain: AtomicU64,
    /// The background refreshers of the session. An queue is dropped with its refresher.
    refreshers: LazyArcSwap<Vec<Weak<RefreshQueue>>>,
    /// The observers of the whole family. Only the root's are used; most families have none.
    observers: OnceLock<CredentialObservers>,
}

/// The settings that a host may choose for its sessions, beyond their identity.
#[derive(Clone, Default)]
pub(crate) struct SessionConfig {
    pub(crate) clock: ClockSource,
    pub(crate) audit: Option<Arc<dyn AuditSink>>,
    pub(crate) policy: RefreshPolicy,
    /// Used where neither the credentials nor the account nor the session specify a region.
    pub(crate) environment_region: Option<Region>,
}

impl SessionShared {
    /// Creates the state of a session without a parent, with default settings and a random id.
    pub(crate) fn new() -> Self {
        Self {
            id: SessionId::random(),
            principal: None,
            config: None,
            root: None,
            next_chain: AtomicU64::new(0),
            refreshers: LazyArcSwap::default(),
            observers: OnceLock::new(),
        }
    }

    /// Creates the state of a child session: the same settings under another id, by default a random one.
    pub(crate) fn child(self: &Arc<Self>, id: Option<SessionId>) -> Self {
        Self {
            id: id.unwrap_or_else(SessionId::random),
            principal: self.principal.clone(),
            config: self.config.clone(),
            root: Some(Arc::clone(self.root.as_ref().unwrap_or(self))),
            ..Self::new()
        }
    }

    /// Returns the settings, to be changed before the session is built.
    pub(crate) fn config_mut(&mut self) -> &mut SessionConfig {
        Arc::make_mut(self.config.get_or_insert_default())
    }

    /// Returns the current wall time by the session's clock.
    pub(crate) fn now(&self) -> SystemTime {
        self.config.as_ref().map_or_else(|| SystemClock.now(), |config| config.clock.now())
    }

    /// Returns the current time as a number, for the warm path.
    #[inline]
    pub(crate) fn now_nanos(&self) -> Nanos {
        match &self.config {
            None => SystemClock.unix_nanos(),
            Some(config) => config.clock.nanos(),
        }
    }

    pub(crate) fn clock(&self) -> ClockSource {
        self.config.as_ref().map(|config| config.clock.clone()).unwrap_or_default()
    }

    /// Returns the refresh rules; sessions without rules of their own share one constant.
    pub(crate) fn policy(&self) -> &RefreshPolicy {
        const STANDARD: &RefreshPolicy = &RefreshPolicy::STANDARD;
        self.config.as_ref().map_or(STANDARD, |config| &config.policy)
    }

    pub(crate) fn environment_region(&self) -> Option<Region> {
        self.config.as_ref()?.environment_region.clone()
    }

    /// Returns a chain that no account of the family has had, and that is later than all before it.
    pub(crate) fn new_renewal_chain(&self) -> RenewalChain {
        let next_chain = self.root.as_ref().map_or(&self.next_chain, |root| &root.next_chain);
        RenewalChain::new(next_chain.fetch_add(1, Ordering::Relaxed))
    }

    /// Adds a record to the audit log, if there is one. Must not be called inside a gate, since the sink is user code.
    pub(crate) fn audit(&self, event: AuditEvent, describe: impl FnOnce(AuditRecord) -> AuditRecord) {
        if let Some(audit) = self.config.as_ref().and_then(|config| config.audit.as_ref()) {
            let record = describe(AuditRecord::new(self.now(), self.id, self.principal.clone(), event));
            // A panic of the sink during a close would leave the children open.
            if catch_unwind(AssertUnwindSafe(|| audit.record(&record))).is_err() {
                tracing::error!(session = %self.id, ?event, "the audit sink panicked, and the record is lost");
            }
        }
    }

    fn observers_cell(&self) -> &OnceLock<CredentialObservers> {
        self.root.as_ref().map_or(&self.observers, |root| &root.observers)
    }

    /// Returns the observers that receive all credentials of the family.
    pub(crate) fn observers(&self) -> &CredentialObservers {
        self.observers_cell().get_or_init(CredentialObservers::new)
    }

    /// Replaces the observers, before the session is built.
    pub(crate) fn set_observers(&mut self, observers: &CredentialObservers) {
        self.observers = OnceLock::from(observers.clone());
    }

    /// Reports credentials to the observers, if there are any. Must not be called inside a gate, since observers are
    /// user code.
    pub(crate) fn report(&self, credentials: &Credentials) {
        if let Some(observers) = self.observers_cell().get() {
            observers.report(credentials);
        }
    }

    /// Adds background refreshers, such as those of the parent, to this session.
    pub(crate) fn add_refreshers(&self, more: &[Weak<RefreshQueue>]) {
        self.refreshers.rcu(|known| {
            let known = known.iter().flat_map(|known| known.iter());
            let mut refreshers: Vec<_> = known.filter(|queue| queue.strong_count() > 0).cloned().collect();
            for queue in more {
                if !refreshers.iter().any(|known| known.ptr_eq(queue)) {
                    refreshers.push(Weak::clone(queue));
                }
            }
            Some(Arc::new(refreshers))
        });
    }

    pub(crate) fn refreshers(&self) -> Option<Arc<Vec<Weak<RefreshQueue>>>> {
        self.refreshers.load_full()
    }

    /// Returns whether a refresher runs for this session. A caller in the advisory window then leaves the fetch to
    /// it.
    pub(crate) fn has_background_refresh(&self) -> bool {
        self.refreshers.load().iter().flat_map(|known| known.iter()).any(|queue| queue.strong_count() > 0)
    }

    /// Visits the refreshers that run.
    pub(crate) fn for_each_refresher(&self, act: impl Fn(&RefreshQueue)) {
        let refreshers = self.refreshers.load();
        refreshers
            .iter()
            .flat_map(|known| known.iter())
            .filter_map(Weak::upgrade)
            .for_each(|queue| act(&queue));
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
