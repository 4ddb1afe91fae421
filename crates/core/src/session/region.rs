//! Resolves the region of an account at each use; it is never stored with credentials that specify none.

use super::family::SessionInner;
use super::{SessionAccount, SessionContext};
use crate::{AccountName, Region};

impl SessionContext {
    /// Returns the region that the account's credentials specify, otherwise the account's own setting, otherwise the
    /// session's. `None` if none of them specifies one: [`resolved_region`](Self::resolved_region) then uses further
    /// sources.
    #[must_use]
    pub fn region_for(&self, account: &AccountName) -> Option<Region> {
        self.inner().region_for(account)
    }

    /// Returns the region to use the account in: that of its credentials, the account, the session, the environment,
    /// or else `us-east-1`.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Region, SessionContext};
    /// let session = SessionContext::builder().environment_region("eu-west-1".parse()?).build();
    /// assert_eq!(session.resolved_region(session.default_account()).as_str(), "eu-west-1");
    /// assert_eq!(session.region_for(session.default_account()), None);
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    #[must_use]
    pub fn resolved_region(&self, account: &AccountName) -> Region {
        self.inner().resolved_region(account)
    }
}

impl SessionAccount {
    /// Returns the region that the credentials, the account or the session specify; see
    /// [`SessionContext::region_for`].
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        self.session.upgrade()?.region_for(self.alias())
    }

    /// Returns the region that the environment specifies: that of the environment in which the credentials were
    /// fetched, otherwise [the session's](super::SessionBuilder::environment_region).
    #[must_use]
    pub fn environment_region(&self) -> Option<Region> {
        self.session.upgrade()?.environment_region(self.alias())
    }

    /// Returns the region to use the account in; see [`SessionContext::resolved_region`].
    #[must_use]
    pub fn resolved_region(&self) -> Region {
        let session = self.session.upgrade();
        session.map_or_else(Region::us_east_1, |session| session.resolved_region(self.alias()))
    }
}

impl SessionInner {
    pub(super) fn region_for(&self, alias: &AccountName) -> Option<Region> {
        self.account_region(alias).or_else(|| self.region.as_deref().cloned())
    }

    pub(super) fn resolved_region(&self, alias: &AccountName) -> Region {
        let configured = self.region_for(alias).or_else(|| self.environment_region(alias));
        configured.unwrap_or_else(Region::us_east_1)
    }

    /// Returns the region that the credentials or the account specify.
    fn account_region(&self, alias: &AccountName) -> Option<Region> {
        let own = self.account_cache(alias).ok().and_then(|slot| slot.region());
        own.or_else(|| self.narrowed_parent()?.account_region(alias))
    }

    fn environment_region(&self, alias: &AccountName) -> Option<Region> {
        let fetched = self.account_cache(alias).ok().and_then(|slot| slot.environment_region());
        let inherited = || self.narrowed_parent()?.environment_region(alias);
        fetched.or_else(inherited).or_else(|| self.surroundings.environment_region())
    }

    /// Returns the session whose accounts this session narrows by a policy: they are used in the same regions.
    fn narrowed_parent(&self) -> Option<&Self> {
        let narrowed = self.narrow_state().filter(|narrowed| narrowed.own_accounts);
        narrowed.and(self.parent.as_deref())
    }
}
