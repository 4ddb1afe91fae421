//! `valetkey.toml`: accounts, servers' credentials, resolver and audit trail. Unknown keys are errors.

mod account;
mod fault;
mod place;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};
use valetkey::mcp::child::Delivery;

pub(crate) use account::{AccountSettings, RoleSettings, SecretSettings};
pub(crate) use fault::Fault;
use place::Place;

/// Where settings are looked for when no file is named.
const USUAL: &str = "valetkey.toml";

/// Everything the file says.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) session: SessionSettings,
    pub(crate) accounts: BTreeMap<String, AccountSettings>,
    pub(crate) servers: BTreeMap<String, ServerSettings>,
    pub(crate) resolver: Option<ResolverSettings>,
    pub(crate) audit: Option<AuditSettings>,
    place: Place,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionSettings {
    pub(crate) default_account: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) principal: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerSettings {
    pub(crate) credentials: Option<Delivery>,
    pub(crate) account: Option<String>,
}

/// Where credential ids lead.
#[derive(Debug, Deserialize)]
#[serde(tag = "provider", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum ResolverSettings {
    SecretsManager {
        #[serde(default)]
        prefix: String,
        /// The account whose credentials read the secrets.
        source: String,
        region: Option<String>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditSettings {
    /// Records are added to this file, one JSON object a line.
    pub(crate) file: PathBuf,
}

impl Settings {
    /// Reads `file`, or the usual one if it is there. Settings without a file are empty.
    pub(crate) async fn read(file: Option<&Path>) -> Result<Self, Vec<Fault>> {
        let path = file.unwrap_or(Path::new(USUAL));
        match tokio::fs::read_to_string(path).await {
            Ok(text) => Self::parse(path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => {
                Ok(Self::default())
            }
            Err(error) => Err(vec![Fault::file(path, format!("cannot be read: {error}"))]),
        }
    }

    /// Whether there is no file.
    pub(crate) fn is_absent(&self) -> bool {
        self.place.is_nowhere()
    }

    /// A fault at a key of this file.
    pub(crate) fn fault(&self, section: &str, key: Option<&str>, what: impl Into<String>) -> Fault {
        self.place.fault(section, key, what.into())
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Vec<Fault>> {
        let place = Place::new(path, text);
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            vec![place.at(error.span().map(|span| span.start), "is not TOML here; see the line")]
        })?;
        let mut faults = Vec::new();
        let mut settings = Self { place, ..Self::default() };
        for (section, value) in table {
            settings.take(&section, value, &mut faults);
        }
        if faults.is_empty() { Ok(settings) } else { Err(faults) }
    }

    fn take(&mut self, section: &str, value: Value, faults: &mut Vec<Fault>) {
        match section {
            "session" => self.session = self.one(section, value, faults).unwrap_or_default(),
            "resolver" => self.resolver = self.one(section, value, faults),
            "audit" => self.audit = self.one(section, value, faults),
            "accounts" => self.accounts = self.many(section, value, faults),
            "servers" => self.servers = self.many(section, value, faults),
            _ => faults.push(self.fault(
                section,
                None,
                "is not a section; there are session, accounts, servers, resolver and audit",
            )),
        }
    }

    fn one<T: for<'de> Deserialize<'de>>(
        &self,
        section: &str,
        value: Value,
        faults: &mut Vec<Fault>,
    ) -> Option<T> {
        match value.try_into() {
            Ok(read) => Some(read),
            Err(error) => {
                faults.push(self.fault(section, None, place::without_values(&error)));
                None
            }
        }
    }

    fn many<T: for<'de> Deserialize<'de>>(
        &self,
        section: &str,
        value: Value,
        faults: &mut Vec<Fault>,
    ) -> BTreeMap<String, T> {
        let Value::Table(entries) = value else {
            faults.push(self.fault(section, None, format!("must hold tables, such as `[{section}.NAME]`")));
            return BTreeMap::new();
        };
        let read = entries.into_iter().filter_map(|(name, value)| {
            let read = self.one(&format!("{section}.{name}"), value, faults)?;
            Some((name, read))
        });
        read.collect()
    }
}
