//! Clears an account, and keeps it from calling its provider until something is set on the session again.

use super::state::{ArcKeyExchange, ArcProvider, Suspension};
use super::{AccountCache, CredentialsVersion, RenewalChain};
use crate::Result;

/// How far a clear reaches.
///
/// It decides what ends the suspension that follows: see [`Suspension`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClearKind {
    /// One account.
    Alone,
    /// All accounts of a session.
    WithSession,
    /// All accounts of a session, which is closed.
    Permanently,
}

/// The providers whose caches the caller clears once no lock is held, and the exchange to be dropped then.
pub(crate) type ClearedProviders = ([Option<ArcProvider>; 2], Option<ArcKeyExchange>);

impl AccountCache {
    /// Clears the account. It serves nothing until something is set on it, or with [`ClearKind::WithSession`] on any
    /// account of the session; with [`ClearKind::Permanently`] it never serves again.
    ///
    /// Returns the providers, so that the caller can clear their caches once no lock is held: `clear_cache` and `Drop`
    /// are user code.
    #[must_use]
    pub(crate) fn clear(&self, kind: ClearKind) -> ClearedProviders {
        let permanently = kind == ClearKind::Permanently;
        let mut state = self.cell.lock();
        self.advance_epoch(&mut state);
        state.manually_set = false;
        let exchanger = state.replace_exchanger(None);
        let provider = if permanently { state.provider.take() } else { state.provider.clone() };
        let exchange = if permanently { state.take_key_exchange() } else { None };
        if permanently {
            state.close();
        }
        let suspension = if kind == ClearKind::Alone { Suspension::Alone } else { Suspension::WithSession };
        // Before the notification, so that a watcher that it wakes sees that this was a clear.
        state.record_clear(&self.shared, suspension);
        self.unpublish(&mut state);
        ([provider, exchanger], exchange)
    }

    /// Returns whether the account was cleared or closed, and nothing was set since that ends this.
    pub(crate) fn is_suspended(&self) -> bool {
        self.cell.lock().is_suspended()
    }

    /// Returns whether the account was cleared on its own.
    pub(crate) fn is_suspended_alone(&self) -> bool {
        self.cell.lock().suspension == Suspension::Alone
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
        state.record_clear(&self.shared, Suspension::WithSession);
        state.chain = self.shared.new_renewal_chain();
        if !suspended {
            state.suspension = Suspension::None;
        }
    }

    /// Ends a suspension that came with a clear of the session.
    pub(crate) fn resume_with_session(&self) {
        let mut state = self.cell.lock();
        if state.suspension == Suspension::WithSession {
            state.suspension = Suspension::None;
        }
    }

    /// Allows calls to the provider again.
    ///
    /// The caller fetches next. Credentials that were cleared do not come back.
    pub(crate) fn resume(&self) {
        self.cell.lock().suspension = Suspension::None;
    }
}
