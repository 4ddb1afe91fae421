//! `[accounts.NAME]`: where the credentials of one account come from.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One account, by provider.
#[derive(Debug)]
pub(crate) enum AccountSettings {
    /// Set by tools while the session runs.
    Memory { region: Option<String> },
    /// The environment that `valetkey` was started with.
    Environment { region: Option<String> },
    /// A role, assumed with the credentials of another account.
    AssumeRole(Box<RoleSettings>),
    /// A secret, read with the credentials of another account.
    SecretsManager(SecretSettings),
}

/// What an account has that is got with no other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlainSettings {
    pub(super) region: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleSettings {
    pub(crate) role_arn: String,
    pub(crate) source: String,
    pub(crate) region: Option<String>,
    pub(crate) session_name: Option<String>,
    pub(crate) source_identity: Option<String>,
    /// In place of what the session says.
    pub(crate) attribution: Option<AttributionSettings>,
    pub(crate) external_id: Option<String>,
    pub(crate) duration_seconds: Option<u64>,
    pub(crate) policy: Option<String>,
    #[serde(default)]
    pub(crate) policy_arns: Vec<String>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) transitive_tags: Vec<String>,
}

/// How a role session says who is behind it, beside the names that are set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AttributionSettings {
    /// Not at all.
    None,
    /// By its name. Nobody needs a permission for that.
    #[default]
    Name,
    /// By its name and by tags, which the trust policy of the role must allow (`sts:TagSession`).
    Tags,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretSettings {
    pub(crate) secret_id: String,
    pub(crate) source: String,
    pub(crate) region: Option<String>,
    pub(crate) version_stage: Option<String>,
    pub(crate) version_id: Option<String>,
    pub(crate) ttl_seconds: Option<u64>,
}

impl AccountSettings {
    /// What `provider` may be.
    pub(super) const PROVIDERS: &[&str] = &["memory", "environment", "assume-role", "secrets-manager"];

    /// The account whose credentials this one is got with.
    pub(crate) fn source(&self) -> Option<&str> {
        match self {
            Self::Memory { .. } | Self::Environment { .. } => None,
            Self::AssumeRole(role) => Some(&role.source),
            Self::SecretsManager(secret) => Some(&secret.source),
        }
    }

    pub(crate) fn region(&self) -> Option<&str> {
        match self {
            Self::Memory { region } | Self::Environment { region } => region.as_deref(),
            Self::AssumeRole(role) => role.region.as_deref(),
            Self::SecretsManager(secret) => secret.region.as_deref(),
        }
    }
}
