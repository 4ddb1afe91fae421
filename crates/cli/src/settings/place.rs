//! Finding the line of a key, so that a fault can be opened in an editor.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use valetkey::Error;

use super::Fault;

/// A settings file, and the line of each of its keys.
#[derive(Debug, Default)]
pub(super) struct Place {
    path: PathBuf,
    /// Where each line begins.
    starts: Vec<usize>,
    keys: BTreeMap<Vec<String>, usize>,
}

impl Place {
    pub(super) fn new(path: &Path, text: &str, table: &DeTable<'_>) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(end, _)| end + 1)).collect();
        let mut place = Self { path: path.to_owned(), starts, keys: BTreeMap::new() };
        place.note(&[], table);
        place
    }

    pub(super) fn is_nowhere(&self) -> bool {
        self.path.as_os_str().is_empty()
    }

    /// A fault at `key`, or at what is nearest above it.
    pub(super) fn fault(&self, key: &[&str], what: String) -> Fault {
        let subject = match key {
            [section @ .., last] if section.len() == depth(key) => {
                format!("[{}] `{last}`", section.join("."))
            }
            _ => format!("[{}]", key.join(".")),
        };
        Fault::file(&self.path, format!("{subject} {what}")).at_line(self.line_of(key))
    }

    /// What a library found wrong with a section.
    pub(super) fn told(&self, section: &[&str], error: &Error) -> Fault {
        let remedy = error.next_step().map(|step| format!("; {step}")).unwrap_or_default();
        let message = format!("{}{remedy}", error.message());
        // The library's word for it may not be the file's.
        let named = |field: &&str| {
            let field = field.to_owned();
            [field.to_owned(), format!("{field}_seconds")]
                .into_iter()
                .find(|key| self.keys.contains_key(&owned(&[section, &[key.as_str()]].concat())))
        };
        match error.field().as_ref().and_then(named) {
            Some(key) => {
                let what = message.split_once("` ").map_or(message.as_str(), |(_, what)| what);
                self.fault(&[section, &[key.as_str()]].concat(), what.to_owned())
            }
            None => self.fault(section, message),
        }
    }

    /// What a parser found wrong with the text. Its messages hold nothing of the text.
    pub(super) fn malformed(&self, text: &str, span: Option<Range<usize>>, reason: &str) -> Fault {
        let start = span.as_ref().map(|span| span.start);
        let column = start.and_then(|start| {
            let line = text.get(..start)?.rsplit('\n').next()?;
            Some(line.chars().count() + 1)
        });
        Fault { column, ..self.at(span, &format!("is not valid TOML here: {reason}")) }
    }

    /// A fault at a place in the text.
    pub(super) fn at(&self, span: Option<Range<usize>>, what: &str) -> Fault {
        let line = span.map(|span| self.line(span.start));
        Fault::file(&self.path, what).at_line(line)
    }

    fn line_of(&self, key: &[&str]) -> Option<usize> {
        (1..=key.len()).rev().find_map(|length| self.keys.get(&owned(&key[..length])).copied())
    }

    /// Counted from 1.
    fn line(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte)
    }

    fn note(&mut self, path: &[String], table: &DeTable<'_>) {
        for (key, value) in table {
            let here = [path, &[key.get_ref().clone().into_owned()]].concat();
            if let Some(table) = value.get_ref().as_table() {
                self.note(&here, table);
            }
            self.keys.insert(here, self.line(key.span().start));
        }
    }
}

/// How many words a section's name has before its keys begin.
fn depth(key: &[&str]) -> usize {
    match key {
        ["accounts", _, "exchange", _, ..] | ["servers", _, "tool_policies", ..] => 3,
        ["accounts" | "policies" | "principals" | "servers", ..] => 2,
        _ => 1,
    }
}

fn owned(key: &[&str]) -> Vec<String> {
    key.iter().map(|&word| word.to_owned()).collect()
}
