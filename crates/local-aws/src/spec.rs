//! The specification of a local AWS: users with their keys, roles with their trust, secrets with their readers.

use std::fmt;
use std::io;
use std::time::Duration;

use secrecy::SecretString;

use super::server::LocalAws;
use super::services::Services;

/// Builds and starts a [`LocalAws`] with the given users, roles and secrets.
#[derive(Debug, Default)]
#[must_use = "a local AWS exists once it is started"]
pub struct LocalAwsBuilder {
    pub(super) users: Vec<UserSpec>,
    pub(super) roles: Vec<RoleSpec>,
    pub(super) secrets: Vec<SecretSpec>,
}

impl LocalAwsBuilder {
    /// Adds a user with long-lived keys.
    pub fn user(mut self, user: UserSpec) -> Self {
        self.users.push(user);
        self
    }

    /// Adds a role.
    pub fn role(mut self, role: RoleSpec) -> Self {
        self.roles.push(role);
        self
    }

    /// Adds a secret.
    pub fn secret(mut self, secret: SecretSpec) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Starts the server on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// `InvalidInput` if a role ARN is malformed, if two users have the same access key id, or if two secrets of one
    /// account have the same name; otherwise the error of the network.
    pub async fn start(self) -> io::Result<LocalAws> {
        LocalAws::serve(Services::build(self)?).await
    }
}

/// An IAM user with one pair of long-lived keys.
pub struct UserSpec {
    pub(super) account: String,
    pub(super) name: String,
    pub(super) access_key_id: String,
    pub(super) secret_access_key: SecretString,
}

impl UserSpec {
    /// Creates a user `name` in `account`, a 12-digit account id.
    #[must_use]
    pub fn new(account: &str, name: &str, access_key_id: &str, secret_access_key: &str) -> Self {
        Self {
            account: account.into(),
            name: name.into(),
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
        }
    }
}

impl fmt::Debug for UserSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSpec")
            .field("account", &self.account)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A role with its trust policy and its maximum session duration.
#[must_use]
pub struct RoleSpec {
    pub(super) arn: String,
    pub(super) trusted_principals: Vec<String>,
    pub(super) external_id: Option<String>,
    pub(super) max_session_duration: Duration,
}

impl RoleSpec {
    /// Creates a role that trusts no principal and has sessions of up to one hour.
    pub fn new(arn: &str) -> Self {
        Self {
            arn: arn.into(),
            trusted_principals: Vec::new(),
            external_id: None,
            max_session_duration: Duration::from_secs(3600),
        }
    }

    /// Trusts an account id (all principals of the account), or the ARN of a user or role.
    pub fn trusts(mut self, principal: &str) -> Self {
        self.trusted_principals.push(principal.into());
        self
    }

    /// Requires this external id (default: none).
    pub fn external_id(mut self, external_id: &str) -> Self {
        self.external_id = Some(external_id.into());
        self
    }

    /// Allows sessions of up to `max_session_duration` (default: one hour).
    pub fn max_session_duration(mut self, max_session: Duration) -> Self {
        self.max_session_duration = max_session;
        self
    }
}

/// Omits the external id.
impl fmt::Debug for RoleSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoleSpec")
            .field("arn", &self.arn)
            .field("trusted", &self.trusted_principals)
            .finish_non_exhaustive()
    }
}

/// A secret and the accounts whose principals may read it.
#[must_use]
pub struct SecretSpec {
    pub(super) account: String,
    pub(super) name: String,
    pub(super) value: SecretString,
    pub(super) readers: Vec<String>,
}

impl SecretSpec {
    /// Creates a secret that the principals of its own account may read.
    pub fn new(account: &str, name: &str, value: &str) -> Self {
        Self {
            account: account.into(),
            name: name.into(),
            value: value.into(),
            readers: vec![account.into()],
        }
    }

    /// Allows the principals of another account to read the secret too.
    pub fn readable_by(mut self, account: &str) -> Self {
        self.readers.push(account.into());
        self
    }
}

impl fmt::Debug for SecretSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretSpec")
            .field("account", &self.account)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
