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

use std::ops::Range;

use super::normalize::{decode_symbol, hex_byte};

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

/// Signs between a name and its value. At least one of [`SEPARATORS`] is required.
const GAP_SIGNS: &[u8] = b" \t\"'`*=:>|";
/// Signs between the name of a variable and the name of the field with its value.
const FIELD_GAP_SIGNS: &[u8] = b", \t\n\"'";
const SEPARATORS: &[u8] = b"=:>|\t";
/// The maximum number of signs between a name and its value: tables align their columns with spaces.
const MAX_GAP: usize = 64;
const KEY_ID_LEN: usize = 20;
const SECRET_LEN: usize = 40;
const MIN_SECRET_LEN: usize = 20;
const MIN_TOKEN_LEN: usize = 64;
/// The minimum length of a token that has no name.
const MIN_UNNAMED_TOKEN_LEN: usize = 100;

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
        while let Some((sign, length)) = read_sign(&self.text[self.at..]) {
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

/// The signs between a name and its value.
struct Gap {
    end: usize,
    has_separator: bool,
}

impl Gap {
    /// Reads the signs after a name. In a list of variables, such as that of a container, the value is a field of its
    /// own: `"name": "AWS_SECRET_ACCESS_KEY", "value": "…"`.
    fn read_to_value(text: &[u8], start: usize) -> Self {
        let gap = Self::read(text, start, GAP_SIGNS);
        let between = Self::read(text, gap.end, FIELD_GAP_SIGNS).end;
        match match_words(text, between, &[b"value"]) {
            Some(end) if between > gap.end => Self::read(text, end, GAP_SIGNS),
            _ => gap,
        }
    }

    /// Reads at most [`MAX_GAP`] of these signs.
    fn read(text: &[u8], start: usize, signs: &[u8]) -> Self {
        let mut gap = Self { end: start, has_separator: false };
        for _ in 0..MAX_GAP {
            let Some((sign, length)) = read_sign(&text[gap.end..]) else { break };
            if !signs.contains(&sign) {
                break;
            }
            gap.has_separator |= SEPARATORS.contains(&sign);
            gap.end += length;
        }
        gap
    }
}

/// Decodes the sign at the start of `text`, and returns it with its length. Backslashes before a sign belong to it.
/// Returns `None` only at the end of the text: an invalid escape is read as text.
fn read_sign(text: &[u8]) -> Option<(u8, usize)> {
    let slashes = text.iter().take(MAX_GAP).take_while(|byte| **byte == b'\\').count();
    let rest = &text[slashes..];
    if let Some(entity) = rest.strip_prefix(b"&quot;") {
        return Some((b'"', text.len() - entity.len()));
    }
    let escape = match (slashes, rest) {
        (1.., [b'n' | b'r', ..]) => Some((b'\n', 1)),
        (1.., [b't', ..]) => Some((b'\t', 1)),
        (1.., [b'u', digits @ ..]) => hex_byte(digits, 4).map(|byte| (byte, 5)),
        _ => None,
    };
    let (sign, length) = escape.or_else(|| decode_symbol(rest))?;
    Some((sign, slashes + length))
}

/// A run of the characters of keys and tokens: Base64 in both alphabets, with padding at its end.
#[derive(Default)]
struct Word {
    end: usize,
    /// The number of characters after decoding.
    length: usize,
    has_digit: bool,
    has_lower: bool,
    has_upper: bool,
}

impl Word {
    fn read(text: &[u8], start: usize) -> Self {
        let mut word = Self { end: start, ..Self::default() };
        let mut is_padding = false;
        while let Some((byte, length)) = text.get(word.end..).and_then(read_sign) {
            is_padding |= byte == b'=';
            let continues = if is_padding { byte == b'=' } else { is_word_byte(byte) };
            if !continues {
                break;
            }
            word.has_digit |= byte.is_ascii_digit();
            word.has_lower |= byte.is_ascii_lowercase();
            word.has_upper |= byte.is_ascii_uppercase();
            word.length += 1;
            word.end += length;
        }
        word
    }

    /// Whether the word can be a secret of this kind, given that it follows the name.
    fn has_shape(&self, kind: SecretKind) -> bool {
        let is_mixed = self.has_digit && (self.has_lower || self.has_upper);
        match kind {
            SecretKind::SecretAccessKey => {
                self.length == SECRET_LEN || (self.length >= MIN_SECRET_LEN && is_mixed)
            }
            SecretKind::SessionToken | SecretKind::Token => self.length >= MIN_TOKEN_LEN && is_mixed,
        }
    }

    /// Returns what the word is without a name, if it is a secret. A digest can have 40 characters too, but has letters
    /// of one case only.
    fn kind_without_name(&self) -> Option<SecretKind> {
        match self.length {
            _ if !(self.has_lower && self.has_upper) => None,
            SECRET_LEN => Some(SecretKind::SecretAccessKey),
            MIN_UNNAMED_TOKEN_LEN.. if self.has_digit => Some(SecretKind::SessionToken),
            _ => None,
        }
    }
}
