//! `Quotas`: the limits on what one principal and all principals may have in progress.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use valetkey_core::Principal;

/// Limits on requests in progress, streams included.
#[derive(Debug, Clone, Copy)]
pub(super) struct QuotaLimits {
    pub(super) per_principal: usize,
    pub(super) total: usize,
}

/// Counts the requests in progress. A request over a limit is refused at once and not queued, so that one principal
/// does not delay another.
#[derive(Debug)]
pub(super) struct Quotas {
    limits: QuotaLimits,
    state: Mutex<QuotaState>,
}

#[derive(Debug, Default)]
struct QuotaState {
    total: usize,
    by_principal: HashMap<Principal, usize>,
}

impl Quotas {
    pub(super) fn new(limits: QuotaLimits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default() })
    }

    /// Counts a request of `principal`, or returns `None` at a limit.
    pub(super) fn acquire(self: &Arc<Self>, principal: &Principal) -> Option<Permit> {
        let mut state = self.state.lock();
        let own = state.by_principal.get(principal).copied().unwrap_or_default();
        if own >= self.limits.per_principal || state.total >= self.limits.total {
            return None;
        }
        state.total += 1;
        state.by_principal.insert(principal.clone(), own + 1);
        Some(Permit { quotas: Arc::clone(self), principal: principal.clone() })
    }
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct Permit {
    quotas: Arc<Quotas>,
    principal: Principal,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.quotas.state.lock();
        state.total -= 1;
        if let Some(count) = state.by_principal.get_mut(&self.principal) {
            *count -= 1;
            if *count == 0 {
                state.by_principal.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_of_principal_at_limit_delays_no_other() {
        let quotas = Quotas::new(QuotaLimits { per_principal: 2, total: 3 });
        let (alice, bob): (Principal, Principal) = ("alice".parse().unwrap(), "bob".parse().unwrap());
        let first = quotas.acquire(&alice).unwrap();
        let _second = quotas.acquire(&alice).unwrap();
        assert!(quotas.acquire(&alice).is_none());
        let _third = quotas.acquire(&bob).unwrap();
        assert!(quotas.acquire(&bob).is_none(), "the total");
        drop(first);
        drop(quotas.acquire(&alice).unwrap());
        assert!(quotas.acquire(&bob).is_some(), "a permit that was dropped does not count");
    }
}
