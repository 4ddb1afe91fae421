//! Resolves the region of an account at each use; it is never stored with credentials that specify none.

use super::SessionInner;
use crate::{AccountName, Region};

impl SessionInner {
    /// Returns the configured region: of the credentials, the account, or the session. `None` leaves the choice to
    /// the environment.
    pub(in crate::session) fn region_for(&self, alias: &AccountName) -> Option<Region> {
        self.account_region(alias).or_else(|| self.region.as_deref().cloned())
    }

    /// Returns the region to use. `us-east-1`, the last resort, applies when no source specifies one.
    pub(in crate::session) fn resolved_region(&self, alias: &AccountName) -> Region {
        let configured = self.region_for(alias).or_else(|| self.environment_region(alias));
        configured.unwrap_or_else(Region::us_east_1)
    }

    /// Returns the region that the credentials or the account specify.
    fn account_region(&self, alias: &AccountName) -> Option<Region> {
        let own = self.account_cache(alias).ok().and_then(|cache| cache.region());
        own.or_else(|| self.narrowed_parent()?.account_region(alias))
    }

    /// Returns the region of the environment in which the credentials were fetched, otherwise that of the host.
    pub(in crate::session) fn environment_region(&self, alias: &AccountName) -> Option<Region> {
        let fetched = self.account_cache(alias).ok().and_then(|cache| cache.environment_region());
        let inherited = || self.narrowed_parent()?.environment_region(alias);
        fetched.or_else(inherited).or_else(|| self.shared.environment_region())
    }

    /// Returns the session whose accounts this session narrows by a policy: they are used in the same regions.
    fn narrowed_parent(&self) -> Option<&Self> {
        let narrowed = self.narrow_state().filter(|narrowed| narrowed.own_accounts);
        narrowed.and(self.parent.as_deref())
    }
}
