//! `keep_warm` for a whole registry: one future refreshes all sessions ahead of need, within limits.

use std::future::Future;
use std::sync::{Arc, PoisonError, Weak};

use super::SessionRegistry;
use super::entry::Entry;
use super::shelf::Shelf;
use crate::WarmLimits;
use crate::session::agenda::Agenda;
use crate::session::warm::drive;

impl SessionRegistry {
    /// Refreshes the accounts of every session, those opened later included, as they enter the advisory window, until
    /// the registry is gone. As [`SessionContext::keep_warm`](crate::SessionContext::keep_warm), for all of them, with one
    /// set of limits for all: sessions that were opened together neither storm their sources nor run out. What has the
    /// least time left goes first. The work is proportional to what is due, not to what is open.
    ///
    /// Warming is no call: it does not keep a session from being idle. Spawn it, or select over it: it does not keep the
    /// registry alive. To be polled inside a tokio runtime with time enabled. Cancel safe.
    pub fn keep_warm(&self, limits: WarmLimits) -> impl Future<Output = ()> + Send + 'static {
        let shelf = Arc::clone(self.shelf());
        let agenda = Agenda::new(shelf.clock());
        shelf.warm_by(&agenda);
        drive(agenda, limits, move || !shelf.is_closed())
    }
}

impl Shelf {
    fn warm_by(&self, agenda: &Arc<Agenda>) {
        // Known before the sessions are listed: one that is opened meanwhile finds it, or is found.
        let mut agendas = self.agendas.lock().unwrap_or_else(PoisonError::into_inner);
        agendas.retain(|agenda| agenda.strong_count() > 0);
        agendas.push(Arc::downgrade(agenda));
        drop(agendas);
        self.sessions().iter().for_each(|session| session.put_on(agenda));
    }

    /// Puts a session that was opened on every warmer's agenda.
    pub(super) fn warm(&self, entry: &Entry) {
        self.agendas().iter().for_each(|agenda| entry.session.put_on(agenda));
    }

    /// Lets the warmers find out that there is nothing left to keep warm.
    pub(super) fn wake_warmers(&self) {
        self.agendas().iter().for_each(|agenda| agenda.wake());
    }

    fn agendas(&self) -> Vec<Arc<Agenda>> {
        let agendas = self.agendas.lock().unwrap_or_else(PoisonError::into_inner);
        agendas.iter().filter_map(Weak::upgrade).collect()
    }
}
