//! `SourceFile`: a Rust file with its syntax tree and tokens, and the lines that belong to tests.

use std::ops::RangeInclusive;

use syn::{Attribute, File, Item, Meta, spanned::Spanned};

use super::{
    Violation,
    token::{SourceToken, tokenize},
};

/// The purpose of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// Production code.
    Production,
    /// A test, an example or a benchmark.
    Test,
}

/// A parsed Rust file.
pub(crate) struct SourceFile {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) kind: FileKind,
    pub(crate) syntax: File,
    tokens: Vec<SourceToken>,
    test_lines: Vec<RangeInclusive<usize>>,
}

impl SourceFile {
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, Violation> {
        let violation = |error: &dyn std::fmt::Display, line| {
            Violation::new(path, line, format!("not Rust that can be parsed: {error}"), "make it compile")
        };
        let syntax = syn::parse_file(text).map_err(|error| violation(&error, error.span().start().line))?;
        Ok(Self {
            path: path.to_owned(),
            text: text.to_owned(),
            kind: if path.contains("/src/") { FileKind::Production } else { FileKind::Test },
            tokens: tokenize(text).map_err(|error| violation(&error, 1))?,
            test_lines: syntax.items.iter().filter(|item| is_test(item)).map(line_range).collect(),
            syntax,
        })
    }

    /// Returns the folder of the workspace member that contains the file: `crates/core`, `xtask`.
    pub(crate) fn member_dir(&self) -> &str {
        let depth = if self.path.starts_with("crates/") { 2 } else { 1 };
        let end = self.path.match_indices('/').nth(depth - 1).map_or(self.path.len(), |(end, _)| end);
        &self.path[..end]
    }

    /// Returns the tokens outside `#[cfg(test)]` items: without comments, with macro bodies.
    pub(crate) fn production_tokens(&self) -> Vec<SourceToken> {
        self.tokens.iter().filter(|token| !self.is_test_line(token.line)).cloned().collect()
    }

    /// Returns the number of lines outside `#[cfg(test)]` items.
    pub(crate) fn count_production_lines(&self) -> usize {
        let is_comment = |text: &str| text.trim_start().starts_with("//");
        let lines = (1..).zip(self.text.lines());
        lines.filter(|(line, text)| !is_comment(text) && !self.is_test_line(*line)).count()
    }

    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// Returns the paths, without `.rs`, of the test-only modules in other files.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs");
        let folder = stem.strip_suffix("/lib").or_else(|| stem.strip_suffix("/main")).unwrap_or(stem);
        let test_module = |item: &Item| match item {
            Item::Mod(module) if module.content.is_none() && is_test(item) => Some(module.ident.to_string()),
            _ => None,
        };
        self.syntax.items.iter().filter_map(test_module).map(|name| format!("{folder}/{name}")).collect()
    }
}

/// Returns the lines from an item's attributes to its end.
pub(crate) fn line_range(item: &impl Spanned) -> RangeInclusive<usize> {
    let span = item.span();
    span.start().line..=span.end().line
}

fn is_test(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(is_cfg_test)
}

/// Whether the attribute is `#[cfg(test)]` or `#[cfg(all(test, …))]`, but not `#[cfg(not(test))]`.
fn is_cfg_test(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else { return false };
    let condition = list.tokens.to_string();
    let contains_word = |wanted: &str| condition.split([' ', '(', ')', ',']).any(|word| word == wanted);
    list.path.is_ident("cfg") && contains_word("test") && !contains_word("not")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_production_lines(condition: &str) -> usize {
        let text = format!("//! X.\n#[cfg({condition})]\nmod tests {{}}\n");
        SourceFile::parse("crates/core/src/x.rs", &text).map_or(0, |source| source.count_production_lines())
    }

    #[test]
    fn production_lines_exclude_cfg_test_items() {
        assert_eq!(count_production_lines("test"), 0);
        assert_eq!(count_production_lines("all(feature = \"x\", test)"), 0);
        assert_eq!(count_production_lines("not(test)"), 2);
        assert_eq!(count_production_lines("feature = \"test-util\""), 2);
    }
}
