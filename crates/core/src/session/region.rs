//! Resolves the region of an account at each use; it is never stored with credentials that specify none.

use super::family::Member;
use super::{SessionAccount, SessionContext};
use crate::{Alias, Region};

impl SessionContext {
    /// Returns the region that the account's credentials specify, otherwise the account's own setting, otherwise the
    /// session's. `None` if none of them specifies one: [`resolved_region`](Self::resolved_region) then uses further
    /// sources.
    #[must_use]
    pub fn region_for(&self, account: &Alias) -> Option<Region> {
        self.member().region_for(account)
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
    pub fn resolved_region(&self, account: &Alias) -> Region {
        self.member().resolved_region(account)
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

impl Member {
    pub(super) fn region_for(&self, alias: &Alias) -> Option<Region> {
        self.region_of_account(alias).or_else(|| self.region.as_deref().cloned())
    }

    pub(super) fn resolved_region(&self, alias: &Alias) -> Region {
        let named = self.region_for(alias).or_else(|| self.environment_region(alias));
        named.unwrap_or_else(Region::us_east_1)
    }

    /// Returns the region that the credentials or the account specify.
    fn region_of_account(&self, alias: &Alias) -> Option<Region> {
        let own = self.slot(alias).ok().and_then(|slot| slot.region());
        own.or_else(|| self.narrowed_from()?.region_of_account(alias))
    }

    fn environment_region(&self, alias: &Alias) -> Option<Region> {
        let of_credentials = self.slot(alias).ok().and_then(|slot| slot.environment_region());
        let of_parent = || self.narrowed_from()?.environment_region(alias);
        of_credentials.or_else(of_parent).or_else(|| self.surroundings.environment_region())
    }

    /// Returns the session whose accounts this session narrows by a policy: they are used in the same regions.
    fn narrowed_from(&self) -> Option<&Self> {
        let narrowed = self.narrowed().filter(|narrowed| narrowed.own_accounts);
        narrowed.and(self.parent.as_deref())
    }
}
