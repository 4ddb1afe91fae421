//! Sets credentials, a provider or a guard on an account, and decides which of them serves.

use std::sync::Arc;

use super::stand_in::{Guard, Provider};
use super::{AccountCache, State};
use crate::audit::AuditEvent;
use crate::session::rotation::RenewalChain;
use crate::session::{Generation, faults};
use crate::{Credentials, Error, Result};

impl AccountCache {
    pub(in crate::session) fn set(&self, credentials: Credentials) -> Result<Generation> {
        self.set_if(credentials, |_| Ok(()))
    }

    /// Sets credentials that were looked up, unless the account was cleared since `last_clear` was read: a cleared
    /// session stays cleared.
    pub(in crate::session) fn set_unless_cleared(
        &self,
        last_clear: RenewalChain,
        credentials: Credentials,
    ) -> Result<Generation> {
        self.set_if(credentials, |state| {
            if state.cleared == last_clear { Ok(()) } else { Err(faults::cleared_meanwhile_error()) }
        })
    }

    fn set_if(&self, credentials: Credentials, check: impl Fn(&State) -> Result<()>) -> Result<Generation> {
        let now = self.surroundings.now();
        if credentials.expiry().has_passed(now) {
            return Err(Error::invalid("expires_at", "has already passed")
                .with_next_step("fetch new credentials and set those; the earlier ones were kept"));
        }
        self.surroundings.report(&credentials);
        let (generation, _former) = loop {
            let guard = self.gate.lock().guard();
            let stand_in = guard.as_ref().and_then(|guard| guard.in_place_of(&credentials));
            let mut turn = self.enter_open()?;
            check(&turn)?;
            if !is_same_guard(guard.as_ref(), turn.guard().as_ref()) {
                // The guard was replaced concurrently; the new one has to decide.
                continue;
            }
            self.advance_epoch(&mut turn);
            turn.dormant = false;
            turn.set = stand_in.is_none();
            let former = turn.replace_stand_in(stand_in);
            if turn.set {
                turn.lineage = self.surroundings.new_renewal_chain();
                self.publish(&mut turn, &credentials, now);
            } else {
                turn.keep_exchanged(&credentials);
                self.unpublish(&mut turn);
            }
            // Dropped outside the lock, since its `Drop` is user code.
            break (turn.generation, former);
        };
        // Report again, for observers that were attached in the meantime.
        self.surroundings.report(&credentials);
        self.surroundings.audit(AuditEvent::Set, |record| {
            record.account(&self.alias).credentials(&credentials).with_generation(generation)
        });
        Ok(generation)
    }

    /// Sets the provider. Credentials that were set before stay, and so does the guard.
    pub(in crate::session) fn set_provider(&self, provider: Provider) -> Result<()> {
        // Declared before the lock, so that it is dropped after it: its `Drop` is user code.
        let _former;
        let mut turn = self.enter_open()?;
        turn.dormant = false;
        self.invalidate(&mut turn);
        _former = turn.provider.replace(provider);
        Ok(())
    }

    /// Sets the guard. Credentials that were set before are no longer served, unless the guard accepts them.
    pub(in crate::session) fn set_guard(&self, guard: Guard) -> Result<()> {
        let provider = guard.provider();
        let _former = loop {
            let given = self.manually_set()?;
            let stand_in = given.as_ref().and_then(|given| guard.in_place_of(given));
            let mut turn = self.enter_open()?;
            if turn.set != given.is_some() || !given.as_ref().is_none_or(|given| self.holds_version(given)) {
                // Other credentials were set concurrently, which the guard has not seen.
                continue;
            }
            turn.dormant = false;
            self.invalidate(&mut turn);
            let former_guard = turn.replace_guard(Arc::clone(&guard));
            let mut former = [turn.provider.replace(Arc::clone(&provider)), None];
            if stand_in.is_some() {
                self.advance_epoch(&mut turn);
                turn.set = false;
                former[1] = turn.replace_stand_in(stand_in);
                given.iter().for_each(|given| turn.keep_exchanged(given));
                self.unpublish(&mut turn);
            }
            // Dropped outside the lock, since its `Drop` is user code.
            break (former, former_guard);
        };
        Ok(())
    }

    /// Returns the current credentials if they were set directly.
    fn manually_set(&self) -> Result<Option<Credentials>> {
        let turn = self.enter_open()?;
        Ok(self.current().filter(|_| turn.set))
    }
}

fn is_same_guard(before: Option<&Guard>, now: Option<&Guard>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => Arc::ptr_eq(before, now),
        (None, None) => true,
        _ => false,
    }
}
