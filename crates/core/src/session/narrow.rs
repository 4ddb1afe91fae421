//! `AccessScope`: how much authority a narrowed session has, and the restrictions that follow from it.

mod provider;

use std::time::{Duration, SystemTime};

use crate::{AccountName, Error, SessionPolicy};

pub(super) use provider::NarrowedAccountProvider;

/// Specifies how much of a session's authority a [narrowed](crate::SessionContext::narrow) session has (default: all of it).
///
/// # Examples
/// ```
/// # use std::time::Duration;
/// # use valetkey_core::{AccountName, AccessScope, SessionPolicy};
/// let scope = AccessScope::new()
///     .accounts(["prod".parse::<AccountName>()?])
///     .policy(SessionPolicy::read_only(["s3", "logs"])?)
///     .lifetime(Duration::from_secs(15 * 60));
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[must_use]
#[derive(Debug, Clone, Default)]
pub struct AccessScope {
    pub(super) accounts: Option<Vec<AccountName>>,
    pub(super) policy: Option<SessionPolicy>,
    pub(super) lifetime: Option<Duration>,
}

impl AccessScope {
    /// Creates a scope without restrictions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Restricts the session to these accounts. The default account stays the default if it is in the list, otherwise
    /// the first account of the list becomes the default.
    pub fn accounts(mut self, aliases: impl IntoIterator<Item = AccountName>) -> Self {
        self.accounts = Some(aliases.into_iter().collect());
        self
    }

    /// Restricts every account to what `policy` allows.
    pub fn policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Ends the session after `lifetime`, measured by the session's clock.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }
}

/// Limits which accounts a session may have and what it may do.
pub(super) struct Restrictions {
    /// The accounts allowed in this session and its children (default: any).
    pub(super) allowed: Option<Box<[AccountName]>>,
    pub(super) narrowed: Option<NarrowState>,
}

/// Marks a session with less authority than its parent.
pub(super) struct NarrowState {
    /// Whether its accounts are its own, narrowed by a policy; otherwise it is a view of its parent's accounts.
    pub(super) own_accounts: bool,
    /// When the session ends.
    pub(super) deadline: Option<SystemTime>,
}

/// Adds to `error` which account cannot be narrowed.
pub(super) fn with_account_context(alias: &AccountName, error: &Error) -> Error {
    let named =
        Error::new(error.kind(), format!("account `{alias}` cannot be narrowed: {}", error.message()))
            .with_field(error.field().unwrap_or("account").to_owned())
            .with_next_step(error.next_step().unwrap_or("narrow other accounts only").to_owned());
    match error.provider() {
        Some(provider) => named.with_provider(provider.to_owned()),
        None => named,
    }
}
