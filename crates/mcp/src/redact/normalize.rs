//! `Normalizer`: decodes escapes on the fly so that a secret is found in any encoding.
//!
//! JSON, JavaScript, URLs and HTML each have several ways to write a character, and programs mix and nest them. All
//! are decoded to the same byte: `+`, `\u002B`, `\\u002b`, `\x2b`, `%2B`, `%252B` and `&#43;` are equal. Line breaks
//! are skipped because Base64 may be wrapped, and the two Base64 alphabets are unified. Secrets are normalized in the
//! same way, so that any loss of information is the same on both sides.

use std::iter::successors;
use std::ops::Range;

use super::rolling_hash::{self, Hash};

/// A decoded character and its range in the source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NormalizedByte {
    pub(super) byte: u8,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Iterates over the decoded characters of a text.
#[derive(Clone)]
pub(super) struct Normalizer<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Normalizer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes(), at: 0 }
    }
}

impl Iterator for Normalizer<'_> {
    type Item = NormalizedByte;

    fn next(&mut self) -> Option<NormalizedByte> {
        loop {
            let start = self.at;
            let first = *self.text.get(start)?;
            if IS_PLAIN[usize::from(first)] {
                self.at += 1;
                return Some(NormalizedByte { byte: first, start, end: self.at });
            }
            let (byte, length) = next_byte(&self.text[start..])?;
            self.at += length;
            if let Some(byte) = byte {
                return Some(NormalizedByte { byte, start, end: self.at });
            }
        }
    }
}

/// Whether a byte stands for itself, whatever follows it. Almost all bytes of a text do.
const IS_PLAIN: [bool; 256] = {
    let mut table = [true; 256];
    let mut signs: &[u8] = b"\\%&\n\r-_";
    while let [sign, rest @ ..] = signs {
        table[*sign as usize] = false;
        signs = rest;
    }
    table
};

/// Decodes the beginning of `text`. Returns the character, or `None` if it is skipped, and the length in the source.
fn next_byte(text: &[u8]) -> Option<(Option<u8>, usize)> {
    let (first, length) = decode_symbol(text)?;
    if first != b'\\' {
        return Some((normalize_byte(first), length));
    }
    // A run of backslashes counts as one escape, regardless of how often the text was escaped.
    let run = successors(Some(length), |&at| {
        decode_symbol(&text[at..]).filter(|(next, _)| *next == b'\\').map(|(_, more)| at + more)
    });
    let length = run.last().unwrap_or(length);
    let rest = &text[length..];
    let escape = match rest {
        [b'u', digits @ ..] => decode_hex(digits, 4).map(|byte| (normalize_byte(byte), 5)),
        [b'x', digits @ ..] => decode_hex(digits, 2).map(|byte| (normalize_byte(byte), 3)),
        [b'n' | b'r', ..] => Some((None, 1)),
        _ => None,
    };
    let (byte, more) = escape.unwrap_or((None, 0));
    Some((byte, length + more))
}

/// Decodes a character that is unescaped or escaped as in URLs or HTML.
pub(super) fn decode_symbol(text: &[u8]) -> Option<(u8, usize)> {
    let escape = match text {
        [b'%', rest @ ..] => decode_percent(rest),
        [b'&', b'#', rest @ ..] => decode_entity(rest),
        _ => None,
    };
    escape.or_else(|| Some((*text.first()?, 1)))
}

/// Decodes `%2B`, or `%252B` with any number of `25`.
fn decode_percent(rest: &[u8]) -> Option<(u8, usize)> {
    let again = rest.chunks_exact(2).take_while(|digits| *digits == b"25").count();
    match decode_hex(&rest[again * 2..], 2) {
        Some(byte) => Some((byte, 3 + again * 2)),
        None => (again > 0).then_some((b'%', 1 + again * 2)),
    }
}

/// Decodes `&#43;` or `&#x2B;`.
fn decode_entity(rest: &[u8]) -> Option<(u8, usize)> {
    let end = rest.iter().take(8).position(|&byte| byte == b';')?;
    let number = std::str::from_utf8(&rest[..end]).ok()?;
    let byte = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u8::from_str_radix(digits, 16),
        None => number.parse(),
    };
    Some((byte.ok()?, end + 3))
}

/// Decodes `count` hexadecimal digits to an ASCII character. Secrets contain no others.
fn decode_hex(digits: &[u8], count: usize) -> Option<u8> {
    hex_byte(digits, count).filter(u8::is_ascii)
}

