//! What the accounts of one session share: who it is, its clock, its trail, its rules.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::SystemTime;

use tokio::sync::Notify;

use super::RefreshPolicy;
use super::rotation::Lineage;
use crate::audit::{AuditEvent, AuditRecord, AuditSink};
use crate::{Clock, Principal, SessionId};

#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) id: SessionId,
    pub(super) principal: Option<Principal>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) audit: Arc<dyn AuditSink>,
    pub(super) policy: RefreshPolicy,
    /// Counts lineages for the whole family, so that no two accounts share one.
    pub(super) lineages: Arc<AtomicU64>,
    /// How many `keep_warm` futures are alive.
    pub(super) warmers: AtomicUsize,
    /// Wakes the warmers when what is due may have changed.
    pub(super) changed: Notify,
}

impl Surroundings {
    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(super) fn kept_warm(&self) -> bool {
        self.warmers.load(Ordering::Acquire) > 0
    }

    pub(super) fn new_lineage(&self) -> Lineage {
        Lineage::new(self.lineages.fetch_add(1, Ordering::Relaxed))
    }

    /// The same surroundings under a new id, for a child session.
    pub(super) fn child(&self) -> Self {
        Self {
            id: SessionId::random(),
            principal: self.principal.clone(),
            clock: Arc::clone(&self.clock),
            audit: Arc::clone(&self.audit),
            policy: self.policy.clone(),
            lineages: Arc::clone(&self.lineages),
            warmers: AtomicUsize::new(0),
            changed: Notify::new(),
        }
    }

    pub(super) fn event(&self, event: AuditEvent) -> AuditRecord {
        AuditRecord::new(self.now(), self.id, self.principal.clone(), event)
    }
}
