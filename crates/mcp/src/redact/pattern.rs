//! `Pattern`: the fingerprint of one encoding of a secret, which is searched for in normalized text.
//!
//! A pattern has the length and the hash of the encoded text, and its first eight characters, so that the memory of the
//! redactor contains no whole secret.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::zeroize::Zeroizing;

use super::normalize::Normalizer;
use super::rolling_hash::{self, Hash};

/// The number of characters by which a pattern is looked up. Shorter texts are not secrets; masking them would also
/// mask unrelated text.
pub(super) const PREFIX_LEN: usize = 8;

/// One normalized encoding of a secret, as its length and hashes. Only the first characters of the secret are stored,
/// and the size does not depend on the secret's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) prefix_bytes: u64,
    /// The largest step not above the length, and the hash of that many characters.
    pub(super) step: u8,
    pub(super) step_hash: Hash,
    pub(super) length: usize,
    pub(super) hash: Hash,
}

impl Pattern {
    /// Returns the patterns of the secret itself, of its hexadecimal digits, and of the parts that are visible in the
    /// Base64 of any text that contains it.
    pub(super) fn all_encodings(secret: &str) -> Vec<Self> {
        let spelled = encodings(secret).into_iter().map(Zeroizing::new);
        let encoded = spelled.flat_map(|text| [0, 1, 2].map(|at| base64_at_offset(&text, at)));
        let plain = [Zeroizing::new(secret.to_owned()), hex_digits(secret, |b| format!("{b:02x}"))];
        let upper = hex_digits(secret, |b| format!("{b:02X}"));
        plain.into_iter().chain([upper]).chain(encoded).filter_map(|text| Self::new(&text)).collect()
    }

    fn new(text: &str) -> Option<Self> {
        let normalized: Zeroizing<Vec<u8>> =
            Zeroizing::new(Normalizer::new(text).map(|sign| sign.byte).collect());
        let prefix_bytes = normalized.get(..PREFIX_LEN)?.iter().fold(0, |head, &byte| push_byte(head, byte));
        let (length, step) = (normalized.len(), step_for_length(normalized.len()));
        let (step_hash, hash) =
            (rolling_hash::hash(&normalized[..step_length(step)]), rolling_hash::hash(&normalized));
        Some(Self { prefix_bytes, step, step_hash, length, hash })
    }
}

/// Appends a byte to the window of the last eight.
pub(super) fn push_byte(window: u64, byte: u8) -> u64 {
    window << 8 | u64::from(byte)
}

/// Returns the length of a step. Steps grow by a half or a third: 8, 12, 16, 24, 32, …
pub(super) fn step_length(step: u8) -> usize {
    let base = if step.is_multiple_of(2) { PREFIX_LEN } else { PREFIX_LEN + PREFIX_LEN / 2 };
    base << (step / 2)
}

/// Returns the last step that is not longer than `length`, which is at least [`PREFIX_LEN`]. No text is long enough
/// for 64 steps.
fn step_for_length(length: usize) -> u8 {
    (1..60).take_while(|&step| step_length(step) <= length).last().unwrap_or(0)
}

fn hex_digits(secret: &str, digits: fn(u8) -> String) -> Zeroizing<String> {
    Zeroizing::new(secret.bytes().map(digits).collect())
}

/// Returns the forms that a secret may have in a text before Base64: unchanged, or escaped as by JSON serializers or
/// in URLs.
fn encodings(secret: &str) -> HashSet<String> {
    let escaped = |all: &[char], escape: fn(u32) -> String| {
        let escape_char = |c: char| if all.contains(&c) { escape(u32::from(c)) } else { c.to_string() };
        secret.chars().map(escape_char).collect::<String>()
    };
    let unicode = |code: u32| format!("\\u{code:04x}");
    let dotnet = |code: u32| format!("\\u{code:04X}");
    let url = |code: u32| format!("%{code:02X}");
    HashSet::from([
        secret.to_owned(),
        secret.replace('/', "\\/"),
        escaped(&['='], unicode),
        escaped(&['+'], dotnet),
        escaped(&['+', '/', '='], url),
    ])
}

/// Returns the Base64 characters of `text` that do not depend on the surrounding text, if `text` begins at offset
/// `at` of a group of three bytes.
fn base64_at_offset(text: &str, at: usize) -> Zeroizing<String> {
    let bytes = Zeroizing::new([&vec![0; at], text.as_bytes()].concat());
    let all = Zeroizing::new(STANDARD_NO_PAD.encode(&*bytes));
    let (first, last) = ((at * 8).div_ceil(6), (at + text.len()) * 8 / 6);
    Zeroizing::new(all[first..last].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_byte_keeps_the_last_eight_bytes() {
        let window = b"0123456789".iter().fold(0, |window, &byte| push_byte(window, byte));
        assert_eq!(window.to_be_bytes(), *b"23456789");
    }

    #[test]
    fn step_length_grows_by_a_half_or_a_third() {
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(step_length), [8, 12, 16, 24, 32, 48, 64]);
        for (length, step) in [(8, 0), (11, 0), (12, 1), (15, 1), (16, 2), (23, 2), (24, 3), (1_000, 13)] {
            assert_eq!(step_for_length(length), step, "{length}");
        }
    }
}
