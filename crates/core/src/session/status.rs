//! The status of a session and its accounts: free of secrets, so it may be shown to any user and to the model.

use serde::Serialize;

use super::inner::SessionInner;
use crate::cache::{AccountCache, Freshness, Generation};
use crate::{AccountId, AccountName, Credentials, Expiry, Principal, Region, SessionId};

/// Describes a session without its secrets.
///
/// It is serialized with the names of its fields, for tool results and status commands.
///
/// # Examples
/// ```
/// # use valetkey_core::SessionContext;
/// let session = SessionContext::builder().principal("alice".parse()?).build();
/// let status = serde_json::to_value(session.status()).expect("a status can be serialized");
/// assert_eq!(status["principal"], "alice");
/// assert_eq!(status["closed"], false);
/// assert_eq!(status["accounts"][0]["account"], "default");
/// # Ok::<_, valetkey_core::Error>(())
/// ```
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
///
/// # Examples
/// ```
/// # use valetkey_core::{Credentials, SessionContext};
/// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
/// let session = SessionContext::builder().build();
/// session.set_credentials(credentials)?;
/// let status = session.account(session.default_account())?.status()?;
/// assert!(status.default);
/// assert_eq!(status.key_suffix.as_deref(), Some("MPLE"));
/// assert_eq!(status.expires_at, Some(valetkey_core::Expiry::Never));
/// assert!(!status.has_session_token);
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct AccountStatus {
    /// The name.
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

impl SessionStatus {
    /// Accounts that the session inherits are included, as this session serves them.
    pub(super) fn of(session: &SessionInner) -> Self {
        Self {
            session: session.shared.id,
            principal: session.shared.principal.clone(),
            closed: session.is_closed(),
            accounts: session.accounts().iter().map(|cache| AccountStatus::of(session, cache)).collect(),
        }
    }
}

impl AccountStatus {
    /// Reads the credentials once, so that the values that belong to them describe the same version. The generation and
    /// the region are read separately, and a concurrent change may have reached them first.
    pub(super) fn of(session: &SessionInner, cache: &AccountCache) -> Self {
        let current = cache.current();
        let credentials = current.as_ref();
        Self {
            account: cache.name().clone(),
            default: cache.name() == session.default_account().name(),
            provider: credentials
                .map(|credentials| credentials.provider().to_owned())
                .or_else(|| cache.provider_name()),
            account_id: credentials.and_then(|credentials| credentials.account_id().cloned()),
            region: Some(session.resolved_region(cache.name())),
            key_suffix: credentials.map(|credentials| credentials.access_key_id().last_four().to_owned()),
            expires_at: credentials.map(|credentials| session.announced_expiry(credentials.expiry())),
            freshness: credentials.map(|credentials| credentials.metadata().freshness(session.shared.now())),
            generation: cache.generation(),
            has_session_token: credentials.is_some_and(Credentials::has_session_token),
        }
    }
}
