//! `valetkey.toml`: accounts, principals, policies, servers' credentials, resolver, audit log and the HTTP gateway.
//! Unknown keys are errors.

mod access;
mod account;
mod default_account;
mod deserializer;
mod diagnostic;
mod effects;
mod http;
mod keys;
mod load;
mod ops;
mod paths;
mod policy;
mod processes;
mod reader;
mod resolver;
mod server;
mod source_map;
mod store;
mod unknown_account;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use valetkey::Error;
use valetkey::Principal;
pub(crate) use valetkey::mcp::child::{Delivery, HomeFolder};
use valetkey::mcp::http::VerifiedCaller;

pub(crate) use access::AccessSettings;
pub(crate) use account::{
    AccountSettings, AttributionSettings, ExchangeSettings, FederationSettings, ProcessSettings,
    ProviderSettings, RoleSettings, SecretSettings, TokenSettings, WebIdentitySettings,
};
pub(crate) use diagnostic::Diagnostic;
pub(crate) use http::{ClaimValue, HttpAuth, HttpSettings, IssuerSettings};
pub(crate) use keys::{did_you_mean, suggest_name};
pub(crate) use load::{Consent, DEFAULT_FILE, discovered_file};
pub(crate) use ops::OpsSettings;
pub(crate) use policy::{PolicySettings, ScopeSettings};
pub(crate) use processes::ProcessLimitSettings;
use reader::LenientReader;
pub(crate) use resolver::{ResolverSettings, SecretResolverSettings, ToolResolverSettings};
pub(crate) use server::ServerSettings;
use source_map::SourceMap;
pub(crate) use store::StoreSettings;

const SECTIONS: [&str; 13] = [
    "session",
    "accounts",
    "principals",
    "policies",
    "scopes",
    "servers",
    "processes",
    "resolver",
    "audit",
    "http",
    "store",
    "ops",
    "access",
];

/// The sections that decide what the accounts of sessions may do.
const SESSION_SECTIONS: [&str; 6] = ["session", "accounts", "policies", "scopes", "access", "resolver"];

/// The settings of the file, as far as they could be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) session: SessionSettings,
    pub(crate) accounts: BTreeMap<String, AccountSettings>,
    pub(crate) principals: BTreeMap<String, PrincipalSettings>,
    pub(crate) policies: BTreeMap<String, PolicySettings>,
    pub(crate) scopes: BTreeMap<String, ScopeSettings>,
    pub(crate) servers: BTreeMap<String, ServerSettings>,
    pub(crate) resolver: Option<ResolverSettings>,
    pub(crate) audit: Option<AuditSettings>,
    pub(crate) http: Option<HttpSettings>,
    pub(crate) store: Option<StoreSettings>,
    pub(crate) ops: Option<OpsSettings>,
    pub(crate) access: Option<AccessSettings>,
    /// The accounts of a caller that is accepted by its claims.
    caller_accounts: Option<Vec<String>>,
    pub(crate) processes: ProcessLimitSettings,
    /// The file as it was written, to compare it with a later version.
    tables: toml::Table,
    /// Accounts that could not be read. A reference to one is not reported as a second error.
    invalid_accounts: BTreeSet<String>,
    /// Policies that could not be read, likewise.
    invalid_policies: BTreeSet<String>,
    /// The folder of the file.
    folder: PathBuf,
    source_map: SourceMap,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionSettings {
    pub(crate) default_account: Option<String>,
    /// The accounts of the session (default: all). Others may still be sources.
    pub(crate) allowed_accounts: Option<Vec<String>>,
    pub(crate) region: Option<String>,
    pub(crate) principal: Option<String>,
    pub(crate) agent: Option<String>,
    #[serde(default)]
    pub(crate) attribution: AttributionSettings,
}

/// The accounts of a session that acts for this principal, and how the principal is recognized over HTTP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrincipalSettings {
    #[serde(default)]
    pub(crate) accounts: Vec<String>,
    /// SHA-256 digests of bearer tokens of this principal.
    #[serde(default)]
    pub(crate) token_sha256: Vec<String>,
    /// The subjects of this principal's tokens, at the issuer.
    #[serde(default)]
    pub(crate) subjects: Vec<String>,
    /// The name of the issuer (default: the only one).
    pub(crate) issuer: Option<String>,
    /// The claims of the callers that have these accounts. Each of them is a principal of its own.
    pub(crate) claims: Option<BTreeMap<String, ClaimValue>>,
}

