//! Attaches observers, which receive the credentials of the whole family of a session.

use std::sync::Arc;

use super::SessionInner;
use crate::session::SessionContext;
use crate::{Clock, CredentialObserver, CredentialObservers};

impl SessionContext {
    /// Attaches an observer to this session, its ancestors and all their child sessions.
    ///
    /// The observer receives at once all credentials that these sessions hold, and from then on all credentials that
    /// are set on them or that they fetch: credentials that are set, including long-lived keys that are only
    /// exchanged; credentials returned by providers and resolvers; and those fetched by
    /// [`ObservedProvider`](crate::ObservedProvider)s with the same [observers](Self::observers).
    ///
    /// The session does not keep the observer alive.
    pub fn observe<O: CredentialObserver + 'static>(&self, observer: &Arc<O>) {
        let observer: Arc<dyn CredentialObserver> = Arc::<O>::clone(observer);
        let member = self.inner();
        // Attach first: credentials published concurrently are then reported, or found below, or both.
        member.surroundings.observers().attach(&observer);
        member.root().report_held(&*observer);
    }

    /// Returns the clock of the session.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.inner().surroundings.clock().shared()
    }

    /// Returns the observers of this session, for providers whose credentials no account of the session serves.
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
