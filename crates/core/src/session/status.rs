//! The status of a session and its accounts: free of secrets, so it may be shown to any user and to the model.

use serde::Serialize;

use super::family::SessionInner;
use super::slot::AccountCache;
use super::{Freshness, Generation};
use crate::{AccountId, AccountName, Expiry, Principal, Region, SessionId};

/// Describes a session without its secrets.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SessionStatus {
    /// The id of the session, as in audit records.
    pub session: SessionId,
    /// The principal that the session acts for.
    pub principal: Option<Principal>,
    /// Whether the session has ended.
    pub closed: bool,
    /// The accounts, the default account first.
    pub accounts: Vec<AccountStatus>,
}

/// Describes one account of a session without its secrets.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct AccountStatus {
    /// The alias.
    pub account: AccountName,
    /// Whether this is the default account.
    pub default: bool,
    /// The provider of the current credentials, or the provider that the account would use.
    pub provider: Option<String>,
    /// The AWS account, if the provider reported it.
    pub account_id: Option<AccountId>,
    /// The region that the account is used in.
    pub region: Option<Region>,
    /// The last four characters of the access key id; absent without current credentials.
    pub key_suffix: Option<String>,
    /// When the current credentials expire; absent for long-lived keys and without current credentials.
    pub expires_at: Option<Expiry>,
    /// The freshness of the current credentials; absent without them.
    pub freshness: Option<Freshness>,
    /// The generation of the credentials within the account.
    pub generation: Generation,
    /// Whether the current credentials are temporary.
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
