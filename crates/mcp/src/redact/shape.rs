//! Finds credentials that no session knows, such as those that a server created, by the names of their fields and by
//! their shape.
//!
//! | name, in any case, with `_`, `-`, `.`, a space or nothing between its words | shape of the value |
//! |---|---|
//! | secret access key, AWS secret key | 40 characters, or at least 20 with a letter and a digit |
//! | session token, security token | at least 64 characters, with a letter and a digit |
//! | token | the same, if the text also has a secret access key |
//!
//! Between the name and the value are the signs of JSON, YAML, INI files, shells, XML, tables and source code, with any
//! mix of the escapes of JSON, URLs and HTML. In the same row after an access key id, as in the text output of the AWS
//! CLI and in CSV files, a secret needs no name.
//!
//! Each byte is read a bounded number of times: the gap after a name has a maximum length, and a value contains no sign
//! of a gap, so that two names never lead to the same value. Without credentials in it, a text costs no allocation.

mod value;

use std::ops::Range;

use value::{Gap, Word, read_sign};

/// What a field contains, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretKind {
    SecretAccessKey,
    SessionToken,
    /// The session token in a response of a credential endpoint. Many other fields have this name.
    Token,
}

/// The words of each name. The first name that matches counts.
const NAMES: [(&[&[u8]], SecretKind); 5] = [
    (&[b"secret", b"access", b"key"], SecretKind::SecretAccessKey),
    (&[b"aws", b"secret", b"key"], SecretKind::SecretAccessKey),
    (&[b"session", b"token"], SecretKind::SessionToken),
    (&[b"security", b"token"], SecretKind::SessionToken),
    (&[b"token"], SecretKind::Token),
];
const KEY_ID_PREFIXES: [&[u8]; 2] = [b"AKIA", b"ASIA"];

const KEY_ID_LEN: usize = 20;

/// The length of a row after an access key id or a secret in which the next secret needs no name.
const MAX_ROW_GAP: usize = 128;

/// Returns the ranges of `text` that are secrets by their shape, in order and without overlap.
pub(super) fn find_secrets(text: &str) -> Vec<Range<usize>> {
    let mut scanner = Scanner::new(text);
    scanner.run();
    let has_secret = scanner.found.iter().any(|(kind, _)| *kind == SecretKind::SecretAccessKey);
    let found = scanner.found.into_iter().filter(|(kind, _)| has_secret || *kind != SecretKind::Token);
    found.map(|(_, range)| range).collect()
}

/// Returns what a field contains, by its whole name.
pub(super) fn kind_of_field(name: &str) -> Option<SecretKind> {
    let name = name.as_bytes();
    let to_end = |at| match_name(name, at).filter(|(_, end)| *end == name.len());
    (0..name.len()).find_map(to_end).map(|(kind, _)| kind)
}

/// Whether the whole name of a field ends with these words.
pub(super) fn field_ends_with(name: &str, words: &[&[u8]]) -> bool {
    let name = name.as_bytes();
    (0..name.len()).any(|at| match_words(name, at, words) == Some(name.len()))
}

/// Whether the whole text has the shape of a secret of this kind.
pub(super) fn has_shape(kind: SecretKind, text: &str) -> bool {
    let word = Word::read(text.as_bytes(), 0);
    word.end == text.len() && word.has_shape(kind)
}

/// Whether the whole text has the shape of a secret that needs no name.
pub(super) fn has_shape_without_name(text: &str) -> bool {
    let word = Word::read(text.as_bytes(), 0);
    word.end == text.len() && word.kind_without_name().is_some()
}

/// Whether the whole text is an access key id.
pub(super) fn is_key_id_text(text: &str) -> bool {
    text.len() == KEY_ID_LEN && is_key_id(text.as_bytes())
}

