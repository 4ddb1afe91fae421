//! The serialized form of a session's contents: JSON of version 1. Unknown fields are refused: they could be restrictions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Map, Value};
use valetkey_core::{AccessKeyId, Credentials, Expiry};

use super::secret_text::SecretText;
use super::{AccountContents, CredentialSource, IssuedCredentials, SessionContents, StoredNarrowing};
use crate::RecordError;

const VERSION: u32 = 1;

#[derive(serde::Deserialize)]
struct VersionOnly {
    version: u32,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Session<'a> {
    version: u32,
    session: String,
    default_account: String,
    label: Option<String>,
    region: Option<String>,
    #[serde(borrow)]
    accounts: BTreeMap<String, Account<'a>>,
    service_context: Option<Cow<'a, Map<String, Value>>>,
    narrowed: Vec<Narrowing>,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Account<'a> {
    region: Option<String>,
    #[serde(borrow)]
    source: Source<'a>,
    #[serde(borrow)]
    issued: Option<Issued<'a>>,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Issued<'a> {
    #[serde(borrow)]
    credentials: Keys<'a>,
    configuration: String,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Source<'a> {
    Configured,
    Cleared,
    Role {
        role: String,
        base: String,
    },
    Secret {
        id: String,
    },
    Resolved {
        id: String,
    },
    #[serde(borrow)]
    Set(Keys<'a>),
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys<'a> {
    access_key_id: String,
    #[serde(borrow)]
    secret_access_key: SecretText<'a>,
    session_token: Option<SecretText<'a>>,
    expires_at_ms: Option<u64>,
    account_id: Option<String>,
    region: Option<String>,
    environment_region: Option<String>,
    provider: String,
    max_age_ms: Option<u64>,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Narrowing {
    handle: String,
    session: String,
    parent: Option<String>,
    accounts: Option<Vec<String>>,
    policy: Option<String>,
    ends_at_ms: Option<u64>,
}

/// Reads the contents. The messages of the parser are dropped, since they may repeat a part of a value.
pub(super) fn parse(bytes: &[u8]) -> Result<SessionContents, RecordError> {
    let VersionOnly { version } = from_json(bytes)?;
    if version != VERSION {
        return Err(RecordError::UnknownFormat);
    }
    from_json::<Session<'_>>(bytes)?.into_contents()
}

fn from_json<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, RecordError> {
    serde_json::from_slice(bytes).map_err(|_echo| RecordError::Malformed)
}

impl<'a> Session<'a> {
    pub(super) fn from_contents(contents: &'a SessionContents) -> Self {
        let accounts = contents.accounts.iter();
        Self {
            version: VERSION,
            session: contents.session.to_string(),
            default_account: contents.default_account.to_string(),
            label: contents.label.clone(),
            region: to_text(contents.region.as_ref()),
            accounts: accounts
                .map(|(name, account)| (name.to_string(), Account::from_contents(account)))
                .collect(),
            service_context: contents.service_context.as_ref().map(Cow::Borrowed),
            narrowed: contents.narrowed.iter().map(Narrowing::from_contents).collect(),
        }
    }

    fn into_contents(self) -> Result<SessionContents, RecordError> {
        let accounts = self.accounts.into_iter();
        Ok(SessionContents {
            session: parse_text(&self.session)?,
            default_account: parse_text(&self.default_account)?,
            label: self.label,
            region: parse_optional(self.region.as_deref())?,
            accounts: accounts
                .map(|(name, account)| Ok((parse_text(&name)?, account.into_contents()?)))
                .collect::<Result<_, RecordError>>()?,
            service_context: self.service_context.map(Cow::into_owned),
            narrowed: self.narrowed.into_iter().map(Narrowing::into_contents).collect::<Result<_, _>>()?,
        })
    }
}

impl<'a> Account<'a> {
    fn from_contents(account: &'a AccountContents) -> Self {
        let source = match &account.source {
            CredentialSource::Configured => Source::Configured,
            CredentialSource::Cleared => Source::Cleared,
            CredentialSource::Role { role, base } => {
                Source::Role { role: role.to_string(), base: base.to_string() }
            }
            CredentialSource::Secret { id } => Source::Secret { id: id.clone() },
            CredentialSource::Resolved { id } => Source::Resolved { id: id.to_string() },
            CredentialSource::Set(credentials) => Source::Set(Keys::from_credentials(credentials)),
        };
        let issued = account.issued.as_ref().map(|issued| Issued {
            credentials: Keys::from_credentials(&issued.credentials),
            configuration: issued.configuration.clone(),
        });
        Self { region: to_text(account.region.as_ref()), source, issued }
    }

    fn into_contents(self) -> Result<AccountContents, RecordError> {
        let source = match self.source {
            Source::Configured => CredentialSource::Configured,
            Source::Cleared => CredentialSource::Cleared,
            Source::Role { role, base } => {
                CredentialSource::Role { role: parse_text(&role)?, base: parse_text(&base)? }
            }
            Source::Secret { id } => CredentialSource::Secret { id },
            Source::Resolved { id } => CredentialSource::Resolved { id: parse_text(&id)? },
            Source::Set(keys) => CredentialSource::Set(keys.into_credentials()?),
        };
        let to_issued = |issued: Issued<'_>| {
            let credentials = issued.credentials.into_credentials()?;
            Ok::<_, RecordError>(IssuedCredentials { credentials, configuration: issued.configuration })
        };
        let issued = self.issued.map(to_issued).transpose()?;
        Ok(AccountContents { region: parse_optional(self.region.as_deref())?, source, issued })
    }
}

impl<'a> Keys<'a> {
    fn from_credentials(credentials: &'a Credentials) -> Self {
        Self {
            access_key_id: credentials.access_key_id().as_str().to_owned(),
            secret_access_key: SecretText::Exposed(credentials.expose_secret_access_key()),
            session_token: credentials.expose_session_token().map(SecretText::Exposed),
            expires_at_ms: credentials.expiry().instant().map(to_millis),
            account_id: to_text(credentials.account_id()),
            region: to_text(credentials.region()),
            environment_region: to_text(credentials.environment_region()),
            provider: credentials.provider().to_owned(),
            max_age_ms: credentials.max_age().map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn into_credentials(self) -> Result<Credentials, RecordError> {
        let id = parse_text::<AccessKeyId>(&self.access_key_id)?;
        let mut builder = Credentials::builder(id, self.secret_access_key.into_secret())
            .session_token(self.session_token.map(SecretText::into_secret))
            .expiry(Expiry::from(self.expires_at_ms.map(from_millis).transpose()?))
            .account_id(parse_optional(self.account_id.as_deref())?)
            .region(parse_optional(self.region.as_deref())?)
            .max_age(self.max_age_ms.map(Duration::from_millis))
            .provider(self.provider);
        if let Some(region) = parse_optional(self.environment_region.as_deref())? {
            builder = builder.environment_region(Some(region));
        }
        builder.build().map_err(|_rule| RecordError::Malformed)
    }
}

impl Narrowing {
    fn from_contents(narrowing: &StoredNarrowing) -> Self {
        let names = narrowing.accounts.as_ref().map(|names| names.iter().map(ToString::to_string).collect());
        Self {
            handle: narrowing.handle.to_string(),
            session: narrowing.session.to_string(),
            parent: to_text(narrowing.parent.as_ref()),
            accounts: names,
            policy: to_text(narrowing.policy.as_ref()),
            ends_at_ms: narrowing.ends_at.instant().map(to_millis),
        }
    }

    fn into_contents(self) -> Result<StoredNarrowing, RecordError> {
        let parse_names = |names: Vec<String>| names.iter().map(|name| parse_text(name)).collect();
        Ok(StoredNarrowing {
            handle: parse_text(&self.handle)?,
            session: parse_text(&self.session)?,
            parent: parse_optional(self.parent.as_deref())?,
            accounts: self.accounts.map(parse_names).transpose()?,
            policy: parse_optional(self.policy.as_deref())?,
            ends_at: Expiry::from(self.ends_at_ms.map(from_millis).transpose()?),
        })
    }
}

fn to_text(value: Option<&impl ToString>) -> Option<String> {
    value.map(ToString::to_string)
}

fn parse_text<T: FromStr>(text: &str) -> Result<T, RecordError> {
    text.parse().map_err(|_rule| RecordError::Malformed)
}

fn parse_optional<T: FromStr>(text: Option<&str>) -> Result<Option<T>, RecordError> {
    text.map(parse_text).transpose()
}

/// An instant before 1970 is zero, which has passed as well.
fn to_millis(instant: SystemTime) -> u64 {
    let since = instant.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn from_millis(millis: u64) -> Result<SystemTime, RecordError> {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis)).ok_or(RecordError::Malformed)
}
