//! `SourceMap`: finds the line of a key, so that an error can be opened in an editor.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use valetkey::Error;

use super::Diagnostic;

/// A settings file, and the line of each of its keys.
#[derive(Debug, Clone, Default)]
pub(super) struct SourceMap {
    path: PathBuf,
    /// The offset at which each line begins.
    line_starts: Vec<usize>,
    keys: BTreeMap<Vec<String>, usize>,
}

impl SourceMap {
    pub(super) fn new(path: &Path, text: &str, table: &DeTable<'_>) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(end, _)| end + 1)).collect();
        let mut map = Self { path: path.to_owned(), line_starts: starts, keys: BTreeMap::new() };
        map.index_table(&[], table);
        map
    }

    pub(super) fn is_empty(&self) -> bool {
        self.path.as_os_str().is_empty()
    }

    /// Creates an error at `key`, or at its closest ancestor in the file.
    pub(super) fn diagnostic(&self, key: &[&str], what: String) -> Diagnostic {
        let subject = match key {
            [section @ .., last] if section.len() == section_depth(key) => {
                format!("[{}] `{last}`", section.join("."))
            }
            _ => format!("[{}]", key.join(".")),
        };
        Diagnostic::in_file(&self.path, format!("{subject} {what}")).at_line(self.key_line(key))
    }

    /// Converts a library error in a section.
    pub(super) fn to_diagnostic(&self, section: &[&str], error: &Error) -> Diagnostic {
        let remedy = error.next_step().map(|step| format!("; {step}")).unwrap_or_default();
        let message = format!("{}{remedy}", error.message());
        // The library's name of the field may differ from the key in the file.
        let key_of_field = |field: &&str| {
            let field = field.to_owned();
            [field.to_owned(), format!("{field}_seconds")]
                .into_iter()
                .find(|key| self.keys.contains_key(&to_owned_key(&[section, &[key.as_str()]].concat())))
        };
        match error.field().as_ref().and_then(key_of_field) {
            Some(key) => {
                let what = message.split_once("` ").map_or(message.as_str(), |(_, what)| what);
                self.diagnostic(&[section, &[key.as_str()]].concat(), what.to_owned())
            }
            None => self.diagnostic(section, message),
        }
    }

    /// Creates an error for a syntax error. The parser's messages contain nothing of the text.
    pub(super) fn syntax_diagnostic(
        &self,
        text: &str,
        span: Option<Range<usize>>,
        reason: &str,
    ) -> Diagnostic {
        let start = span.as_ref().map(|span| span.start);
        let column = start.and_then(|start| {
            let line = text.get(..start)?.rsplit('\n').next()?;
            Some(line.chars().count() + 1)
        });
        Diagnostic { column, ..self.diagnostic_at(span, &format!("is not valid TOML here: {reason}")) }
    }

    /// Creates an error at a span of the text.
    pub(super) fn diagnostic_at(&self, span: Option<Range<usize>>, what: &str) -> Diagnostic {
        let line = span.map(|span| self.line_at(span.start));
        Diagnostic::in_file(&self.path, what).at_line(line)
    }

    fn key_line(&self, key: &[&str]) -> Option<usize> {
        (1..=key.len()).rev().find_map(|length| self.keys.get(&to_owned_key(&key[..length])).copied())
    }

    /// Returns the line of a byte offset, counted from 1.
    fn line_at(&self, byte: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= byte)
    }

    fn index_table(&mut self, path: &[String], table: &DeTable<'_>) {
        for (key, value) in table {
            let key_path = [path, &[key.get_ref().clone().into_owned()]].concat();
            if let Some(table) = value.get_ref().as_table() {
                self.index_table(&key_path, table);
            }
            self.keys.insert(key_path, self.line_at(key.span().start));
        }
    }
}

/// Returns the number of words in the name of a section.
fn section_depth(key: &[&str]) -> usize {
    match key {
        ["accounts", _, "exchange", _, ..]
        | ["servers", _, "tool_policies", ..]
        | ["servers", _, "tools" | "requests", _, ..] => 3,
        ["accounts" | "policies" | "principals" | "servers", ..] => 2,
        _ => 1,
    }
}

fn to_owned_key(key: &[&str]) -> Vec<String> {
    key.iter().map(|&word| word.to_owned()).collect()
}
