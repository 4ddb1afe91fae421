//! `OutstandingCredentials`: the credentials that AWS still accepts after a session has ended.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use super::inner::SessionInner;
use crate::clock::Nanos;
use crate::{AccountName, Expiry, Principal, SessionId};

/// Reports which credentials AWS still accepts from any holder of a copy: those that a session and its children held
/// and that have not expired. Clearing and closing stop serving them, but do not revoke them; a
/// [`RevocationPolicy`](crate::RevocationPolicy) does.
///
/// Credentials count from the moment when the session obtained them, since the session cannot know which were copied,
/// and also after they were rotated away. The reported instants are therefore upper bounds: copies *may* work until
/// then.
///
/// # Examples
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use valetkey_core::{Credentials, Expiry, SecretString, SessionContext};
/// # let in_an_hour = Expiry::At(SystemTime::now() + Duration::from_secs(3600));
/// # let temporary = Credentials::builder("ASIAIOSFODNN7EXAMPLE".parse()?, "example".into())
/// #     .session_token(SecretString::from("example-token"))
/// #     .expiry(in_an_hour)
/// #     .build()?;
/// let session = SessionContext::builder().build();
/// session.set_credentials(temporary)?; // expire in an hour
///
/// let outstanding = session.close();
/// let account = &outstanding.accounts[0];
/// assert_eq!(account.account.as_str(), "default");
/// assert_eq!(account.expires_at, in_an_hour);
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OutstandingCredentials {
    /// The session, as in its audit log, and in the names and tags that [`Attribution`](crate::Attribution) adds to
    /// credentials.
    pub session: SessionId,
    /// The principal that the session acts for.
    pub principal: Option<Principal>,
    /// The accounts whose credentials may still work. Credentials that a child held on an account of its own are
    /// reported under the default account.
    pub accounts: Vec<OutstandingAccount>,
}

/// Reports one account whose credentials may still work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OutstandingAccount {
    /// The name.
    pub account: AccountName,
    /// When the last credentials of the account expire. `Never` for long-lived keys, which work until their owner
    /// deletes them.
    pub expires_at: Expiry,
}

impl OutstandingCredentials {
    /// Reports which credentials of a session still work now.
    ///
    /// Children that still live are counted first. Children that have ended added theirs when they did.
    pub(super) fn of(session: &SessionInner) -> Self {
        session.collect_children();
        let now = session.shared.now();
        let outstanding = session
            .latest_expiry()
            .into_iter()
            .map(|(account, nanos)| OutstandingAccount { account, expires_at: expiry_from_nanos(nanos) });
        Self {
            session: session.shared.id,
            principal: session.shared.principal.clone(),
            accounts: outstanding.filter(|account| !account.expires_at.has_passed(now)).collect(),
        }
    }

    /// Returns whether no credentials work any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Returns when the last credentials expire; `None` when no credentials work any more.
    ///
    /// `Never` counts as later than any instant.
    #[must_use]
    pub fn expires_at(&self) -> Option<Expiry> {
        self.accounts.iter().map(|account| account.expires_at).max()
    }
}

/// Zero, which stands for an account that never held credentials, becomes 1970: an instant that has passed.
pub(super) fn expiry_from_nanos(nanos: Nanos) -> Expiry {
    if nanos == Nanos::MAX { Expiry::Never } else { Expiry::At(UNIX_EPOCH + Duration::from_nanos(nanos)) }
}
