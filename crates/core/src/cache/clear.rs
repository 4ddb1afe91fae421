//! Clears an account, and keeps it from calling its provider until something is set on the session again.

use super::state::{ArcKeyExchange, ArcProvider};
use super::{AccountCache, CredentialsVersion, RenewalChain};
use crate::Result;

/// The providers whose caches the caller clears once no lock is held, and the exchange to be dropped then.
pub(crate) type ClearedProviders = ([Option<ArcProvider>; 2], Option<ArcKeyExchange>);

impl AccountCache {
    /// Clears the account. With `for_good` it never serves again, otherwise not until something is set on the session.
    /// Returns the providers, so that the caller can make them forget once no lock is held: `forget` and `Drop` are
    /// user code.
    #[must_use]
    pub(crate) fn clear(&self, for_good: bool) -> ClearedProviders {
        let mut state = self.cell.lock();
        self.advance_epoch(&mut state);
        state.manually_set = false;
        let exchanger = state.replace_exchanger(None);
        let provider = if for_good { state.provider.take() } else { state.provider.clone() };
        let exchange = if for_good { state.take_key_exchange() } else { None };
        if for_good {
            state.close();
        }
        // Before the announcement, so that a watcher that it wakes sees that this was a clear.
        state.record_clear(&self.shared);
        self.unpublish(&mut state);
        ([provider, exchanger], exchange)
    }

    /// Returns whether the account was cleared or closed, and nothing was set on the session since.
    pub(crate) fn is_suspended(&self) -> bool {
        self.cell.lock().suspended
    }

    /// Returns whether the account has a provider, suspended or not.
    pub(crate) fn has_provider(&self) -> bool {
        self.cell.lock().provider.is_some()
    }

    /// Returns whether the account was cleared after it published the credentials `id`.
    pub(crate) fn was_cleared_since(&self, id: CredentialsVersion) -> bool {
        id.is_before(self.cell.lock().last_clear)
    }

    /// Identifies the last clear.
    ///
    /// # Errors
    /// `Closed` after closing.
    pub(crate) fn last_clear(&self) -> Result<RenewalChain> {
        self.lock_open().map(|state| state.last_clear)
    }

    /// Marks a new account as cleared: the session was cleared before this account was created, so what it inherited
    /// under this name was cleared then.
    pub(crate) fn init_cleared(&self, suspended: bool) {
        let mut state = self.cell.lock();
        state.record_clear(&self.shared);
        state.chain = self.shared.new_renewal_chain();
        state.suspended = suspended;
    }

    /// Allows calls to the provider again.
    pub(crate) fn resume(&self) {
        self.cell.lock().suspended = false;
    }
}
