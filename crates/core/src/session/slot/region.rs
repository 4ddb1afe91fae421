//! The region that an account's credentials or settings specify.

use super::{AccountCache, State};
use crate::Region;

impl AccountCache {
    /// Returns the region of the credentials, otherwise that of the account.
    pub(in crate::session) fn region(&self) -> Option<Region> {
        let of_credentials = self.current().and_then(|current| current.region().cloned());
        of_credentials.or_else(|| self.gate.lock().region())
    }

    /// Returns the region of the environment in which the credentials were fetched.
    pub(in crate::session) fn environment_region(&self) -> Option<Region> {
        self.current().and_then(|current| current.environment_region().cloned())
    }

    pub(in crate::session) fn set_region(&self, region: Region) {
        self.gate.lock().set_region(region);
    }
}

impl State {
    fn region(&self) -> Option<Region> {
        self.rarity.as_ref()?.region.clone()
    }

    fn set_region(&mut self, region: Region) {
        self.rarity.get_or_insert_default().region = Some(region);
    }
}
