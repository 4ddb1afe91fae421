//! A provider that can be narrowed, and remembers under which policy it issued what.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use valetkey_core::testing::ManualClock;
use valetkey_core::{CredentialProvider, Credentials, Error, Expiry, Result, SessionPolicy};

use crate::session_fixture::*;

/// Issues sets numbered from its base. Clones, narrowed or not, share the count.
#[derive(Debug, Clone)]
pub(super) struct NarrowableProvider {
    base: u64,
    clock: Option<ManualClock>,
    not_configured: bool,
    policy: Option<SessionPolicy>,
    first: Option<Credentials>,
    issued_policies: Arc<Mutex<Vec<Option<SessionPolicy>>>>,
}

impl NarrowableProvider {
    /// Of sets that do not expire.
    pub(super) fn new(base: u64) -> Self {
        Self {
            base,
            clock: None,
            not_configured: false,
            policy: None,
            first: None,
            issued_policies: Arc::default(),
        }
    }

    /// Of sets that last an hour.
    pub(super) fn hourly(base: u64, clock: &ManualClock) -> Self {
        Self { clock: Some(clock.clone()), ..Self::new(base) }
    }

    /// Issues `credentials` first when it is not narrowed.
    pub(super) fn with_first(self, credentials: Credentials) -> Self {
        Self { first: Some(credentials), ..self }
    }

    /// Not configured.
    pub(super) fn not_configured() -> Self {
        Self { not_configured: true, ..Self::new(0) }
    }

    pub(super) fn with_policy(policy: SessionPolicy) -> Self {
        Self { policy: Some(policy), ..Self::new(100) }
    }

    /// The policies with which credentials were issued, in order.
    pub(super) fn issued_policies(&self) -> Vec<Option<SessionPolicy>> {
        self.issued_policies.lock().unwrap().clone()
    }
}

#[async_trait]
impl CredentialProvider for NarrowableProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("role")
    }

    async fn provide(&self) -> Result<Credentials> {
        if self.not_configured {
            return Err(Error::not_configured("absent"));
        }
        let mut issued = self.issued_policies.lock().unwrap();
        let n = self.base + issued.len() as u64;
        issued.push(self.policy.clone());
        if let (None, Some(first)) = (&self.policy, &self.first) {
            return Ok(first.clone());
        }
        Ok(self.clock.as_ref().map_or_else(|| numbered(n, Expiry::Never), |clock| expiring(clock, n, HOUR)))
    }

    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let policy = self.policy.as_ref().map_or_else(|| Ok(policy.clone()), |own| own.intersect(policy))?;
        Ok(Arc::new(Self { policy: Some(policy), ..self.clone() }))
    }
}
