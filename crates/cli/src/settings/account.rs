//! `[accounts.NAME]`: the source of the credentials of one account, and whether they are exchanged.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use valetkey::Region;

/// One account.
#[derive(Debug, Clone)]
pub(crate) struct AccountSettings {
    pub(crate) provider: ProviderSettings,
    /// Exchanges long-lived keys of this account, from its provider or set on it, for temporary credentials.
    pub(crate) exchange: Option<ExchangeSettings>,
}

/// The provider of an account's credentials.
#[derive(Debug, Clone)]
pub(crate) enum ProviderSettings {
    /// Credentials set by tools while the session runs.
    Memory(RegionSettings),
    /// The environment of the `valetkey` process.
    Environment(RegionSettings),
    /// A role, assumed with the credentials of another account.
    AssumeRole(Box<RoleSettings>),
    /// A role, assumed with an identity token.
    WebIdentity(Box<WebIdentitySettings>),
    /// Temporary credentials, exchanged for the long-lived keys of another account.
    Federation(Box<FederationSettings>),
    /// A secret, read with the credentials of another account.
    SecretsManager(SecretSettings),
    /// A program that prints credentials.
    Process(ProcessSettings),
    /// The default chain of the AWS SDKs.
    DefaultChain(RegionSettings),
    /// A profile of the shared AWS files.
    Profile(ProfileSettings),
}

/// The settings of an account that needs no other account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegionSettings {
    pub(crate) region: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleSettings {
    pub(crate) role_arn: String,
    pub(crate) source: String,
    pub(crate) region: Option<String>,
    pub(crate) session_name: Option<String>,
    pub(crate) source_identity: Option<String>,
    /// Overrides the attribution of the session.
    pub(crate) attribution: Option<AttributionSettings>,
    pub(crate) external_id: Option<String>,
    pub(crate) duration_seconds: Option<u64>,
    pub(crate) mfa_serial: Option<String>,
    pub(crate) policy: Option<String>,
    #[serde(default)]
    pub(crate) policy_arns: Vec<String>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) transitive_tags: Vec<String>,
}

/// How a role session carries the attribution, in addition to the configured names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AttributionSettings {
    /// No attribution.
    None,
    /// In the session name, which needs no permission.
    #[default]
    Name,
    /// In the session name and in tags, which the trust policy of the role must allow (`sts:TagSession`).
    Tags,
}

