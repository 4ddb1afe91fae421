//! Reads a table of the file and reports every error in it: an invalid key is reported and removed, and the rest is
//! read again.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};

use super::account::{AccountSettings, ExchangeSettings, ProviderSettings};
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
        let mut placeholders = BTreeSet::new();
        loop {
            let whole = Spanned::new(table.span(), DeValue::Table(table.get_ref().clone()));
            let error = match T::deserialize(ValueDeserializer::from(whole)) {
                // Placeholders were inserted, so the value must not be used.
                Ok(read) => return placeholders.is_empty().then_some(read),
                Err(error) => error,
            };
            if let Some(missing) =
                missing_field(&error).filter(|missing| placeholders.insert((*missing).to_owned()))
            {
                if !reported_keys.contains(missing) {
                    diagnostics.push(self.source_map.diagnostic(path, error.message().to_owned()));
                }
                table
                    .get_mut()
                    .insert(synthetic_key(missing), Spanned::new(0..0, DeValue::String("".into())));
                continue;
            }
            let Some(key) = error.span().and_then(|span| key_at_span(table.get_ref(), &span)) else {
                diagnostics.push(self.source_map.diagnostic(path, redacted_message("", &error)));
                return None;
            };
            table.get_mut().remove(key.as_str());
            diagnostics.push(self.diagnostic_at_key(path, &key, &error));
            reported_keys.insert(key);
        }
    }

    /// Creates an error for the value of one key of a table, at the line of the value.
    fn diagnostic_at_key(&self, path: &[&str], key: &str, error: &toml::de::Error) -> Diagnostic {
        let line = self.source_map.diagnostic_at(error.span(), "").line;
        self.source_map.diagnostic(&[path, &[key]].concat(), redacted_message(key, error)).at_line(line)
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
            ["servers", _] => &["tools"],
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

    /// Reads a server, and which of its tools are usable.
    pub(super) fn read_server(
        &self,
        path: &[&str],
        value: Spanned<DeValue<'_>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<ServerSettings> {
        let (tools, table) = self.split_key(path, "tools", value, diagnostics)?;
        let tools = tools.and_then(|value| self.read(&[path, &["tools"]].concat(), value, diagnostics));
        let server: ServerSettings = self.read(path, table, diagnostics)?;
        Some(ServerSettings { tools: tools.unwrap_or_default(), ..server })
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
        let (_, rest) = self.take_provider(&path, value, &["secrets-manager"], diagnostics)?;
        self.read(&path, rest, diagnostics)
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

/// Returns the required field that is missing in a table.
fn missing_field(error: &toml::de::Error) -> Option<&str> {
    error.message().strip_prefix("missing field `")?.strip_suffix('`')
}

fn synthetic_key(key: &str) -> Spanned<DeString<'static>> {
    Spanned::new(0..0, key.to_owned().into())
}

/// Returns the key of `table` whose key or value contains `span`.
fn key_at_span(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let hit = table.iter().find(|(key, value)| is_within(span, &key.span()) || contains_span(value, span));
    hit.map(|(key, _)| key.get_ref().clone().into_owned())
}

/// Whether `value` contains `span`. Tables that are written in several parts have no useful span of their own.
fn contains_span(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    is_within(span, &value.span())
        || value.get_ref().as_table().is_some_and(|table| key_at_span(table, span).is_some())
}

fn is_within(inner: &Range<usize>, outer: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Describes an error without the value, which may be a key that was pasted into the wrong line.
fn redacted_message(key: &str, error: &toml::de::Error) -> String {
    // The last occurrence, because the value may contain the same text.
    match error.message().rsplit_once(", expected ") {
        Some((_, expected)) => keys::expected_value_message(key, expected),
        None => "holds a value of the wrong type".to_owned(),
    }
}

/// Suggests how to write the name of a section that was meant to contain dots.
fn dotted_name_hint(path: &[&str], key: &str) -> String {
    let name = [&path[1..], &[key]].concat().join(".").escape_debug().to_string();
    format!("a name with dots is quoted: `[{}.\"{name}\"]`", path[0])
}
