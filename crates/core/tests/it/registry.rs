//! A registry on a manual clock.

mod cache;
mod clock;
mod close;
mod find;
mod handles;
mod keep_warm;
mod limits;
mod list;
mod model;
mod stress;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use valetkey_core::testing::ManualClock;
use valetkey_core::{
    Principal, RegistryBuilder, Result, SessionBuilder, SessionContext, SessionGuard, SessionHandle,
    SessionRegistry,
};

use crate::session_fixture::*;

/// The default idle time and lifetime.
const IDLE: Duration = Duration::from_secs(30 * 60);
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

struct RegistryFixture {
    clock: ManualClock,
    registry: SessionRegistry,
}

impl RegistryFixture {
    fn new() -> Self {
        Self::with(|registry| registry)
    }

    fn with(limits: impl FnOnce(RegistryBuilder) -> RegistryBuilder) -> Self {
        let clock = ManualClock::new();
        let registry = limits(SessionRegistry::builder().clock(Arc::new(clock.clone()))).build();
        Self { clock, registry }
    }

    fn builder(&self) -> SessionBuilder {
        builder(&self.clock)
    }

    fn try_open(&self, name: &str) -> Result<SessionGuard> {
        self.registry.open(principal(name), self.builder())
    }

    fn open(&self, name: &str) -> SessionGuard {
        self.try_open(name).unwrap()
    }

    /// A session that is not in use, and a clone by which to see what becomes of it.
    fn idle(&self, name: &str) -> (SessionHandle, SessionContext) {
        let opened = self.open(name);
        (opened.handle(), opened.clone())
    }

    fn find(&self, name: &str, handle: &SessionHandle) -> Result<SessionGuard> {
        self.registry.find(&principal(name), handle)
    }

    fn touch(&self, name: &str, handle: &SessionHandle) {
        drop(self.find(name, handle).unwrap());
    }

    fn is_found(&self, name: &str, handle: &SessionHandle) -> bool {
        self.find(name, handle).is_ok()
    }
}

fn principal(name: &str) -> Principal {
    name.parse().unwrap()
}
