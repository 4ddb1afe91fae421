//! Reads a table of the file and reports every error in it: an invalid key is reported and removed, and the rest is
//! read again.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::account::{AccountSettings, ExchangeSettings, ProviderSettings};
use super::deserializer::{Problem, ReadError, Section};
use super::keys;
use super::source_map::SourceMap;
use super::{Diagnostic, PolicySettings, ResolverSettings, ServerSettings};

/// Reads tables and locates their errors in the file.
pub(super) struct LenientReader<'p> {
    source_map: &'p SourceMap,
}

impl<'p> LenientReader<'p> {
    pub(super) fn new(source_map: &'p SourceMap) -> Self {
        Self { source_map }
    }

    /// Reads the table at `path`. Returns `None` if a required field is missing or invalid.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        path: &[&str],
        value: Spanned<DeValue<'_>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let mut table = self.expect_table(path, value, diagnostics)?;
        // A key that was reported and removed is not reported as missing too, under its own name or another.
        let mut reported_keys =
            self.remove_unknown_keys(path, table.get_mut(), keys::field_names::<T>(), diagnostics);
        let mut placeholders = Vec::new();
        loop {
            let error = match T::deserialize(Section::new(table.get_ref(), &placeholders)) {
                // A value with placeholders must not be used.
                Ok(read) => return placeholders.is_empty().then_some(read),
                Err(error) => error,
            };
            match (&error.key, &error.problem) {
                (Some(key), _) => {
                    // A placeholder is not in the table. Its field was reported as missing.
                    table.get_mut().remove(key.as_str())?;
                    diagnostics.push(self.diagnostic_at_key(path, key, &error));
                    reported_keys.insert(key.clone());
                }
                (None, Problem::MissingField(field)) if !placeholders.contains(field) => {
                    if !reported_keys.contains(*field) {
                        diagnostics.push(self.source_map.diagnostic(path, error.message()));
                    }
                    placeholders.push(*field);
                }
                (None, _) => {
                    diagnostics.push(self.source_map.diagnostic(path, error.message()));
                    return None;
                }
            }
        }
    }

    /// Creates an error for the value of one key of a table, at the line of the value.
    fn diagnostic_at_key(&self, path: &[&str], key: &str, error: &ReadError) -> Diagnostic {
        let line = self.source_map.diagnostic_at(error.span.clone(), "").line;
        self.source_map.diagnostic(&[path, &[key]].concat(), error.message()).at_line(line)
    }

    /// Reports and removes the keys that a section does not have. Returns the known keys that were probably meant.
    fn remove_unknown_keys(
        &self,
        path: &[&str],
        table: &mut DeTable<'_>,
        fields: &[&str],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> BTreeSet<String> {
        let removed = match path {
            ["accounts", _] => &["provider", "exchange"][..],
            ["servers", _] => &["tools", "requests"],
            ["http"] => &["issuers"],
            ["resolver"] => &["provider"],
            _ => &[],
        };
        let names = [fields, removed].concat();
        let unknown: Vec<_> = table
            .iter()
            .filter(|(key, _)| !fields.contains(&key.get_ref().as_ref()))
            .map(|(key, value)| (key.get_ref().to_string(), value.get_ref().is_table()))
            .collect();
        let mut intended = BTreeSet::new();
        for (key, is_table) in unknown {
            let what = match is_table && path.len() == 2 {
                true => {
                    format!("{}; {}", keys::unknown_key_message(&key, &names), dotted_name_hint(path, &key))
                }
                false => keys::unknown_key_message(&key, &names),
            };
            let line = self.source_map.diagnostic(&[path, &[&key]].concat(), String::new()).line;
            diagnostics.push(self.source_map.diagnostic(path, what).at_line(line));
            table.remove(key.as_str());
            intended.extend(keys::closest_match(&key, fields).map(str::to_owned));
        }
        intended
    }

    /// Reads an account, whose fields depend on its provider.
    pub(super) fn read_account(
        &self,
        path: &[&str],
        value: Spanned<DeValue<'_>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<AccountSettings> {
        let (exchange, table) = self.split_key(path, "exchange", value, diagnostics)?;
        let exchange = exchange.and_then(|value| self.read_exchange(path, value, diagnostics));
        let errors_before = diagnostics.len();
        let (name, rest) = self.take_provider(path, table, ProviderSettings::NAMES, diagnostics)?;
        let misspelt = diagnostics.len() > errors_before;
        let provider = match name.as_str() {
            "memory" => self.read(path, rest, diagnostics).map(ProviderSettings::Memory),
            "environment" => self.read(path, rest, diagnostics).map(ProviderSettings::Environment),
            "assume-role" => {
                self.read(path, rest, diagnostics).map(Box::new).map(ProviderSettings::AssumeRole)
            }
            "web-identity" => {
                self.read(path, rest, diagnostics).map(Box::new).map(ProviderSettings::WebIdentity)
            }
            "federation" => {
                self.read(path, rest, diagnostics).map(Box::new).map(ProviderSettings::Federation)
            }
            "process" => self.read(path, rest, diagnostics).map(ProviderSettings::Process),
            "default-chain" | "ambient" => {
                self.read(path, rest, diagnostics).map(ProviderSettings::DefaultChain)
            }
            "profile" => self.read(path, rest, diagnostics).map(ProviderSettings::Profile),
            _ => self.read(path, rest, diagnostics).map(ProviderSettings::SecretsManager),
        }?;
        (!misspelt).then_some(AccountSettings { provider, exchange })
    }

    /// Reads `exchange = true`, or a table of options.
    fn read_exchange(
        &self,
        path: &[&str],
        value: Spanned<DeValue<'_>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<ExchangeSettings> {
        let path = [path, &["exchange"]].concat();
        match value.get_ref() {
            DeValue::Boolean(yes) => yes.then(ExchangeSettings::default),
            DeValue::Table(_) => self.read(&path, value, diagnostics),
            _ => {
                diagnostics
                    .push(self.source_map.diagnostic(&path, "must be `true`, `false` or a table".to_owned()));
                None
            }
        }
    }

    /// Reads a server, which of its tools are usable, and which AWS requests it may send.
    pub(super) fn read_server(
        &self,
        path: &[&str],
        value: Spanned<DeValue<'_>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<ServerSettings> {
        let (tools, table) = self.split_key(path, "tools", value, diagnostics)?;
        let tools = tools.and_then(|value| self.read(&[path, &["tools"]].concat(), value, diagnostics));
        let (requests, table) = self.split_key(path, "requests", table, diagnostics)?;
        let requests =
            requests.and_then(|value| self.read(&[path, &["requests"]].concat(), value, diagnostics));
        let server: ServerSettings = self.read(path, table, diagnostics)?;
        Some(ServerSettings { tools: tools.unwrap_or_default(), requests, ..server })
    }

    /// A policy, unless a part of it was reported as invalid: the remaining parts would have another meaning.
    pub(super) fn read_policy(
        &self,
        path: &[&str],
        value: Spanned<DeValue<'_>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<PolicySettings> {
        let errors_before = diagnostics.len();
        let read = self.read(path, value, diagnostics)?;
        (diagnostics.len() == errors_before).then_some(read)
    }

    pub(super) fn read_resolver(
        &self,
        value: Spanned<DeValue<'_>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<ResolverSettings> {
        let path = ["resolver"];
        let (provider, rest) = self.take_provider(&path, value, &["secrets-manager", "mcp"], diagnostics)?;
        match provider.as_str() {
            "mcp" => self.read(&path, rest, diagnostics).map(ResolverSettings::Mcp),
            _ => self.read(&path, rest, diagnostics).map(ResolverSettings::SecretsManager),
        }
    }

    /// Returns the value at `path`, if it is a table.
    pub(super) fn expect_table<'v>(
        &self,
        path: &[&str],
        value: Spanned<DeValue<'v>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Spanned<DeTable<'v>>> {
        let span = value.span();
        if let DeValue::Table(table) = value.into_inner() {
            return Some(Spanned::new(span, table));
        }
        diagnostics.push(
            self.source_map
                .diagnostic(path, format!("must be a table; write it under `[{}]`", path.join("."))),
        );
        None
    }

    /// Expects a table, and takes the value of `key` out of it, because it is read apart from the other keys.
    pub(super) fn split_key<'v>(
        &self,
        path: &[&str],
        key: &str,
        value: Spanned<DeValue<'v>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<(Option<Spanned<DeValue<'v>>>, Spanned<DeValue<'v>>)> {
        let mut table = self.expect_table(path, value, diagnostics)?;
        let taken = table.get_mut().remove(key);
        Some((taken, Spanned::new(table.span(), DeValue::Table(table.into_inner()))))
    }

    /// Removes the provider from a table. A misspelt provider is reported, and its correction is returned, so that the
    /// other keys can be checked.
    fn take_provider<'v>(
        &self,
        path: &[&str],
        value: Spanned<DeValue<'v>>,
        choices: &[&str],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<(String, Spanned<DeValue<'v>>)> {
        let (provider, table) = self.split_key(path, "provider", value, diagnostics)?;
        let named = provider.as_ref().and_then(|value| value.get_ref().as_str());
        if let Some(named) = named.filter(|named| choices.contains(named)) {
            return Some((named.to_owned(), table));
        }
        if let Some(intended) = named.and_then(|named| keys::closest_match(named, choices)) {
            let what = format!("is not a provider; did you mean `{intended}`?");
            diagnostics.push(self.source_map.diagnostic(&[path, &["provider"]].concat(), what));
            return Some((intended.to_owned(), table));
        }
        let choices: Vec<_> = choices.iter().map(|choice| format!("`{choice}`")).collect();
        let choices = choices.join(" or ");
        diagnostics.push(match provider {
            Some(_) => {
                self.source_map.diagnostic(&[path, &["provider"]].concat(), format!("must be {choices}"))
            }
            None => self.source_map.diagnostic(path, format!("needs a `provider`, which is {choices}")),
        });
        None
    }
}

/// Suggests how to write the name of a section that was meant to contain dots.
fn dotted_name_hint(path: &[&str], key: &str) -> String {
    let name = [&path[1..], &[key]].concat().join(".").escape_debug().to_string();
    format!("a name with dots is quoted: `[{}.\"{name}\"]`", path[0])
}
