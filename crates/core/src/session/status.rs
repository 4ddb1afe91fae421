//! What may be shown to anyone, the model included.

use serde::Serialize;

use super::family::SessionInner;
use super::slot::AccountCache;
use super::{Freshness, Generation};
use crate::{AccountId, AccountName, Expiry, Principal, Region, SessionId};

/// A session, without its secrets.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SessionStatus {
    /// Identifies the session in audit records.
    pub session: SessionId,
    /// Whom the session acts for.
    pub principal: Option<Principal>,
    /// Whether the session has ended.
    pub closed: bool,
    /// Its accounts, the default one first.
    pub accounts: Vec<AccountStatus>,
}

/// One account of a session, without its secrets.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct AccountStatus {
    /// The alias.
    pub account: AccountName,
    /// Whether it is the default account.
    pub default: bool,
    /// Who provided the set in hand, or would provide one.
    pub provider: Option<String>,
    /// The AWS account, as far as the provider said.
    pub account_id: Option<AccountId>,
    /// The region that the account is used in.
    pub region: Option<Region>,
    /// The last four characters of the access key id; absent when no set is in hand.
    pub key_suffix: Option<String>,
    /// Until when the set in hand works; absent for long-lived keys and when no set is in hand.
    pub expires_at: Option<Expiry>,
    /// How fresh the set in hand is; absent when there is none.
    pub freshness: Option<Freshness>,
    /// The number of the set within its account.
    pub generation: Generation,
    /// Whether the set in hand is temporary.
    pub has_session_token: bool,
}

impl SessionInner {
    pub(super) fn status(&self) -> SessionStatus {
        SessionStatus {
            session: self.surroundings.id,
            principal: self.surroundings.principal.clone(),
            closed: self.is_closed(),
            accounts: self.accounts().iter().map(|slot| self.account_status(slot)).collect(),
        }
    }

    pub(super) fn account_status(&self, slot: &AccountCache) -> AccountStatus {
        let current = slot.current();
        let set = current.as_ref();
        AccountStatus {
            account: slot.alias().clone(),
            default: slot.alias() == self.default_account().alias(),
            provider: set.map(|set| set.provider().to_owned()).or_else(|| slot.provider_name()),
            account_id: set.and_then(|set| set.account_id().cloned()),
            region: Some(self.resolved_region(slot.alias())),
            key_suffix: set.map(|set| set.access_key_id().last_four().to_owned()),
            expires_at: set.map(|set| self.announced_expiry(set.expiry())),
            freshness: set.map(|set| set.metadata().freshness(self.surroundings.now())),
            generation: slot.generation(),
            has_session_token: set.is_some_and(|set| set.has_session_token()),
        }
    }
}
