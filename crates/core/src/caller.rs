//! `CallerIdentity`: the AWS identity behind credentials.

use std::borrow::Cow;
use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use crate::{AccountId, Credentials, Result};

/// The AWS identity behind credentials, as returned by `GetCallerIdentity` of STS. Not secret.
///
/// # Examples
/// ```
/// # use valetkey_core::CallerIdentity;
/// let arn = "arn:aws:sts::111111111111:assumed-role/agent/valetkey-7";
/// let caller = CallerIdentity::new("111111111111".parse()?, arn, "AROA:valetkey-7");
/// assert_eq!(caller.session_name(), Some("valetkey-7"));
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallerIdentity {
    account: AccountId,
    arn: Box<str>,
    user_id: Box<str>,
}

impl CallerIdentity {
    /// Creates an identity from the unmodified fields of the response.
    ///
    /// The ARN and the id are not checked.
    pub fn new(account: AccountId, arn: impl Into<Box<str>>, user_id: impl Into<Box<str>>) -> Self {
        Self { account, arn: arn.into(), user_id: user_id.into() }
    }

    /// Returns the account that the credentials belong to.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Returns the ARN of the user, role session or federated user, such as
    /// `arn:aws:sts::111111111111:assumed-role/agent/valetkey-…`.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Returns the unique id, such as `AROA…:valetkey-…` for a role session. Policies refer to it as `aws:userid`.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Returns the name of the role session; `None` when the caller is not a role session.
    #[must_use]
    pub fn session_name(&self) -> Option<&str> {
        let (_, role) = self.arn.split_once(":assumed-role/")?;
        role.rsplit_once('/').map(|(_, name)| name)
    }
}

/// Looks up the identity behind credentials. STS does so with a call that needs no permission.
///
/// # Examples
/// ```
/// use std::borrow::Cow;
///
/// use valetkey_core::{CallerIdentity, CallerIdentityProvider, Credentials, Result, async_trait};
///
/// /// Returns the same identity for all credentials, as an emulator does.
/// #[derive(Debug)]
/// struct FixedIdentity(CallerIdentity);
///
/// #[async_trait]
/// impl CallerIdentityProvider for FixedIdentity {
///     fn name(&self) -> Cow<'static, str> {
///         Cow::Borrowed("fixed-identity")
///     }
///
///     async fn caller_identity(&self, _credentials: &Credentials) -> Result<CallerIdentity> {
///         Ok(self.0.clone())
///     }
/// }
/// # let root = CallerIdentity::new("000000000000".parse()?, "arn:aws:iam::000000000000:root", "root");
/// # assert_eq!(FixedIdentity(root).name(), "fixed-identity");
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[async_trait]
pub trait CallerIdentityProvider: fmt::Debug + Send + Sync {
    /// Returns a short name for logs and errors.
    fn name(&self) -> Cow<'static, str>;

    /// Looks up the identity, without a cache. Needs no timeout of its own, since
    /// [`CallerIdentityCache`](crate::CallerIdentityCache) has one.
    ///
    /// # Errors
    /// `Denied` when AWS does not accept the credentials, and transient kinds when it cannot be reached. No error may
    /// hold a secret.
    async fn caller_identity(&self, credentials: &Credentials) -> Result<CallerIdentity>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_name_exists_only_for_role_sessions() {
        for (arn, name) in [
            ("arn:aws:sts::111111111111:assumed-role/agent/valetkey-7", Some("valetkey-7")),
            ("arn:aws-cn:sts::111111111111:assumed-role/agent/a@b", Some("a@b")),
            ("arn:aws:sts::111111111111:federated-user/alice", None),
            ("arn:aws:iam::111111111111:user/team/alice", None),
            ("arn:aws:iam::111111111111:root", None),
        ] {
            let caller = CallerIdentity::new("111111111111".parse().unwrap(), arn, "AIDA");
            assert_eq!(caller.session_name(), name, "{arn}");
        }
    }
}