impl PrincipalSettings {
    /// Whether tokens or subjects identify this principal.
    pub(crate) fn is_identified(&self) -> bool {
        !self.token_sha256.is_empty() || !self.subjects.is_empty()
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditSettings {
    /// The file to which records are appended, one JSON object per line.
    pub(crate) file: PathBuf,
}

impl Settings {
    /// Whether there is no file.
    pub(crate) fn is_absent(&self) -> bool {
        self.source_map.is_empty()
    }

    /// Whether the file defines no account, valid or not.
    pub(crate) fn is_without_accounts(&self) -> bool {
        self.accounts.is_empty() && self.invalid_accounts.is_empty()
    }

    /// Whether the file has an account of this name, valid or not.
    pub(crate) fn contains_account(&self, name: &str) -> bool {
        self.accounts.contains_key(name) || self.invalid_accounts.contains(name)
    }

    /// Returns the policies that could not be read.
    pub(crate) fn invalid_policies(&self) -> &BTreeSet<String> {
        &self.invalid_policies
    }

    /// Returns the settings for a session that acts for `principal`, if given.
    pub(crate) fn for_principal(mut self, principal: Option<&Principal>) -> Self {
        self.session.principal = principal.map(ToString::to_string).or(self.session.principal);
        self
    }

    /// Returns the settings for a session that acts for a caller of the gateway over HTTP. A caller that is accepted by
    /// its claims has the accounts of every rule that accepts it.
    pub(crate) fn for_caller(self, caller: &VerifiedCaller) -> Self {
        let rules: Vec<_> = caller.rules().collect();
        let accounts =
            rules.iter().filter_map(|rule| self.principals.get(*rule)).flat_map(|rule| &rule.accounts);
        let accounts: BTreeSet<_> = accounts.cloned().collect();
        let caller_accounts = (!rules.is_empty()).then(|| accounts.into_iter().collect());
        Self { caller_accounts, ..self.for_principal(Some(caller.principal())) }
    }

    /// Whether the session acts for a caller that is accepted by its claims.
    pub(crate) fn is_for_caller_by_rule(&self) -> bool {
        self.caller_accounts.is_some()
    }

    /// Whether the session may use the account of this name, regardless of the principal.
    pub(crate) fn allows_for_any_principal(&self, name: &str) -> bool {
        list_allows(self.session.allowed_accounts.as_deref(), name)
    }

    /// Whether the session may use the account of this name.
    pub(crate) fn allows(&self, name: &str) -> bool {
        self.allows_for_any_principal(name) && list_allows(self.principal_accounts(), name)
    }

    /// Returns the accounts of the session's principal, if the settings list them.
    pub(crate) fn principal_accounts(&self) -> Option<&[String]> {
        if let Some(accounts) = &self.caller_accounts {
            return Some(accounts);
        }
        let principal = self.principals.get(self.session.principal.as_deref()?)?;
        Some(&principal.accounts)
    }

    /// Whether sessions of every principal have the same accounts, policies and resolver with `other`.
    pub(crate) fn has_same_sessions(&self, other: &Self) -> bool {
        let principals = |settings: &Self| {
            let mut principals = settings.tables.get("principals").cloned();
            for principal in principals.iter_mut().filter_map(toml::Value::as_table_mut).flatten() {
                remove_identification(principal.1);
            }
            principals
        };
        self.has_same_accounts(other) && principals(self) == principals(other)
    }

    /// Whether sessions of `principal` have the same accounts, policies and resolver with `other`.
    pub(crate) fn has_same_sessions_of(&self, principal: &str, other: &Self) -> bool {
        let own = |settings: &Self| {
            let mut own = settings.tables.get("principals")?.get(principal)?.clone();
            remove_identification(&mut own);
            Some(own)
        };
        match (own(self), own(other)) {
            (Some(before), Some(after)) => self.has_same_accounts(other) && before == after,
            // The principal comes from a rule, or is gone.
            _ => self.has_same_sessions(other),
        }
    }

    fn has_same_accounts(&self, other: &Self) -> bool {
        SESSION_SECTIONS.iter().all(|section| self.tables.get(*section) == other.tables.get(*section))
    }

    /// Returns the folder to which relative paths in the file refer.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Creates an error at a key of this file, such as `["accounts", "dev", "role_arn"]`.
    pub(crate) fn diagnostic(&self, key: &[&str], what: impl Into<String>) -> Diagnostic {
        self.source_map.diagnostic(key, what.into())
    }

    /// Converts a library error in a section, at the key that the error names if the file has it.
    pub(crate) fn to_diagnostic(&self, section: &[&str], error: &Error) -> Diagnostic {
        self.source_map.to_diagnostic(section, error)
    }

    fn parse(path: &Path, text: &str, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let source_map = SourceMap::new(path, text, table.get_ref());
        if !errors.is_empty() {
            let to_diagnostic =
                |error: toml::de::Error| source_map.syntax_diagnostic(text, error.span(), error.message());
            diagnostics.extend(errors.into_iter().map(to_diagnostic));
            return Self { source_map, ..Self::default() };
        }
        // The text is valid, so this does not fail.
        let tables = text.parse().unwrap_or_default();
        let mut settings = Self { source_map, tables, ..Self::default() };
        for (section, value) in table.into_inner() {
            settings.read_section(section.get_ref(), value, diagnostics);
        }
        settings.resolve_paths(path.parent().unwrap_or(Path::new("")), diagnostics);
        settings
    }

    fn read_section(
        &mut self,
        section: &str,
        value: Spanned<DeValue<'_>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let reader = LenientReader::new(&self.source_map);
        match section {
            "session" => self.session = reader.read(&[section], value, diagnostics).unwrap_or_default(),
            "resolver" => self.resolver = reader.read_resolver(value, diagnostics),
            "audit" => self.audit = reader.read(&[section], value, diagnostics),
            "processes" => {
                self.processes = reader.read(&[section], value, diagnostics).unwrap_or_default();
            }
            "store" => self.store = reader.read(&[section], value, diagnostics),
            "ops" => self.ops = reader.read(&[section], value, diagnostics),
            "access" => self.access = reader.read(&[section], value, diagnostics),
            "http" => self.http = read_http(&reader, value, diagnostics),
            "accounts" => {
                let (read, broken) =
                    read_tables(&reader, &[section], value, diagnostics, LenientReader::read_account);
                (self.accounts, self.invalid_accounts) = (read, broken);
            }
            "policies" => {
                (self.policies, self.invalid_policies) =
                    read_tables(&reader, &[section], value, diagnostics, LenientReader::read_policy);
            }
            "scopes" => {
                (self.scopes, _) = read_tables(&reader, &[section], value, diagnostics, LenientReader::read)
            }
            "principals" => {
                (self.principals, _) =
                    read_tables(&reader, &[section], value, diagnostics, LenientReader::read)
            }
            "servers" => {
                (self.servers, _) =
                    read_tables(&reader, &[section], value, diagnostics, LenientReader::read_server)
            }
            _ => diagnostics.push(self.diagnostic(&[section], unknown_section_message(section))),
        }
    }
}

/// Removes what identifies a principal, which decides about requests and not about sessions.
fn remove_identification(principal: &mut toml::Value) {
    if let Some(principal) = principal.as_table_mut() {
        principal.remove("token_sha256");
        principal.remove("subjects");
    }
}

fn unknown_section_message(section: &str) -> String {
    match keys::closest_match(section, &SECTIONS) {
        Some(name) => format!("is not a section; did you mean `[{name}]`?"),
        None => format!("is not a section; there are {}", SECTIONS.join(", ")),
    }
}

fn list_allows(list: Option<&[String]>, name: &str) -> bool {
    list.is_none_or(|list| list.iter().any(|one| one == name))
}

/// Reads `[http]`, and each of its issuers.
fn read_http(
    reader: &LenientReader<'_>,
    value: Spanned<DeValue<'_>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<HttpSettings> {
    let (issuers, table) = reader.split_key(&["http"], "issuers", value, diagnostics)?;
    let (issuers, invalid) = match issuers {
        Some(value) => read_tables(reader, &["http", "issuers"], value, diagnostics, LenientReader::read),
        None => Default::default(),
    };
    let http: HttpSettings = reader.read(&["http"], table, diagnostics)?;
    Some(HttpSettings { issuers, invalid_issuers: invalid.into_iter().collect(), ..http })
}

type ReadTable<'p, T> =
    fn(&LenientReader<'p>, &[&str], Spanned<DeValue<'_>>, &mut Vec<Diagnostic>) -> Option<T>;

/// Reads a section of named tables. Returns the valid tables and the names of the others.
fn read_tables<'p, T>(
    reader: &LenientReader<'p>,
    section: &[&str],
    value: Spanned<DeValue<'_>>,
    diagnostics: &mut Vec<Diagnostic>,
    read: ReadTable<'p, T>,
) -> (BTreeMap<String, T>, BTreeSet<String>) {
    let (mut valid, mut broken) = (BTreeMap::new(), BTreeSet::new());
    let Some(entries) = reader.expect_table(section, value, diagnostics) else { return (valid, broken) };
    for (name, value) in entries.into_inner() {
        let name = name.into_inner().into_owned();
        match read(reader, &[section, &[&name]].concat(), value, diagnostics) {
            Some(read) => drop(valid.insert(name, read)),
            None => drop(broken.insert(name)),
        }
    }
    (valid, broken)
}
