//! The state of an account after a clear.

use super::{AccountCache, State};
use crate::Result;
use crate::session::CredentialsVersion;
use crate::session::rotation::RenewalChain;
use crate::session::surroundings::SessionShared;

impl AccountCache {
    /// Returns whether the account was cleared or closed, and nothing was set on the session since.
    pub(in crate::session) fn is_dormant(&self) -> bool {
        self.gate.lock().dormant
    }

    /// Returns whether the account has a provider, suspended or not.
    pub(in crate::session) fn has_provider(&self) -> bool {
        self.gate.lock().provider.is_some()
    }

    /// Returns whether the account was cleared after it published the credentials `id`.
    pub(in crate::session) fn was_cleared_since(&self, id: CredentialsVersion) -> bool {
        id.is_before(self.gate.lock().cleared)
    }

    /// Identifies the last clear.
    ///
    /// # Errors
    /// `Closed` after closing.
    pub(in crate::session) fn last_clear(&self) -> Result<RenewalChain> {
        self.enter_open().map(|turn| turn.cleared)
    }

    /// Marks a new account as cleared: the session was cleared before this account was created, so what it inherited
    /// under this name was cleared then.
    pub(in crate::session) fn begin_cleared(&self, dormant: bool) {
        let mut turn = self.gate.lock();
        turn.record_clear(&self.surroundings);
        turn.lineage = self.surroundings.new_renewal_chain();
        turn.dormant = dormant;
    }

    /// Allows calls to the provider again.
    pub(in crate::session) fn wake(&self) {
        self.gate.lock().dormant = false;
    }
}

impl State {
    /// Credentials published from now on have a later lineage than `cleared`, and earlier ones an earlier lineage.
    pub(super) fn record_clear(&mut self, surroundings: &SessionShared) {
        self.cleared = surroundings.new_renewal_chain();
        self.dormant = true;
    }
}
