//! What a local cloud consists of: users with their keys, roles with their trust, secrets with their readers.

use std::fmt;
use std::time::Duration;

use valetkey::SecretString;

/// Everything a local cloud knows when it starts.
#[derive(Debug, Default)]
pub(crate) struct CloudPlan {
    pub(super) users: Vec<UserPlan>,
    pub(super) roles: Vec<RolePlan>,
    pub(super) secrets: Vec<SecretPlan>,
}

impl CloudPlan {
    /// An empty cloud, which refuses everybody.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a user with a long-lived key.
    pub(crate) fn user(mut self, user: UserPlan) -> Self {
        self.users.push(user);
        self
    }

    /// Adds a role.
    pub(crate) fn role(mut self, role: RolePlan) -> Self {
        self.roles.push(role);
        self
    }

    /// Adds a secret.
    pub(crate) fn secret(mut self, secret: SecretPlan) -> Self {
        self.secrets.push(secret);
        self
    }
}

/// An IAM user with one long-lived key pair.
pub(crate) struct UserPlan {
    pub(super) account: String,
    pub(super) name: String,
    pub(super) access_key_id: String,
    pub(super) secret_access_key: SecretString,
}

impl UserPlan {
    /// A user of an account; the key pair comes from the caller, fresh for every run.
    pub(crate) fn new(account: &str, name: &str, access_key_id: &str, secret_access_key: &str) -> Self {
        Self {
            account: account.into(),
            name: name.into(),
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
        }
    }
}

impl fmt::Debug for UserPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserPlan")
            .field("account", &self.account)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A role, and who may assume it on which condition.
pub(crate) struct RolePlan {
    pub(super) arn: String,
    pub(super) trusted: Vec<String>,
    pub(super) external_id: Option<String>,
    pub(super) max_session: Duration,
}

impl RolePlan {
    /// A role which nobody may assume yet, for sessions of up to one hour.
    pub(crate) fn new(arn: &str) -> Self {
        Self {
            arn: arn.into(),
            trusted: Vec::new(),
            external_id: None,
            max_session: Duration::from_secs(3600),
        }
    }

    /// Trusts an account id (all its principals), or the ARN of one user or role.
    pub(crate) fn trusts(mut self, principal: &str) -> Self {
        self.trusted.push(principal.into());
        self
    }

    /// Requires this external id.
    pub(crate) fn external_id(mut self, external_id: &str) -> Self {
        self.external_id = Some(external_id.into());
        self
    }

    /// Allows sessions of up to this length.
    pub(crate) fn max_session(mut self, longest: Duration) -> Self {
        self.max_session = longest;
        self
    }
}

impl fmt::Debug for RolePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RolePlan")
            .field("arn", &self.arn)
            .field("trusted", &self.trusted)
            .finish_non_exhaustive()
    }
}

/// A secret, and whose principals may read it.
pub(crate) struct SecretPlan {
    pub(super) account: String,
    pub(super) name: String,
    pub(super) value: String,
    pub(super) readers: Vec<String>,
}

impl SecretPlan {
    /// A secret which the principals of its own account may read.
    pub(crate) fn new(account: &str, name: &str, value: &str) -> Self {
        Self {
            account: account.into(),
            name: name.into(),
            value: value.into(),
            readers: vec![account.into()],
        }
    }

    /// Lets the principals of another account read it too.
    pub(crate) fn readable_by(mut self, account: &str) -> Self {
        self.readers.push(account.into());
        self
    }
}

impl fmt::Debug for SecretPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretPlan")
            .field("account", &self.account)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