impl AttributionSettings {
    /// Whether sessions are tagged; `None` without attribution.
    pub(crate) const fn tag_sessions(self) -> Option<bool> {
        match self {
            Self::None => None,
            Self::Name => Some(false),
            Self::Tags => Some(true),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebIdentitySettings {
    pub(crate) role_arn: String,
    pub(crate) token_file: Option<PathBuf>,
    /// The token, instead of a file.
    pub(crate) token: Option<TokenSettings>,
    pub(crate) region: Option<String>,
    pub(crate) session_name: Option<String>,
    pub(crate) duration_seconds: Option<u64>,
    pub(crate) policy: Option<String>,
    #[serde(default)]
    pub(crate) policy_arns: Vec<String>,
}

/// A source of identity tokens that is not a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenSettings {
    /// The access token of the caller of `serve --http`.
    Caller,
}

/// With a `name`, credentials of a federated user of that name; without, a session of the same user.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FederationSettings {
    pub(crate) source: String,
    pub(crate) region: Option<String>,
    pub(crate) duration_seconds: Option<u64>,
    pub(crate) mfa_serial: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) policy: Option<String>,
    #[serde(default)]
    pub(crate) policy_arns: Vec<String>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretSettings {
    pub(crate) secret_id: String,
    pub(crate) source: String,
    pub(crate) region: Option<String>,
    pub(crate) version_stage: Option<String>,
    pub(crate) version_id: Option<String>,
    pub(crate) ttl_seconds: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessSettings {
    /// A command line, as in `credential_process` of a shared AWS file.
    pub(crate) command: String,
    pub(crate) region: Option<String>,
    pub(crate) timeout_seconds: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileSettings {
    pub(crate) name: String,
    pub(crate) region: Option<String>,
}

/// With a `name` or policies, for a federated user; without, for a session of the same user.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExchangeSettings {
    pub(crate) duration_seconds: Option<u64>,
    pub(crate) name: Option<String>,
    pub(crate) policy: Option<String>,
    #[serde(default)]
    pub(crate) policy_arns: Vec<String>,
}

impl ExchangeSettings {
    /// Whether the exchange requests a federated user, which cannot assume a role.
    pub(crate) fn requests_federated_user(&self) -> bool {
        self.name.is_some() || self.policy.is_some() || !self.policy_arns.is_empty()
    }
}

impl AccountSettings {
    /// Returns the account whose credentials are used to fetch this account's.
    pub(crate) fn source(&self) -> Option<&str> {
        match &self.provider {
            ProviderSettings::AssumeRole(role) => Some(&role.source),
            ProviderSettings::Federation(exchange) => Some(&exchange.source),
            ProviderSettings::SecretsManager(secret) => Some(&secret.source),
            _ => None,
        }
    }

    /// Describes the source of the credentials for a person who waits. Of an endpoint only the host is shown.
    pub(crate) fn origin(&self, region: Option<&Region>) -> String {
        let service_at = |service: &str, variable: &str| {
            let url = std::env::var(variable).or_else(|_| std::env::var("AWS_ENDPOINT_URL")).ok();
            let host = url.as_deref().and_then(url_host);
            let region = region.map(|region| format!(" in {region}")).unwrap_or_default();
            host.map_or_else(|| format!("{service}{region}"), |host| format!("{service} at {host}"))
        };
        match &self.provider {
            ProviderSettings::AssumeRole(_)
            | ProviderSettings::WebIdentity(_)
            | ProviderSettings::Federation(_) => service_at("AWS STS", "AWS_ENDPOINT_URL_STS"),
            ProviderSettings::SecretsManager(_) => {
                service_at("AWS Secrets Manager", "AWS_ENDPOINT_URL_SECRETS_MANAGER")
            }
            ProviderSettings::Process(_) => "its program".to_owned(),
            ProviderSettings::DefaultChain(_) | ProviderSettings::Profile(_) => "the AWS SDK".to_owned(),
            ProviderSettings::Memory(_) | ProviderSettings::Environment(_) => "this environment".to_owned(),
        }
    }

    pub(crate) fn region(&self) -> Option<&str> {
        match &self.provider {
            ProviderSettings::Memory(region_settings)
            | ProviderSettings::Environment(region_settings)
            | ProviderSettings::DefaultChain(region_settings) => region_settings.region.as_deref(),
            ProviderSettings::AssumeRole(role) => role.region.as_deref(),
            ProviderSettings::WebIdentity(role) => role.region.as_deref(),
            ProviderSettings::Federation(exchange) => exchange.region.as_deref(),
            ProviderSettings::SecretsManager(secret) => secret.region.as_deref(),
            ProviderSettings::Process(process) => process.region.as_deref(),
            ProviderSettings::Profile(profile) => profile.region.as_deref(),
        }
    }

    /// Requests credentials of this lifetime, from the exchange if there is one. Returns whether the account can.
    pub(crate) fn set_duration(&mut self, seconds: u64) -> bool {
        match &mut self.exchange {
            Some(exchange) => {
                exchange.duration_seconds = Some(seconds);
                true
            }
            None => self.provider.set_duration(seconds),
        }
    }

    /// Returns the role of the account.
    pub(crate) fn role_arn(&self) -> Option<&str> {
        match &self.provider {
            ProviderSettings::AssumeRole(role) => Some(&role.role_arn),
            ProviderSettings::WebIdentity(role) => Some(&role.role_arn),
            _ => None,
        }
    }

    /// Whether the served credentials are temporary, whatever their source.
    pub(crate) fn is_temporary(&self) -> bool {
        self.exchange.is_some() || !self.provider.may_be_long_lived()
    }

    /// Whether the served credentials belong to a federated user.
    pub(crate) fn is_federated_user(&self) -> bool {
        let own = matches!(&self.provider, ProviderSettings::Federation(wanted) if wanted.name.is_some());
        own || self.exchange.as_ref().is_some_and(ExchangeSettings::requests_federated_user)
    }

    /// Whether the access token of the caller is sent to STS.
    pub(crate) fn uses_caller_token(&self) -> bool {
        matches!(&self.provider, ProviderSettings::WebIdentity(role) if role.token.is_some())
    }

    /// Whether only tools set the credentials.
    pub(crate) fn is_memory(&self) -> bool {
        matches!(self.provider, ProviderSettings::Memory(_))
    }

    /// Whether a fetch prompts for an MFA code.
    pub(crate) fn requires_mfa(&self) -> bool {
        match &self.provider {
            ProviderSettings::AssumeRole(role) => role.mfa_serial.is_some(),
            ProviderSettings::Federation(exchange) => exchange.mfa_serial.is_some(),
            _ => false,
        }
    }

    /// Returns the timeout of the account's program, if configured.
    pub(crate) fn process_timeout(&self) -> Option<Duration> {
        match &self.provider {
            ProviderSettings::Process(process) => process.timeout_seconds.map(Duration::from_secs),
            _ => None,
        }
    }
}

/// Returns the host of a URL, without user name and password.
fn url_host(url: &str) -> Option<&str> {
    url.split_once("://")?.1.split(['/', '?', '#']).next()?.rsplit('@').next()
}

impl ProviderSettings {
    /// The values of `provider`.
    pub(super) const NAMES: &[&str] = &[
        "memory",
        "environment",
        "assume-role",
        "web-identity",
        "federation",
        "secrets-manager",
        "process",
        "default-chain",
        "ambient",
        "profile",
    ];

    /// Returns the value of `provider`.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::Environment(_) => "environment",
            Self::AssumeRole(_) => "assume-role",
            Self::WebIdentity(_) => "web-identity",
            Self::Federation(_) => "federation",
            Self::SecretsManager(_) => "secrets-manager",
            Self::Process(_) => "process",
            Self::DefaultChain(_) => "default-chain",
            Self::Profile(_) => "profile",
        }
    }

    /// Requests credentials of this lifetime. Returns whether the provider can.
    fn set_duration(&mut self, seconds: u64) -> bool {
        let duration = match self {
            Self::AssumeRole(role) => &mut role.duration_seconds,
            Self::WebIdentity(role) => &mut role.duration_seconds,
            Self::Federation(exchange) => &mut exchange.duration_seconds,
            _ => return false,
        };
        *duration = Some(seconds);
        true
    }

    /// Whether the provider may return long-lived keys.
    const fn may_be_long_lived(&self) -> bool {
        !matches!(self, Self::AssumeRole(_) | Self::WebIdentity(_) | Self::Federation(_))
    }
}
