//! What an account remembers of the last clear.

use super::{AccountCache, State};
use crate::Result;
use crate::session::CredentialsVersion;
use crate::session::rotation::RenewalChain;
use crate::session::surroundings::SessionShared;

impl AccountCache {
    /// Whether the account was cleared or closed, and nothing was given to the session since.
    pub(in crate::session) fn is_dormant(&self) -> bool {
        self.gate.lock().dormant
    }

    /// Whether a provider was given to the account, asleep or not.
    pub(in crate::session) fn has_provider(&self) -> bool {
        self.gate.lock().provider.is_some()
    }

    /// Whether the account was cleared after it published the credentials `id`.
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

    /// The session was cleared before this account was created: what it inherited under this name was cleared then.
    pub(in crate::session) fn begin_cleared(&self, dormant: bool) {
        let mut turn = self.gate.lock();
        turn.record_clear(&self.surroundings);
        turn.lineage = self.surroundings.new_renewal_chain();
        turn.dormant = dormant;
    }

    /// The provider may be asked again.
    pub(in crate::session) fn wake(&self) {
        self.gate.lock().dormant = false;
    }
}

impl State {
    /// Every credentials published from now on are of a later lineage than `cleared`, and all before of an earlier one.
    pub(super) fn record_clear(&mut self, surroundings: &SessionShared) {
        self.cleared = surroundings.new_renewal_chain();
        self.dormant = true;
    }
}