/// Decodes at most four hexadecimal digits to a byte.
pub(super) fn hex_byte(digits: &[u8], count: usize) -> Option<u8> {
    let digits = digits.get(..count).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    let number = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    u8::try_from(number).ok()
}

/// Unifies the two Base64 alphabets, and skips line breaks.
fn normalize_byte(byte: u8) -> Option<u8> {
    match byte {
        b'\n' | b'\r' => None,
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        byte => Some(byte),
    }
}

/// A normalized text with prefix hashes, which give the hash of any part of it.
///
/// Built only for texts that contain the prefix of a secret, because it is several times the size of the text.
pub(super) struct NormalizedText {
    /// The range of each character in the source text.
    source_ranges: Vec<Range<usize>>,
    bytes: Vec<u8>,
    /// The hashes of all prefixes, from empty to whole.
    prefix_hashes: Vec<Hash>,
    powers: Vec<Hash>,
    #[cfg(test)]
    pub(super) comparisons: std::cell::Cell<usize>,
}

impl NormalizedText {
    pub(super) fn new(text: &str) -> Self {
        let mut reading = Self {
            source_ranges: Vec::new(),
            bytes: Vec::new(),
            prefix_hashes: vec![0],
            powers: vec![1],
            #[cfg(test)]
            comparisons: std::cell::Cell::default(),
        };
        let (mut hash, mut power) = (0, 1);
        for byte in Normalizer::new(text) {
            reading.source_ranges.push(byte.start..byte.end);
            reading.bytes.push(byte.byte);
            hash = rolling_hash::extend_hash(hash, byte.byte);
            reading.prefix_hashes.push(hash);
            power = rolling_hash::next_power(power);
            reading.powers.push(power);
        }
        reading
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the hash of `length` characters from `start` on, or `None` if the text is too short.
    pub(super) fn range_hash(&self, start: usize, length: usize) -> Option<Hash> {
        #[cfg(test)]
        self.comparisons.set(self.comparisons.get() + 1);
        let whole = self.prefix_hashes.get(start.checked_add(length)?)?;
        Some(rolling_hash::suffix_hash(*whole, self.prefix_hashes[start], self.powers[length]))
    }

    /// Returns the source range of `length` characters from `start` on, or of all remaining ones if there are fewer.
    pub(super) fn source_range(&self, start: usize, length: usize) -> Range<usize> {
        let last = start.saturating_add(length).min(self.source_ranges.len()).saturating_sub(1);
        self.source_ranges[start].start..self.source_ranges[last].end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(text: &str) -> String {
        Normalizer::new(text).map(|byte| char::from(byte.byte)).collect()
    }

    #[test]
    fn normalizer_escaped_character_is_decoded() {
        let plus = [
            r"\u002B",
            r"\\u002b",
            r"\\\\u002b",
            r"\x2b",
            "%2B",
            "%2b",
            "%252B",
            "%5Cu002b",
            "&#43;",
            "&#x2B;",
        ];
        for written in plus {
            assert_eq!(normalized(&format!("a{written}b")), "a+b", "{written}");
        }
        assert_eq!(normalized(r"a\/b\\/c%2Fd"), "a/b/c/d");
        assert_eq!(normalized("ab\r\ncd\\ne\\\\r\\\\nf"), "abcdef");
    }

    #[test]
    fn normalizer_plain_byte_stands_for_itself() {
        for byte in (0..=255).filter(|byte| IS_PLAIN[usize::from(*byte)]) {
            for rest in [&b""[..], b"41", b"u0041", b"\\", b"%41", b"#65;"] {
                assert_eq!(next_byte(&[&[byte], rest].concat()), Some((Some(byte), 1)));
            }
        }
    }

    #[test]
    fn normalizer_invalid_escape_is_unchanged() {
        assert_eq!(normalized(r"100% \u12 &# &#; &#999; %2 %"), r"100% u12 &# &#; &#999; %2 %");
        assert_eq!(normalized("%25zz"), "%zz");
        assert_eq!(normalized("\\"), "");
    }

    #[test]
    fn normalizer_byte_has_its_source_range() {
        let byte = Normalizer::new(r"a\\u002Bc").nth(1);
        assert_eq!(byte, Some(NormalizedByte { byte: b'+', start: 1, end: 8 }));
    }
}
