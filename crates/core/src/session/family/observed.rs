//! Which credentials the observers of a session receive: those of its whole family.

use std::sync::Arc;

use super::SessionInner;
use crate::session::SessionContext;
use crate::{Clock, CredentialObserver, CredentialObservers};

impl SessionContext {
    /// Attaches an observer to this session, the sessions that it was made from and those that were made from it. It
    /// receives at once all credentials that they hold, and from then on all that they are given or fetch: credentials
    /// that are set, including long-lived keys that are only exchanged; what providers and resolvers return; and what
    /// [`ObservedProvider`](crate::ObservedProvider)s with the same [observers](Self::observers) fetch.
    ///
    /// The session does not keep the observer alive.
    pub fn observe<O: CredentialObserver + 'static>(&self, observer: &Arc<O>) {
        let observer: Arc<dyn CredentialObserver> = Arc::<O>::clone(observer);
        let member = self.inner();
        // Attached first: what is published meanwhile is reported, or found below, or both.
        member.surroundings.observers().attach(&observer);
        member.root().report_held(&*observer);
    }

    /// The clock of the session.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.inner().surroundings.clock().shared()
    }

    /// Those who observe this session, for providers that fetch what no account of it publishes.
    #[must_use]
    pub fn observers(&self) -> CredentialObservers {
        self.inner().surroundings.observers().clone()
    }
}

impl SessionInner {
    fn root(&self) -> &Self {
        self.parent.as_ref().map_or(self, |parent| parent.root())
    }

    fn report_held(&self, observer: &dyn CredentialObserver) {
        let held = self.own_accounts().into_iter().flat_map(|slot| slot.exposed_credentials());
        held.for_each(|credentials| observer.observe(&credentials));
        self.for_each_child(|child| child.report_held(observer));
    }
}
