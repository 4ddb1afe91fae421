//! `Pattern`: the fingerprint of one way in which a secret shows, to be found in a text that is read for its meaning.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::zeroize::Zeroizing;

use super::meant::Normalizer;
use super::rolling::{self, Hash};

/// Patterns are found by so many characters at their beginning. Shorter texts are no secrets, and would mask by
/// accident.
pub(super) const PREFIX_LEN: usize = 8;

/// The meaning of one spelling, as its length and hashes: no part of a secret but its first characters is kept, and the
/// size does not depend on the secret's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) prefix_bytes: u64,
    /// The step at or below the length, and the hash of that many characters.
    pub(super) step: u8,
    pub(super) step_hash: Hash,
    pub(super) length: usize,
    pub(super) hash: Hash,
}

impl Pattern {
    /// The secret itself, its hexadecimal digits, and what of it shows in the Base64 of any text that holds it.
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
        let (step_hash, hash) = (rolling::hash(&normalized[..step_length(step)]), rolling::hash(&normalized));
        Some(Self { prefix_bytes, step, step_hash, length, hash })
    }
}

/// The last characters read, with one more.
pub(super) fn push_byte(window: u64, byte: u8) -> u64 {
    window << 8 | u64::from(byte)
}

/// Lengths are grouped in steps that grow by a half or a third: 8, 12, 16, 24, 32, …
pub(super) fn step_length(step: u8) -> usize {
    let base = if step.is_multiple_of(2) { PREFIX_LEN } else { PREFIX_LEN + PREFIX_LEN / 2 };
    base << (step / 2)
}

/// The last step that is not longer than `length`, which is at least [`PREFIX_LEN`]. No text has as many as 64 steps.
fn step_for_length(length: usize) -> u8 {
    (1..60).take_while(|&step| step_length(step) <= length).last().unwrap_or(0)
}

fn hex_digits(secret: &str, digits: fn(u8) -> String) -> Zeroizing<String> {
    Zeroizing::new(secret.bytes().map(digits).collect())
}

/// As it may be written in the text that becomes Base64: as it is, as serializers of JSON do, as URLs do.
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

/// The characters of the Base64 of a text that are the same whatever comes before and after, when `text` begins at
/// `at` in its group of three bytes.
fn base64_at_offset(text: &str, at: usize) -> Zeroizing<String> {
    let bytes = Zeroizing::new([&vec![0; at], text.as_bytes()].concat());
    let all = Zeroizing::new(STANDARD_NO_PAD.encode(&*bytes));
    let (first, last) = ((at * 8).div_ceil(6), (at + text.len()) * 8 / 6);
    Zeroizing::new(all[first..last].to_owned())
}
