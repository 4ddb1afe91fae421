//! `AccessScope`: how much authority a narrowed session has, and the restrictions that follow from it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::{SessionAccount, error};
use crate::{AccountName, CredentialProvider, Credentials, Error, Result, SessionId, SessionPolicy};

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
    pub(super) session_id: Option<SessionId>,
}

impl AccessScope {
    /// Creates a scope without restrictions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Restricts the session to these accounts. The default account stays the default if it is in the list, otherwise
    /// the first account of the list becomes the default.
    ///
    /// Duplicates are ignored. An account that the session does not have makes
    /// [`narrow`](crate::SessionContext::narrow) fail.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{AccessScope, AccountName, Credentials, SessionContext};
    /// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
    /// let session = SessionContext::builder().build();
    /// let prod: AccountName = "prod".parse()?;
    /// session.for_account(&prod).set_credentials(credentials)?;
    ///
    /// let child = session.narrow(AccessScope::new().accounts([prod.clone()]))?;
    /// assert_eq!(child.accounts(), [prod]);
    /// assert!(child.account(session.default_account()).is_err());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn accounts(mut self, names: impl IntoIterator<Item = AccountName>) -> Self {
        self.accounts = Some(names.into_iter().collect());
        self
    }

    /// Restricts every account to what `policy` allows.
    ///
    /// The policies of a session that was narrowed before continue to apply: a request is allowed if all of them
    /// allow it.
    pub fn policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Ends the session after `lifetime`, measured by the session's clock.
    ///
    /// By default, the session ends with its parent. A lifetime longer than that of the parent has no effect.
    ///
    /// # Examples
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use valetkey_core::testing::ManualClock;
    /// # use valetkey_core::{AccessScope, SessionContext};
    /// let clock = ManualClock::new();
    /// let session = SessionContext::builder().clock(Arc::new(clock.clone())).build();
    /// let child = session.narrow(AccessScope::new().lifetime(Duration::from_secs(900)))?;
    /// clock.advance(Duration::from_secs(900));
    /// assert!(child.is_closed() && !session.is_closed());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Sets the id of the session (default: a random one). For a session that another process has narrowed too, and whose
    /// records belong together; see [`SessionBuilder::session_id`](crate::SessionBuilder::session_id).
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{AccessScope, SessionContext, SessionId};
    /// let (session, id) = (SessionContext::builder().build(), SessionId::random());
    /// assert_eq!(session.narrow(AccessScope::new().session_id(id))?.id(), id);
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn session_id(mut self, id: SessionId) -> Self {
        self.session_id = Some(id);
        self
    }
}

/// Limits which accounts a session may have and what it may do.
///
/// A child checks its own restrictions first, and its parent then checks those of the parent: restrictions can only
/// be added on the way down.
pub(super) struct Restrictions {
    /// The accounts allowed in this session and its children (default: any).
    pub(super) allowed: Option<Box<[AccountName]>>,
    pub(super) narrowed: Option<NarrowState>,
}

/// Marks a session with less authority than its parent.
///
/// Fixed when the session is created: the holder of a session cannot widen it.
pub(super) struct NarrowState {
    /// Whether its accounts are its own, narrowed by a policy; otherwise it is a view of its parent's accounts.
    pub(super) own_accounts: bool,
    /// When the session ends.
    pub(super) deadline: Option<SystemTime>,
}

/// Adds to `error` which account cannot be narrowed.
///
/// Keeps the kind, and the field and next step if the error has them, so that a caller can act on the cause.
pub(super) fn with_account_context(name: &AccountName, error: &Error) -> Error {
    let named = Error::new(error.kind(), format!("account `{name}` cannot be narrowed: {}", error.message()))
        .with_field(error.field().unwrap_or("account").to_owned())
        .with_next_step(error.next_step().unwrap_or("narrow other accounts only").to_owned());
    match error.provider() {
        Some(provider) => named.with_provider(provider.to_owned()),
        None => named,
    }
}

/// Narrows the provider of an account. The provider is looked up at each fetch: it may be replaced, suspended by a
/// clear, or overridden by credentials that are set directly, and must not be used from then on.
#[derive(Debug)]
pub(super) struct NarrowedAccountProvider {
    account: SessionAccount,
    policy: SessionPolicy,
    /// No fetch is made after this instant. Background refreshers do not check the bounds of a session themselves.
    deadline: Option<SystemTime>,
}

impl NarrowedAccountProvider {
    pub(super) fn new(account: SessionAccount, policy: SessionPolicy, deadline: Option<SystemTime>) -> Self {
        Self { account, policy, deadline }
    }

    /// Returns the current provider of the account, narrowed.
    ///
    /// # Errors
    /// `Closed` after the deadline and once the session has ended; `NotConfigured` while the account has no
    /// provider that may be called; `Invalid` while its credentials are set directly; the error of the provider if
    /// it cannot apply the policy.
    pub(super) fn provider(&self) -> Result<Arc<dyn CredentialProvider>> {
        let now = self.account.session()?.shared.now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(error::closed());
        }
        let narrowed = self.account.cache()?.scope_down(&self.policy);
        narrowed.map_err(|error| with_account_context(self.account.account_name(), &error))
    }
}

#[async_trait]
impl CredentialProvider for NarrowedAccountProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("narrowed")
    }

    /// Fetches with what the account has now, not with what it had when the child was created.
    async fn provide(&self) -> Result<Credentials> {
        self.provider()?.credentials().await
    }

    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        self.provider()?.scope_down(policy)
    }
}
