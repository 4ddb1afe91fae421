//! What follows a name: the [`Gap`] up to the value, and the [`Word`] that may be the value.

use super::{SecretKind, is_word_byte, match_words};
use crate::redact::normalize::{decode_symbol, hex_byte};

/// Signs between a name and its value. At least one of [`SEPARATORS`] is required.
const GAP_SIGNS: &[u8] = b" \t\"'`*=:>|";
/// Signs between the name of a variable and the name of the field with its value.
const FIELD_GAP_SIGNS: &[u8] = b", \t\n\"'";
const SEPARATORS: &[u8] = b"=:>|\t";
/// The maximum number of signs between a name and its value: tables align their columns with spaces.
const MAX_GAP: usize = 64;
const SECRET_LEN: usize = 40;
const MIN_SECRET_LEN: usize = 20;
const MIN_TOKEN_LEN: usize = 64;
/// The minimum length of a token that has no name.
const MIN_UNNAMED_TOKEN_LEN: usize = 100;

/// The signs between a name and its value.
pub(super) struct Gap {
    pub(super) end: usize,
    pub(super) has_separator: bool,
}

impl Gap {
    /// Reads the signs after a name. In a list of variables, such as that of a container, the value is a field of its
    /// own: `"name": "AWS_SECRET_ACCESS_KEY", "value": "…"`.
    pub(super) fn read_to_value(text: &[u8], start: usize) -> Self {
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
pub(super) fn read_sign(text: &[u8]) -> Option<(u8, usize)> {
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
pub(super) struct Word {
    pub(super) end: usize,
    /// The number of characters after decoding.
    length: usize,
    has_digit: bool,
    has_lower: bool,
    has_upper: bool,
}

impl Word {
    pub(super) fn read(text: &[u8], start: usize) -> Self {
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
    pub(super) fn has_shape(&self, kind: SecretKind) -> bool {
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
    pub(super) fn kind_without_name(&self) -> Option<SecretKind> {
        match self.length {
            _ if !(self.has_lower && self.has_upper) => None,
            SECRET_LEN => Some(SecretKind::SecretAccessKey),
            MIN_UNNAMED_TOKEN_LEN.. if self.has_digit => Some(SecretKind::SessionToken),
            _ => None,
        }
    }
}
