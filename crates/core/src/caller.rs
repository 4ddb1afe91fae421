//! `CallerIdentity`: whom AWS takes a set of credentials for.

use std::borrow::Cow;
use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use crate::{AccountId, Credentials, Result};

/// Whom AWS takes a set of credentials for, as `GetCallerIdentity` of STS tells it. No secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallerIdentity {
    account: AccountId,
    arn: Box<str>,
    user_id: Box<str>,
}

impl CallerIdentity {
    /// What was told, as it was told.
    pub fn new(account: AccountId, arn: impl Into<Box<str>>, user_id: impl Into<Box<str>>) -> Self {
        Self { account, arn: arn.into(), user_id: user_id.into() }
    }

    /// The account that the credentials belong to.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// The user, role session or federated user, such as `arn:aws:sts::111111111111:assumed-role/agent/valetkey-…`.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The unique id, such as `AROA…:valetkey-…` for a role session: what policies call `aws:userid`.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The name of the role session; `None` when the caller is none.
    #[must_use]
    pub fn session_name(&self) -> Option<&str> {
        let (_, role) = self.arn.split_once(":assumed-role/")?;
        role.rsplit_once('/').map(|(_, name)| name)
    }
}

/// Who can tell the caller behind a set of credentials: STS, by a call that needs no permission.
#[async_trait]
pub trait CallerIdentityProvider: fmt::Debug + Send + Sync {
    /// A short name for logs and errors.
    fn name(&self) -> Cow<'static, str>;

    /// Asks, each time anew. Cancel safe; without a time-out of its own, since [`CallerIdentityCache`](crate::CallerIdentityCache) has one.
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
