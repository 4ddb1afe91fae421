//! Until when AWS accepts what an account has held.

use super::{AccountCache, State};
use crate::clock::{Nanos, nanos};
use crate::{Credentials, Expiry};

impl AccountCache {
    /// Returns when the last of all credentials that were ever held here expires: zero if there were none, `MAX` if
    /// any of them never expires, or only after the year 2554.
    pub(in crate::session) fn lives_until(&self) -> Nanos {
        self.gate.lock().lives_until
    }

    /// Includes credentials that another session held.
    pub(in crate::session) fn outlive(&self, until: Nanos) {
        let mut turn = self.gate.lock();
        turn.lives_until = turn.lives_until.max(until);
    }
}

impl State {
    pub(super) fn record_exposure(&mut self, held: &Credentials) {
        let until = match held.expiry() {
            Expiry::At(instant) => nanos(instant),
            Expiry::Never => Nanos::MAX,
        };
        self.lives_until = self.lives_until.max(until);
    }
}
