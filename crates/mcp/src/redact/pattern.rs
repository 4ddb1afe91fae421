//! `Pattern`: one way in which a secret shows, to be found in a text that is read for its meaning.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret, SecretSlice};

use super::meant::Meant;

/// Patterns are found by so many characters at their beginning. Shorter texts are no secrets, and would mask by
/// accident.
pub(super) const HEAD: usize = 8;

/// The meaning of one spelling.
pub(super) struct Pattern(SecretSlice<u8>);

impl Pattern {
    /// The secret itself, and what of it shows in the Base64 of any text that holds it.
    pub(super) fn all(secret: &str) -> Vec<Self> {
        let encoded = spellings(secret).into_iter().flat_map(|text| [0, 1, 2].map(|at| encoded(&text, at)));
        std::iter::once(secret.to_owned()).chain(encoded).filter_map(|text| Self::new(&text)).collect()
    }

    fn new(text: &str) -> Option<Self> {
        let meaning: Vec<u8> = Meant::of(text).map(|sign| sign.byte).collect();
        (meaning.len() >= HEAD).then(|| Self(meaning.into()))
    }

    pub(super) fn head(&self) -> u64 {
        self.0.expose_secret()[..HEAD].iter().fold(0, |head, &byte| shifted(head, byte))
    }

    /// Where the pattern ends whose head was just read and ended at `end`.
    pub(super) fn ends(&self, end: usize, mut rest: Meant<'_>) -> Option<usize> {
        let mut tail = self.0.expose_secret()[HEAD..].iter();
        tail.try_fold(end, |_, &byte| rest.next().filter(|sign| sign.byte == byte).map(|sign| sign.end))
    }
}

/// The last characters read, with one more.
pub(super) fn shifted(window: u64, byte: u8) -> u64 {
    window << 8 | u64::from(byte)
}

/// As it may be written in the text that becomes Base64: as it is, as serializers of JSON do, as URLs do.
fn spellings(secret: &str) -> HashSet<String> {
    let escaped = |all: &[char], escape: fn(u32) -> String| {
        let one = |c: char| if all.contains(&c) { escape(u32::from(c)) } else { c.to_string() };
        secret.chars().map(one).collect::<String>()
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
fn encoded(text: &str, at: usize) -> String {
    let all = STANDARD_NO_PAD.encode([&vec![0; at], text.as_bytes()].concat());
    let (first, last) = ((at * 8).div_ceil(6), (at + text.len()) * 8 / 6);
    all[first..last].to_owned()
}
