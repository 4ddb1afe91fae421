//! Sets credentials, a provider or a key exchange on an account, and decides which of them serves.

use std::sync::Arc;

use super::state::{ArcKeyExchange, ArcProvider, Suspension};
use super::{AccountCache, Generation, RenewalChain, State};
use crate::audit::AuditEvent;
use crate::session::error;
use crate::{Credentials, Error, Result};

impl AccountCache {
    /// Sets credentials, which from now on take precedence over the provider, and returns their generation.
    ///
    /// # Errors
    /// As [`set_if`](Self::set_if).
    pub(crate) fn set(&self, credentials: Credentials) -> Result<Generation> {
        self.set_if(credentials, |_| Ok(()))
    }

    /// Sets credentials that were looked up, unless the account was cleared since `last_clear` was read: a cleared
    /// session stays cleared.
    pub(crate) fn set_unless_cleared(
        &self,
        last_clear: RenewalChain,
        credentials: Credentials,
    ) -> Result<Generation> {
        self.set_if(credentials, |state| {
            if state.last_clear == last_clear { Ok(()) } else { Err(error::cleared_meanwhile()) }
        })
    }

    /// Sets credentials if `check` accepts the state of the account, which it sees under the lock.
    ///
    /// The key exchange decides outside the lock, since it is user code. If it was replaced meanwhile, the new one
    /// decides again: otherwise keys might be served that it would have exchanged.
    ///
    /// # Errors
    /// `Invalid` for credentials that have expired, `Closed` after closing, and the error of `check`. The account
    /// is then unchanged.
    fn set_if(&self, credentials: Credentials, check: impl Fn(&State) -> Result<()>) -> Result<Generation> {
        let now = self.shared.now();
        if credentials.expiry().has_passed(now) {
            return Err(Error::invalid("expires_at", "has already passed")
                .with_next_step("fetch new credentials and set those; the earlier ones were kept"));
        }
        self.shared.report(&credentials);
        let (generation, _previous) = loop {
            let exchange = self.cell.lock().key_exchange();
            let exchanger = exchange.as_ref().and_then(|exchange| exchange.exchange_for(&credentials));
            let mut state = self.lock_open()?;
            check(&state)?;
            if !is_same_exchange(exchange.as_ref(), state.key_exchange().as_ref()) {
                // The exchange was replaced concurrently; the new one has to decide.
                continue;
            }
            self.advance_epoch(&mut state);
            state.suspension = Suspension::None;
            state.manually_set = exchanger.is_none();
            let previous = state.replace_exchanger(exchanger);
            if state.manually_set {
                state.chain = self.shared.new_renewal_chain();
                self.publish(&mut state, &credentials, now);
            } else {
                state.store_exchanged(&credentials);
                self.unpublish(&mut state);
            }
            // Dropped outside the lock, since its `Drop` is user code.
            break (state.generation, previous);
        };
        // Report again, for observers that were attached in the meantime.
        self.shared.report(&credentials);
        self.shared.audit(AuditEvent::Set, |record| {
            record.account(&self.name).credentials(&credentials).with_generation(generation)
        });
        Ok(generation)
    }

    /// Sets the provider. Credentials that were set before stay, and so does the key exchange.
    ///
    /// Ends a suspension, withdraws what the previous provider issued, and drops that provider.
    ///
    /// # Errors
    /// `Closed` after closing.
    pub(crate) fn set_provider(&self, provider: ArcProvider) -> Result<()> {
        // Declared before the lock, so that it is dropped after it: its `Drop` is user code.
        let _previous;
        let mut state = self.lock_open()?;
        state.suspension = Suspension::None;
        self.invalidate(&mut state);
        _previous = state.provider.replace(provider);
        Ok(())
    }

    /// Sets the key exchange. Credentials that were set before are no longer served, unless it accepts them.
    ///
    /// # Errors
    /// `Closed` after closing.
    pub(crate) fn set_key_exchange(&self, exchange: ArcKeyExchange) -> Result<()> {
        let provider = exchange.provider();
        let _previous = loop {
            let keys = self.manually_set_keys()?;
            let exchanger = keys.as_ref().and_then(|keys| exchange.exchange_for(keys));
            let mut state = self.lock_open()?;
            if state.manually_set != keys.is_some()
                || !keys.as_ref().is_none_or(|keys| self.holds_version(keys))
            {
                // Other credentials were set concurrently, which the exchange has not seen.
                continue;
            }
            state.suspension = Suspension::None;
            self.invalidate(&mut state);
            let previous_exchange = state.replace_key_exchange(Arc::clone(&exchange));
            let mut previous = [state.provider.replace(Arc::clone(&provider)), None];
            if exchanger.is_some() {
                self.advance_epoch(&mut state);
                state.manually_set = false;
                previous[1] = state.replace_exchanger(exchanger);
                keys.iter().for_each(|keys| state.store_exchanged(keys));
                self.unpublish(&mut state);
            }
            // Dropped outside the lock, since its `Drop` is user code.
            break (previous, previous_exchange);
        };
        Ok(())
    }

    /// Returns the current credentials if they were set directly.
    fn manually_set_keys(&self) -> Result<Option<Credentials>> {
        let state = self.lock_open()?;
        Ok(self.current().filter(|_| state.manually_set))
    }
}

/// Compares by address: an exchange that was replaced by an equal one still decides again, which is harmless.
fn is_same_exchange(before: Option<&ArcKeyExchange>, now: Option<&ArcKeyExchange>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => Arc::ptr_eq(before, now),
        (None, None) => true,
        _ => false,
    }
}