/// Reads a text once.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether the sign before `at` does not belong to a word.
    is_word_start: bool,
    /// A secret that begins before this position needs no name.
    row_end: usize,
    found: Vec<(SecretKind, Range<usize>)>,
    #[cfg(test)]
    steps: usize,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            is_word_start: true,
            row_end: 0,
            found: Vec::new(),
            #[cfg(test)]
            steps: 0,
        }
    }

    fn run(&mut self) {
        loop {
            self.skip_plain();
            let Some((sign, length)) = read_sign(&self.text[self.at..]) else { return };
            if self.read_named(sign) || (self.is_word_start && self.read_unnamed(sign)) {
                self.is_word_start = false;
                continue;
            }
            if sign == b'\n' {
                self.row_end = 0;
            }
            self.is_word_start = !is_word_byte(sign);
            self.at += length;
            self.count(length);
        }
    }

    /// Moves to the next byte that needs a look, unless a secret without a name may begin here.
    fn skip_plain(&mut self) {
        let rest = &self.text[self.at..];
        if self.at < self.row_end {
            return;
        }
        let length = (0..rest.len()).find(|at| !is_plain(rest, *at)).unwrap_or(rest.len());
        if let Some(last) = rest[..length].last() {
            self.is_word_start = !is_word_byte(*last);
            self.at += length;
            self.count(length);
        }
    }

    /// Reads a name and its value. Returns false at any other text, or when the value has not the shape of a secret.
    fn read_named(&mut self, first: u8) -> bool {
        if !b"aAsStT".contains(&first) {
            return false;
        }
        let Some((kind, end)) = match_name(self.text, self.at) else { return false };
        if self.text.get(end).is_some_and(u8::is_ascii_alphanumeric) {
            return false;
        }
        let gap = Gap::read_to_value(self.text, end);
        let word = Word::read(self.text, gap.end);
        self.count(word.end - end);
        let is_secret = gap.end > end
            && if gap.has_separator { word.has_shape(kind) } else { word.kind_without_name() == Some(kind) };
        if is_secret {
            self.add(kind, gap.end..word.end);
        }
        is_secret
    }

    /// Reads a word without a name: an access key id, or a secret in the row of one.
    fn read_unnamed(&mut self, first: u8) -> bool {
        if first == b'A' && is_key_id(&self.text[self.at..]) {
            self.at += KEY_ID_LEN;
            self.row_end = self.at + MAX_ROW_GAP;
            return true;
        }
        if self.at >= self.row_end || !is_word_byte(first) {
            return false;
        }
        let word = Word::read(self.text, self.at);
        self.count(word.end - self.at);
        match word.kind_without_name() {
            Some(kind) => {
                self.add(kind, self.at..word.end);
                self.row_end = self.at + MAX_ROW_GAP;
                true
            }
            None => false,
        }
    }

    fn add(&mut self, kind: SecretKind, range: Range<usize>) {
        self.at = range.end;
        self.found.push((kind, range));
    }

    /// Counts bytes that were read.
    #[cfg_attr(not(test), allow(unused_variables, clippy::unused_self, reason = "only tests count"))]
    fn count(&mut self, bytes: usize) {
        #[cfg(test)]
        {
            self.steps += bytes;
        }
    }
}

/// Whether no escape, name or access key id begins at `at`. Almost all bytes of a text are plain, and are read only here.
fn is_plain(text: &[u8], at: usize) -> bool {
    let next = || text.get(at + 1).copied().unwrap_or_default();
    match text[at] {
        b'\\' | b'%' | b'&' => false,
        b'a' => !matches!(next(), b'w' | b'W'),
        b'A' => !matches!(next(), b'w' | b'W' | b'K' | b'S'),
        b's' | b'S' => !matches!(next(), b'e' | b'E'),
        b't' | b'T' => !matches!(next(), b'o' | b'O'),
        _ => true,
    }
}

/// Returns the number of bytes that a search reads, with repetitions.
#[cfg(test)]
pub(super) fn count_steps(text: &str) -> usize {
    let mut scanner = Scanner::new(text);
    scanner.run();
    scanner.steps
}

/// Returns the kind and the end of the name at `at`. Only the name `token` must not be the end of a longer word.
fn match_name(text: &[u8], at: usize) -> Option<(SecretKind, usize)> {
    let starts_name = at.checked_sub(1).is_none_or(|before| !is_word_byte(text[before]));
    let names = NAMES.into_iter().filter(|(_, kind)| starts_name || *kind != SecretKind::Token);
    names.into_iter().find_map(|(words, kind)| Some((kind, match_words(text, at, words)?)))
}

/// Returns the end of these words at `at`, in any case, with at most one sign between two of them.
fn match_words(text: &[u8], at: usize, words: &[&[u8]]) -> Option<usize> {
    let mut end = at;
    for (index, word) in words.iter().enumerate() {
        if index > 0 && text.get(end).is_some_and(|sign| b"_-. ".contains(sign)) {
            end += 1;
        }
        let next = text.get(end..end + word.len())?;
        if !next.eq_ignore_ascii_case(word) {
            return None;
        }
        end += word.len();
    }
    Some(end)
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/_-".contains(&byte)
}

/// Whether `text` begins with an access key id.
fn is_key_id(text: &[u8]) -> bool {
    let Some(id) = text.get(..KEY_ID_LEN) else { return false };
    KEY_ID_PREFIXES.iter().any(|prefix| id.starts_with(prefix))
        && id.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && !text.get(KEY_ID_LEN).is_some_and(|next| is_word_byte(*next))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn plain_byte_begins_nothing_that_is_masked(
            text in "(\\PC|[aswtoeASWTOEK\\\\%&]|aws_secret_key|SecretAccessKey|token|AKIAIOSFODNN7EXAMPLE|\\\\u0041|%41|&quot;){0,30}",
        ) {
            let text = text.as_bytes();
            for at in (0..text.len()).filter(|at| is_plain(text, *at)) {
                let (rest, byte) = (&text[at..], text[at]);
                prop_assert_eq!(read_sign(rest), Some((byte, 1)));
                prop_assert!(match_name(text, at).is_none() && !is_key_id(rest));
            }
        }
    }
}
